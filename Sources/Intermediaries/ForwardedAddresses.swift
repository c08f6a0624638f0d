package import TunnelProtocol

/// One end of a connection, as it is known: `203.0.113.9:41234`, or without the port.
package struct ForwardedNode: Hashable, Sendable, CustomStringConvertible {
    package let address: Endpoint.Address
    package let port: UInt16?

    package init(_ address: Endpoint.Address, port: UInt16?) {
        self.address = address
        self.port = port
    }

    package init(_ endpoint: Endpoint) {
        self.init(endpoint.address, port: endpoint.port)
    }

    /// Reads a node of RFC 7239 §6, or an element of X-Forwarded-For: `203.0.113.9`, `203.0.113.9:41234`, `2001:db8::1`,
    /// `[2001:db8::1]`, `[2001:db8::1]:41234`. A port that hides itself (`_x`, §6.3) is none.
    ///
    /// - Returns: `nil` for what tells no address: `unknown`, `_hidden`, and whatever else somebody may have written.
    package init?(text: some StringProtocol) {
        var host = text[...]
        var port: Substring?
        if text.hasPrefix("[") {
            guard let bracket = text.firstIndex(of: "]") else { return nil }
            host = text[text.index(after: text.startIndex)..<bracket]
            guard host.utf8.contains(UInt8(ascii: ":")) else { return nil }
            let rest = text[text.index(after: bracket)...]
            guard rest.isEmpty || rest.hasPrefix(":") else { return nil }
            port = rest.isEmpty ? nil : Substring(rest.dropFirst())
        } else if let colon = text.firstIndex(of: ":"), text[text.index(after: colon)...].firstIndex(of: ":") == nil {
            host = text[..<colon]
            port = Substring(text[text.index(after: colon)...])
        }
        guard let address = Endpoint.Address(text: host) else { return nil }
        self.address = address
        guard let port, !port.hasPrefix("_") else {
            self.port = nil
            return
        }
        guard let number = UInt16(decimal: Array(port.utf8)[...]) else { return nil }
        self.port = number
    }

    package var description: String {
        self.port.map { "\(Endpoint(self.address, port: $0))" } ?? "\(self.address)"
    }
}

/// Where a request comes from, as far as trusted proxies vouch for it.
///
///     X-Forwarded-For: 198.51.100.7, 203.0.113.9, 10.0.0.2        peer 10.0.0.1, trusted 10.0.0.0/8
///                      anybody's     believed     trusted          believed because a trusted proxy says so
///
/// Each proxy adds whom it was reached from at the right, so the address is the rightmost one that is not a trusted proxy's; what
/// stands left of it was written by whoever that is. Where something else than an address comes first, it is the proxy that passed
/// it on. `Forwarded` (RFC 7239) and `X-Forwarded-For` are read alike. A proxy writes one and passes the other on as it came: where
/// both are there and differ, one is a stranger's, and neither is believed. The peer then stands for the origin, and passes no rule
/// about addresses: it is a proxy's, which such rules let in or overlook.
///
/// The walk is as long as the request's head, which has its own limit.
package struct ForwardedAddresses: Equatable, Sendable {
    package let origin: ForwardedNode
    /// What its client spoke to the first proxy, or to the only one that says so: `http`, `https`, `ws` or `wss`.
    package let proto: String?
    /// The two fields contradict each other.
    package let isDisputed: Bool

    /// Where a connection comes from when there is no request, or none yet.
    package init(origin: ForwardedNode) {
        self.origin = origin
        self.proto = nil
        self.isDisputed = false
    }

    /// - Parameters:
    ///   - peer: The other end of the connection, or whom a header of the PROXY protocol names.
    ///   - forwardedFor: The values of all `X-Forwarded-For` fields in their order, and likewise the others.
    package init(
        peer: ForwardedNode, trusted: TrustedProxies, forwardedFor: [String], forwarded: [String], forwardedProto: [String]
    ) {
        guard trusted.contains(peer.address) else {
            (self.origin, self.proto, self.isDisputed) = (peer, nil, false)
            return
        }
        let listed = Self.origin(peer, trusted, Self.elements(forwardedFor))
        let standard = Self.origin(peer, trusted, Self.standardElements(forwarded))
        let proto = Self.elements(forwardedProto).last?.proto
        switch (listed, standard) {
        case (nil, nil): (self.origin, self.proto, self.isDisputed) = (peer, proto, false)
        case (let listed?, nil): (self.origin, self.proto, self.isDisputed) = (listed.origin, proto, false)
        case (nil, let standard?): (self.origin, self.proto, self.isDisputed) = (standard.origin, standard.proto ?? proto, false)
        case (let listed?, let standard?):
            guard listed.origin.address == standard.origin.address else {
                (self.origin, self.proto, self.isDisputed) = (peer, nil, true)
                return
            }
            self.origin = listed.origin.port == nil ? standard.origin : listed.origin
            // A stranger knows its own address, and may agree in order to say the rest.
            self.proto = proto ?? standard.proto
            self.isDisputed = false
        }
    }

    /// What one proxy says of whom it was reached from.
    private struct Element {
        var node: ForwardedNode?
        var proto: String?
    }

    /// - Returns: `nil` when there is no such field.
    private static func origin(
        _ peer: ForwardedNode, _ trusted: TrustedProxies, _ elements: [Element]
    ) -> (origin: ForwardedNode, proto: String?)? {
        guard !elements.isEmpty else { return nil }
        var (origin, proto) = (peer, String?.none)
        for element in elements.reversed() {
            guard let node = element.node else { break }
            (origin, proto) = (node, element.proto)
            guard trusted.contains(node.address) else { break }
        }
        return (origin, proto)
    }

    // MARK: X-Forwarded-For, X-Forwarded-Proto

    private static func elements(_ values: [String]) -> [Element] {
        values.flatMap { value in
            value.utf8.split(separator: UInt8(ascii: ",")).compactMap { part in
                let text = Self.trimmed(Substring(part))
                return text.isEmpty ? nil : Element(node: ForwardedNode(text: text), proto: Self.proto(text))
            }
        }
    }

    private static func proto(_ text: some StringProtocol) -> String? {
        let text = text.lowercased()
        return ["http", "https", "ws", "wss"].contains(text) ? text : nil
    }

    private static func trimmed(_ text: Substring) -> Substring {
        var text = text.drop { $0 == " " || $0 == "\t" }
        while text.last == " " || text.last == "\t" { text.removeLast() }
        return text
    }

    // MARK: Forwarded (RFC 7239 §4)

    /// A line that does not follow the grammar counts as one element that tells nothing, and hides those before it: a quote that
    /// a stranger has left open would take in what the proxy adds.
    private static func standardElements(_ values: [String]) -> [Element] {
        values.flatMap { value in
            var parser = ForwardedParser(value)
            guard let elements = parser.elements() else { return [Element()] }
            return elements.map { pairs in
                Element(
                    node: pairs["for"].flatMap { ForwardedNode(text: $0) }, proto: pairs["proto"].flatMap { Self.proto($0) })
            }
        }
    }
}

/// Reads the value of one `Forwarded` field: `for=203.0.113.9;proto=https, for="[2001:db8::1]:41234"`.
private struct ForwardedParser {
    private let bytes: [UInt8]
    private var position = 0

    init(_ value: String) {
        self.bytes = Array(value.utf8)
    }

    /// - Returns: The pairs of each element, their names in small letters; `nil` for what does not follow the grammar.
    mutating func elements() -> [[String: String]]? {
        var elements: [[String: String]] = []
        var pairs: [String: String] = [:]
        func finish() {
            // RFC 9110 §5.6.1: empty elements are passed over.
            if !pairs.isEmpty { elements.append(pairs) }
            pairs = [:]
        }
        while true {
            self.skipBlanks()
            switch self.next {
            case nil:
                finish()
                return elements
            case UInt8(ascii: ","):
                finish()
                self.position += 1
            case UInt8(ascii: ";"): self.position += 1
            default:
                guard let (name, value) = self.pair(), pairs.updateValue(value, forKey: name) == nil else { return nil }
                self.skipBlanks()
                guard self.next == nil || self.next == UInt8(ascii: ",") || self.next == UInt8(ascii: ";") else { return nil }
            }
        }
    }

    private var next: UInt8? { self.position < self.bytes.count ? self.bytes[self.position] : nil }

    private mutating func skipBlanks() {
        while self.next == UInt8(ascii: " ") || self.next == UInt8(ascii: "\t") { self.position += 1 }
    }

    private mutating func pair() -> (name: String, value: String)? {
        guard let name = self.token(), self.next == UInt8(ascii: "=") else { return nil }
        self.position += 1
        guard let value = self.next == UInt8(ascii: "\"") ? self.quotedString() : self.token() else { return nil }
        return (name.lowercased(), value)
    }

    /// RFC 9110 §5.6.2, and the colons that some proxies leave without quotes.
    private mutating func token() -> String? {
        let start = self.position
        while let byte = self.next, (0x21...0x7E).contains(byte), !"\"(),/;<=>?@[\\]{}".utf8.contains(byte) { self.position += 1 }
        return start == self.position ? nil : String(decoding: self.bytes[start..<self.position], as: UTF8.self)
    }

    /// RFC 9110 §5.6.4.
    private mutating func quotedString() -> String? {
        var text: [UInt8] = []
        self.position += 1
        while let byte = self.next {
            self.position += 1
            switch byte {
            case UInt8(ascii: "\""): return String(decoding: text, as: UTF8.self)
            case UInt8(ascii: "\\"):
                guard let quoted = self.next else { return nil }
                self.position += 1
                text.append(quoted)
            default: text.append(byte)
            }
        }
        return nil
    }
}
