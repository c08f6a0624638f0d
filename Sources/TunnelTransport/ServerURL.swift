internal import WebSocketProtocol

/// Where a client finds its server: `wss://host[:port][/path]`, or `ws://` without TLS.
public struct ServerURL: Sendable, Hashable, CustomStringConvertible {
    /// Whether the connection is encrypted: `wss`.
    public let isSecure: Bool
    /// A name or an IP address, this without brackets.
    public let host: String
    public let port: UInt16
    /// Path and query.
    public let path: String

    /// The path that stands for none.
    public static let defaultPath = "/_ws-tunnel/v1"

    /// - Throws: `OperatorError` saying what is wrong with the text.
    public init(_ text: String) throws(OperatorError) {
        func refuse(_ why: String) -> OperatorError {
            OperatorError(
                // Where there may be a key in it, it is not repeated.
                .badConfiguration, text.contains("@") ? "that is not a server's address" : "\(text) is not a server's address: \(why)",
                remedy: "Write it as wss://tunnel.example.com, with a port and a path if need be.")
        }
        let rest: Substring
        if text.lowercased().hasPrefix("wss://") {
            self.isSecure = true
            rest = text.dropFirst(6)
        } else if text.lowercased().hasPrefix("ws://") {
            self.isSecure = false
            rest = text.dropFirst(5)
        } else {
            throw refuse("it begins with neither wss:// nor ws://")
        }
        guard !rest.contains("#") else { throw refuse("a WebSocket's address has no fragment (#)") }
        let end = rest.firstIndex { $0 == "/" || $0 == "?" } ?? rest.endIndex
        guard !rest[..<end].contains("@") else {
            throw OperatorError(
                .badConfiguration, "the server's address holds a user or a key",
                remedy: "Keys do not belong in addresses, which are logged: use SOCKETS_API_KEY or --api-key-file.")
        }
        guard let authority = Authority(rest[..<end]), !authority.host.isEmpty else {
            throw refuse("\(rest[..<end]) is not a host, or a host and a port")
        }
        guard authority.port != 0 else { throw refuse("0 is no port") }
        let host = authority.host
        self.host = host.hasPrefix("[") && host.hasSuffix("]") ? String(host.dropFirst().dropLast()) : host
        self.port = authority.port ?? (self.isSecure ? 443 : 80)
        let path = String(rest[end...])
        switch path {
        case "", "/": self.path = Self.defaultPath
        case _ where path.hasPrefix("?"): self.path = Self.defaultPath + path
        default: self.path = path
        }
    }

    /// As it goes into a Host field: with the port unless it is the scheme's own.
    package var authority: String {
        let host = self.host.contains(":") ? "[\(self.host)]" : self.host
        return self.port == (self.isSecure ? 443 : 80) ? host : "\(host):\(self.port)"
    }

    /// Without the path, which says nothing to a person.
    public var description: String {
        "\(self.isSecure ? "wss" : "ws")://\(self.authority)"
    }

    /// Whether the host is this machine by its name or address alone, without asking a resolver.
    package var isLoopback: Bool {
        self.host.lowercased() == "localhost" || self.host == "::1"
            || (self.host.hasPrefix("127.") && self.host.split(separator: ".").count == 4
                && self.host.allSatisfy { $0.isNumber || $0 == "." })
    }
}
