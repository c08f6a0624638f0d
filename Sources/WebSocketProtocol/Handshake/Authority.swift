/// A host and perhaps a port, as the Host field has them (RFC 9110 §7.2, RFC 3986 §3.2.2): no user, no empty host.
package struct Authority: Equatable, Sendable {
    /// In lower case; an IPv6 address without its brackets.
    package let host: String
    package let port: UInt16?

    /// Nil for what is not an authority.
    package init?(_ text: some StringProtocol) {
        let bytes = Array(text.utf8)
        let end: Int
        if bytes.first == UInt8(ascii: "[") {
            guard let bracket = bytes.firstIndex(of: UInt8(ascii: "]")) else { return nil }
            let address = bytes[1..<bracket]
            guard address.contains(HTTPSyntax.colon), address.allSatisfy(Self.isAddressByte) else { return nil }
            self.host = Self.lowercased(address)
            end = bracket + 1
        } else {
            end = bytes.firstIndex(of: HTTPSyntax.colon) ?? bytes.count
            guard end > 0, bytes[..<end].allSatisfy(Self.isNameByte) else { return nil }
            self.host = Self.lowercased(bytes[..<end])
        }
        let rest = bytes[end...]
        if rest.isEmpty || rest.elementsEqual(":".utf8) {
            self.port = nil
        } else {
            // Digits only: `UInt16` would read a sign as well.
            guard rest.first == HTTPSyntax.colon, rest.dropFirst().allSatisfy(HTTPSyntax.isDigit),
                let port = UInt16(String(decoding: rest.dropFirst(), as: UTF8.self))
            else { return nil }
            self.port = port
        }
    }

    private static func lowercased(_ bytes: ArraySlice<UInt8>) -> String {
        String(decoding: bytes.map(HTTPSyntax.lowercased), as: UTF8.self)
    }

    /// unreserved, pct-encoded and sub-delims of RFC 3986, the comma aside: it joins two Host fields into one.
    private static func isNameByte(_ byte: UInt8) -> Bool {
        HTTPSyntax.isAlphanumeric(byte) || "-._~%!$&'()*+;=".utf8.contains(byte)
    }

    /// What an IPv6 address is spelled with.
    private static func isAddressByte(_ byte: UInt8) -> Bool {
        HTTPSyntax.isDigit(byte) || (UInt8(ascii: "a")...UInt8(ascii: "f")).contains(byte | 0x20)
            || byte == HTTPSyntax.colon || byte == UInt8(ascii: ".")
    }
}
