internal import WebSocketProtocol

/// A forward proxy's address: `scheme://[user[:password]@]host[:port]`, as `curl` and HTTPS_PROXY have it.
///
///     http      CONNECT (RFC 9110 §9.3.6)                      port 80 unless given
///     https     the same inside TLS to the proxy               port 443
///     socks5    SOCKS 5 (RFC 1928); names are resolved here    port 1080
///     socks5h   SOCKS 5; names are resolved by the proxy       port 1080; also socks
///
/// Without a scheme it is `http`. A path is passed over. No description of it shows the password.
public struct ProxyURL: Sendable, Hashable, CustomStringConvertible {
    public enum Scheme: String, Sendable, CaseIterable {
        case http, https, socks5, socks5h

        /// RFC 9110 §4.2.1 and §4.2.2; RFC 1928 §3.
        var port: UInt16 {
            switch self {
            case .http: 80
            case .https: 443
            case .socks5, .socks5h: 1080
            }
        }

        /// Whether it is an HTTP proxy, which tunnels by CONNECT.
        package var isHTTP: Bool { self == .http || self == .https }
    }

    /// Why a text is no proxy's address. It repeats nothing of the text, which may hold a password.
    public enum Invalid: Error, Equatable, Sendable {
        case empty
        case scheme
        case authority
        case percentEncoding
        case credentials(ProxyCredentials.Invalid)

        public var sentence: String {
            switch self {
            case .empty: "it is empty"
            case .scheme: "its scheme is none of http, https, socks5 and socks5h"
            case .authority:
                "what follows its scheme is not a host, or a host and a port; in a password / ? # and @ are written %2F %3F %23 and %40"
            case .percentEncoding: "its user or password has a % that two hexadecimal digits do not follow, or is not UTF-8"
            case .credentials(let why): why.sentence
            }
        }
    }

    public let scheme: Scheme
    /// A name or an IP address, this without brackets.
    public let host: String
    public let port: UInt16
    public private(set) var credentials: ProxyCredentials?

    public init(_ text: String) throws(Invalid) {
        guard !text.isEmpty else { throw .empty }
        var rest = text[...]
        var scheme = Scheme.http
        if let separator = Self.endOfScheme(text) {
            let name = text[..<separator].lowercased()
            // GNOME's settings say it so, and mean version 5.
            guard let given = name == "socks" ? .socks5h : Scheme(rawValue: name) else { throw .scheme }
            scheme = given
            rest = text[separator...].dropFirst(3)
        }
        let whole = rest
        rest = rest.prefix { $0 != "/" && $0 != "?" && $0 != "#" }
        // Behind a path nothing is an @; in front of one there is a password with a slash, which must not be taken for a port.
        guard !whole[rest.endIndex...].contains("@") else { throw .authority }
        var credentials: ProxyCredentials?
        // The last one: passwords are often pasted as they are.
        if let at = rest.lastIndex(of: "@") {
            credentials = try Self.credentials(rest[..<at])
            rest = rest[rest.index(after: at)...]
        }
        guard let authority = Authority(rest), authority.port != 0 else { throw .authority }
        self.scheme = scheme
        self.host = authority.host
        self.port = authority.port ?? scheme.port
        if let credentials { try self.use(credentials) }
    }

    /// Puts credentials in the place of those in the address.
    public mutating func use(_ credentials: ProxyCredentials) throws(Invalid) {
        if let why = credentials.unfit(for: self.scheme) { throw .credentials(why) }
        self.credentials = credentials
    }

    /// `10.0.0.1:3128`, or `[2001:db8::1]:3128`.
    public var authority: String {
        self.host.contains(":") ? "[\(self.host)]:\(self.port)" : "\(self.host):\(self.port)"
    }

    /// Without user and password.
    public var description: String { "\(self.scheme.rawValue)://\(self.authority)" }

    private static func endOfScheme(_ text: String) -> String.Index? {
        guard let range = text.firstRange(of: "://") else { return nil }
        // Behind a slash or an @ it is part of something else.
        return text[..<range.lowerBound].contains { "/@?#:".contains($0) } ? nil : range.lowerBound
    }

    private static func credentials(_ userinfo: Substring) throws(Invalid) -> ProxyCredentials {
        let colon = userinfo.firstIndex(of: ":") ?? userinfo.endIndex
        guard let user = self.percentDecoded(userinfo[..<colon]),
            let password = self.percentDecoded(userinfo[colon...].dropFirst())
        else { throw .percentEncoding }
        return ProxyCredentials(user: user, password: password)
    }

    /// RFC 3986 §2.1.
    private static func percentDecoded(_ text: Substring) -> String? {
        var bytes: [UInt8] = []
        var rest = text.utf8[...]
        while let byte = rest.popFirst() {
            guard byte == UInt8(ascii: "%") else {
                bytes.append(byte)
                continue
            }
            guard let high = rest.popFirst().flatMap(self.hexadecimal), let low = rest.popFirst().flatMap(self.hexadecimal) else {
                return nil
            }
            bytes.append(high << 4 | low)
        }
        return String(validating: bytes, as: UTF8.self)
    }

    private static func hexadecimal(_ byte: UInt8) -> UInt8? {
        switch byte {
        case UInt8(ascii: "0")...UInt8(ascii: "9"): byte - UInt8(ascii: "0")
        case UInt8(ascii: "a")...UInt8(ascii: "f"): byte - UInt8(ascii: "a") + 10
        case UInt8(ascii: "A")...UInt8(ascii: "F"): byte - UInt8(ascii: "A") + 10
        default: nil
        }
    }
}

/// A user's name and password at a proxy. No description shows either.
public struct ProxyCredentials: Sendable, Hashable, CustomStringConvertible, CustomDebugStringConvertible {
    /// Why a proxy of this kind cannot be given them.
    public enum Invalid: Error, Equatable, Sendable {
        case controlCharacter
        case colonInUser
        case lengthForSOCKS
        /// Of a text that should hold both.
        case noColon

        public var sentence: String {
            switch self {
            case .controlCharacter: "the proxy's user or password has a control character in it"
            case .colonInUser: "a user's name with a colon in it cannot be sent by Basic authentication"
            case .lengthForSOCKS: "a user's name and password for SOCKS have 1 to 255 bytes each"
            case .noColon: "it is not a user's name, a colon and a password"
            }
        }
    }

    package let user: String
    package let password: String

    public init(user: String, password: String) {
        self.user = user
        self.password = password
    }

    /// Reads `user:password`, as it is: the first colon ends the user's name.
    public init(parsing text: String) throws(Invalid) {
        guard let colon = text.firstIndex(of: ":"), colon > text.startIndex else { throw .noColon }
        self.init(user: String(text[..<colon]), password: String(text[text.index(after: colon)...]))
    }

    public var description: String { "(proxy credentials)" }
    public var debugDescription: String { self.description }

    /// `Basic dXNlcjpwYXNz` (RFC 7617 §2), in UTF-8.
    var basic: String { "Basic " + Base64.encode("\(self.user):\(self.password)".utf8) }

    func unfit(for scheme: ProxyURL.Scheme) -> Invalid? {
        if scheme.isHTTP {
            // RFC 7617 §2.
            guard !self.user.utf8.contains(UInt8(ascii: ":")) else { return .colonInUser }
            let isControl = { (byte: UInt8) in byte < 0x20 || byte == 0x7F }
            guard !self.user.utf8.contains(where: isControl), !self.password.utf8.contains(where: isControl) else {
                return .controlCharacter
            }
        } else {
            // RFC 1929 §2.
            guard 1...255 ~= self.user.utf8.count, 1...255 ~= self.password.utf8.count else { return .lengthForSOCKS }
        }
        return nil
    }
}
