internal import HTTPMessages
public import TunnelTransport

/// The name below which tunnels have theirs, and how their URLs look from outside: `tunnel.example.com`, `http://localhost:8080`.
public struct TunnelDomain: Sendable, Hashable, CustomStringConvertible {
    /// In lower case, without a dot at its end.
    public let name: String
    /// `http` or `https`; `nil`: as the listening port has it.
    public let scheme: String?
    /// `nil`: the scheme's own where there is a scheme, else as the listening port has it.
    public let port: UInt16?

    /// - Parameter text: `[scheme://]name[:port]`.
    /// - Throws: `OperatorError` for what is none.
    public init(_ text: String) throws(OperatorError) {
        var rest = text[...]
        var scheme: String?
        for known in ["http", "https"] where rest.lowercased().hasPrefix("\(known)://") {
            scheme = known
            rest = rest.dropFirst(known.count + 3)
        }
        if rest.hasSuffix("/") { rest = rest.dropLast() }
        var port: UInt16?
        if let colon = rest.lastIndex(of: ":") {
            guard let number = UInt16(rest[rest.index(after: colon)...]), number > 0 else { throw Self.malformed(text) }
            port = number
            rest = rest[..<colon]
        }
        // "*.tunnel.example.com" is what its DNS record is called.
        if rest.hasPrefix("*.") { rest = rest.dropFirst(2) }
        guard let name = TunnelName.normalizedHost(String(rest)) else { throw Self.malformed(text) }
        self.name = name
        self.scheme = scheme
        self.port = port
    }

    private init(name: String) {
        self.name = name
        self.scheme = nil
        self.port = nil
    }

    /// Browsers and curl take every name below it for this machine (RFC 6761 §6.3).
    static let localhost = TunnelDomain(name: "localhost")

    public var description: String {
        (self.scheme.map { "\($0)://" } ?? "") + self.name + (self.port.map { ":\($0)" } ?? "")
    }

    /// Whether a host is one label below it.
    func holds(_ host: String) -> Bool { self.label(of: host) != nil }

    /// The label of a host directly below it.
    func label(of host: String) -> Substring? {
        guard host.utf8.count > self.name.utf8.count + 1, host.hasSuffix(self.name) else { return nil }
        let rest = host.dropLast(self.name.count)
        guard rest.last == ".", !rest.dropLast().contains(".") else { return nil }
        return rest.dropLast()
    }

    private static func malformed(_ text: String) -> OperatorError {
        OperatorError(
            .badConfiguration, "\(text) is not a domain for tunnels",
            remedy: "Write it as tunnel.example.com, or with what URLs shall show: https://tunnel.example.com:8443.")
    }
}

/// Host names that a key may have for its tunnels: `app.example.org`, or `*.example.net` for any one label below it.
public struct HostnamePattern: Sendable, Hashable, CustomStringConvertible {
    private let name: String
    private let isWildcard: Bool

    /// - Throws: `OperatorError` for what is none.
    public init(_ text: String) throws(OperatorError) {
        self.isWildcard = text.hasPrefix("*.")
        guard let name = TunnelName.normalizedHost(String(self.isWildcard ? text.dropFirst(2) : text[...])) else {
            throw OperatorError(
                .badConfiguration, "\(text) is not a host name", remedy: "Write --hostnames as app.example.org,*.example.net.")
        }
        self.name = name
    }

    /// - Parameter host: In lower case.
    func matches(_ host: String) -> Bool {
        guard self.isWildcard else { return host == self.name }
        let rest = host.dropLast(self.name.count)
        return host.hasSuffix(self.name) && rest.count > 1 && rest.last == "." && !rest.dropLast().contains(".")
    }

    public var description: String { (self.isWildcard ? "*." : "") + self.name }
}
