/// The characters of HTTP (RFC 9110 §5.6, RFC 5234 B.1), over bytes: Swift's `Character` takes CR LF for one.
enum HTTPSyntax {
    static let space = UInt8(ascii: " ")
    static let tab = UInt8(ascii: "\t")
    static let carriageReturn = UInt8(ascii: "\r")
    static let lineFeed = UInt8(ascii: "\n")
    static let colon = UInt8(ascii: ":")
    static let comma = UInt8(ascii: ",")

    /// RFC 9110 §5.6.2: one or more of tchar.
    static func isToken(_ bytes: some Collection<UInt8>) -> Bool {
        !bytes.isEmpty && bytes.allSatisfy(self.isTokenByte)
    }

    /// RFC 9110 §5.5: visible characters, bytes beyond ASCII, and blanks, the latter not at either end.
    static func isFieldValue(_ bytes: some BidirectionalCollection<UInt8>) -> Bool {
        guard let first = bytes.first, let last = bytes.last else { return true }
        return !self.isBlank(first) && !self.isBlank(last) && !bytes.contains(where: self.isControl)
    }

    /// The characters of a URI without a fragment, which is never sent (RFC 9112 §3.2, RFC 3986 §3.5).
    static func isTarget(_ bytes: some Collection<UInt8>) -> Bool {
        !bytes.isEmpty && bytes.allSatisfy { (0x21...0x7E).contains($0) && $0 != UInt8(ascii: "#") }
    }

    static func isBlank(_ byte: UInt8) -> Bool {
        byte == self.space || byte == self.tab
    }

    /// A control character other than the tab.
    static func isControl(_ byte: UInt8) -> Bool {
        byte < 0x20 && byte != self.tab || byte == 0x7F
    }

    static func isDigit(_ byte: UInt8) -> Bool {
        (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte)
    }

    static func isAlphanumeric(_ byte: UInt8) -> Bool {
        self.isDigit(byte) || (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte | 0x20)
    }

    static func lowercased(_ byte: UInt8) -> UInt8 {
        (UInt8(ascii: "A")...UInt8(ascii: "Z")).contains(byte) ? byte | 0x20 : byte
    }

    /// Without the blanks at either end.
    static func trimmed<Bytes: BidirectionalCollection<UInt8>>(_ bytes: Bytes) -> Bytes.SubSequence {
        var trimmed = bytes.drop(while: self.isBlank)
        while let last = trimmed.last, self.isBlank(last) { trimmed.removeLast() }
        return trimmed
    }

    private static func isTokenByte(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "!"), UInt8(ascii: "#")...UInt8(ascii: "'"), UInt8(ascii: "*"), UInt8(ascii: "+"),
            UInt8(ascii: "-"), UInt8(ascii: "."), UInt8(ascii: "^")...UInt8(ascii: "`"), UInt8(ascii: "|"),
            UInt8(ascii: "~"):
            true
        default: self.isAlphanumeric(byte)
        }
    }
}

extension StringProtocol {
    /// Equal but for the case of ASCII letters, as field names and most tokens are compared (RFC 9110 §5.1).
    package func equalsIgnoringCase(_ other: some StringProtocol) -> Bool {
        self.utf8.elementsEqual(other.utf8) { HTTPSyntax.lowercased($0) == HTTPSyntax.lowercased($1) }
    }
}
