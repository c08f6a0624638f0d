/// What a request's first line asks for (RFC 9112 §3.2).
struct RequestTarget {
    /// Origin-form, or `*`.
    let path: String
    /// Of an absolute target.
    let authority: HostText?
    /// Of an absolute target's scheme.
    let defaultPort: UInt16

    /// - Throws: `MessageRefusal` with 400 or 501.
    init(_ text: String, method: String) throws(MessageRefusal) {
        guard method != "CONNECT" else { throw MessageRefusal(501, "this is no forward proxy: CONNECT is not served") }
        guard HTTPText.isTarget(text) else { throw MessageRefusal(400, "its target has a blank or a control character in it") }
        guard !text.utf8.contains(UInt8(ascii: "#")) else { throw MessageRefusal(400, "its target has a fragment in it") }
        if text.utf8.first == UInt8(ascii: "/") {
            (self.path, self.authority, self.defaultPort) = (text, nil, 80)
            return
        }
        if text == "*" {
            guard method == "OPTIONS" else { throw MessageRefusal(400, "only OPTIONS may ask for *") }
            (self.path, self.authority, self.defaultPort) = (text, nil, 80)
            return
        }
        let rest: Substring
        if Substring(text.utf8.prefix(7)).isName("http://") {
            (rest, self.defaultPort) = (Substring(text.utf8.dropFirst(7)), 80)
        } else if Substring(text.utf8.prefix(8)).isName("https://") {
            (rest, self.defaultPort) = (Substring(text.utf8.dropFirst(8)), 443)
        } else {
            throw MessageRefusal(400, "its target is neither a path nor an http address")
        }
        let authority = Substring(rest.utf8.prefix { $0 != UInt8(ascii: "/") && $0 != UInt8(ascii: "?") })
        let path = String(rest[authority.endIndex...])
        self.authority = try HostText(judging: String(authority))
        switch path.utf8.first {
        // RFC 9112 §3.2.4: what OPTIONS of a whole server looks like in absolute-form.
        case nil: self.path = method == "OPTIONS" ? "*" : "/"
        case UInt8(ascii: "?"): self.path = "/" + path
        default: self.path = path
        }
    }
}

/// A host and perhaps a port, as Host has them.
struct HostText {
    /// As it was sent.
    let authority: String
    /// In small letters, without the port and without a dot at its end.
    let host: String
    let port: UInt16?

    /// - Throws: `MessageRefusal` with 400, for what is empty, has a user in it, or is neither a name of letters, digits, `-`, `_`
    ///   and dots nor an address.
    init(judging text: String) throws(MessageRefusal) {
        guard !text.utf8.isEmpty else { throw MessageRefusal(400, "its Host is empty") }
        guard let host = HostText(text) else { throw MessageRefusal(400, "its Host is not the name of a host") }
        self = host
    }

    init?(_ text: String) {
        let bytes = text.utf8
        let end: String.UTF8View.Index
        if bytes.first == UInt8(ascii: "[") {
            guard let bracket = bytes.firstIndex(of: UInt8(ascii: "]")) else { return nil }
            let address = bytes[bytes.index(after: bytes.startIndex)..<bracket]
            guard 2...45 ~= address.count, address.contains(UInt8(ascii: ":")),
                address.allSatisfy({ HTTPText.isHexadecimal($0) || $0 == UInt8(ascii: ":") || $0 == UInt8(ascii: ".") })
            else { return nil }
            end = bytes.index(after: bracket)
            self.host = Self.lowercased(Substring(bytes[..<end]))
        } else {
            end = bytes.firstIndex(of: UInt8(ascii: ":")) ?? bytes.endIndex
            guard var name = Self.name(bytes[..<end]) else { return nil }
            if name.utf8.last == UInt8(ascii: ".") { name = name.dropLast() }
            self.host = Self.lowercased(name)
        }
        guard !self.host.utf8.isEmpty, self.host.utf8.count <= 253 else { return nil }
        let port = bytes[end...].dropFirst()
        guard port.allSatisfy(HTTPText.isDigit), port.count <= 5 else { return nil }
        // RFC 3986 §3.2.3: the port may be empty.
        self.port = port.isEmpty ? nil : UInt16(String(Substring(port)))
        guard port.isEmpty || self.port != nil else { return nil }
        guard end == bytes.endIndex || bytes[end] == UInt8(ascii: ":") else { return nil }
        self.authority = text
    }

    func agrees(with other: HostText, defaultPort: UInt16) -> Bool {
        self.host == other.host && (self.port ?? defaultPort) == (other.port ?? defaultPort)
    }

    /// Labels of letters, digits, `-` and `_`, none of them empty; a dot may end it.
    private static func name(_ bytes: String.UTF8View.SubSequence) -> Substring? {
        var before = UInt8(ascii: ".")
        for byte in bytes {
            if byte == UInt8(ascii: ".") {
                guard before != byte else { return nil }
            } else if !HTTPText.isLetter(byte), !HTTPText.isDigit(byte), byte != UInt8(ascii: "-"), byte != UInt8(ascii: "_") {
                return nil
            }
            before = byte
        }
        return bytes.isEmpty ? nil : Substring(bytes)
    }

    private static func lowercased(_ text: Substring) -> String {
        guard text.utf8.contains(where: { HTTPText.lowercased($0) != $0 }) else { return String(text) }
        return String(decoding: text.utf8.map(HTTPText.lowercased), as: UTF8.self)
    }
}
