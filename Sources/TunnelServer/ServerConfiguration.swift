internal import HTTPMessages
public import Intermediaries
internal import TunnelProtocol
public import TunnelTransport

/// Everything a server needs to know before it starts.
public struct ServerConfiguration: Sendable {
    /// How connections on the listening port are secured.
    public enum Security: Sendable {
        /// A certificate of the server's own, made once and kept in the state folder.
        case selfSigned
        case certificate(chainFile: String, keyFile: String)
        /// No TLS: a load balancer in front ends it.
        case plain

        var isPlain: Bool { if case .plain = self { true } else { false } }
    }

    /// Where tunnels have names instead of ports.
    public enum DomainPolicy: Sendable, Hashable {
        /// Below `localhost` when that is the host shown in URLs, else nowhere.
        case automatic
        case off
        /// Below this name, which resolves to the server, as every name below it does.
        case below(TunnelDomain)
    }

    /// Which ports TCP tunnels may have.
    public enum PortPolicy: Sendable, Equatable {
        /// Any port a client asks for from 1024 up; else one the system picks.
        case any
        case range(ClosedRange<UInt16>)
    }

    /// Which versions of the PROXY protocol begin a connection.
    public enum ProxyProtocol: String, Sendable, CaseIterable {
        case off, v1, v2
        /// Either version; a header is required all the same.
        case auto

        var versions: Set<ProxyVersion> {
            switch self {
            case .off: []
            case .v1: [.v1]
            case .v2: [.v2]
            case .auto: [.v1, .v2]
            }
        }
    }

    /// Where tunnel connections arrive.
    public var listen: ListenAddress
    /// The address on which tunnels' ports listen.
    public var bind: String
    public var tcpPorts: PortPolicy
    /// The host shown in URLs.
    public var publicHost: String
    /// Below which name HTTP tunnels have theirs.
    public var domain: DomainPolicy
    /// Host names beyond the domain that any key may have for its tunnels.
    public var hostnames: [HostnamePattern]
    /// Host names that one key may have, besides.
    public var hostnamesByKey: [String: [HostnamePattern]]
    /// Where visitors of TLS tunnels may come besides `listen`; they ask for a tunnel by the name in their ClientHello.
    public var tlsListen: ListenAddress?
    public var security: Security
    /// A PEM file of authorities: clients must present a certificate of one of them besides the key. `nil`: they are not asked for
    /// one.
    public var clientAuthorities: String?
    /// The pre-shared keys; any of them lets a client in. None may be empty.
    public var keys: [String]
    public var stateFolder: StateFolder
    /// Time between PINGs to each client.
    public var keepalive: Duration
    /// How long a session outlives its connection; zero: not at all.
    public var resumeWindow: Duration
    /// How long streams may go on once the server has been asked to stop.
    public var gracePeriod: Duration
    /// Age at which connections are replaced by new ones, which streams do not notice; `nil`: never.
    public var maximumConnectionAge: Duration?
    /// Whether what streams send is compressed on connections of clients that ask for it too. An observer of the connection
    /// learns from the lengths how much visitors' bytes repeat themselves.
    public var compression: Bool
    /// What windows and replay buffers may take beyond where each starts, in bytes. One session gets half of it, one stream half
    /// of that: what it can have on its way, so its rate times the round trip.
    public var memoryBudget: Int
    /// Whose word is taken for where a connection comes from: X-Forwarded-For, Forwarded and X-Forwarded-Proto of a request, and the
    /// header of the PROXY protocol. Empty: nobody's.
    public var trustedProxies: [CIDR]
    /// On the listening port: those of the trusted proxies begin every connection with a header, and nobody else is let in.
    public var proxyProtocol: ProxyProtocol
    /// Likewise on the tunnels' ports.
    public var tunnelProxyProtocol: ProxyProtocol

    public init(
        keys: [String], listen: ListenAddress = ListenAddress(host: "0.0.0.0", port: 8443), bind: String = "0.0.0.0",
        tcpPorts: PortPolicy = .any, publicHost: String = "localhost",
        domain: DomainPolicy = .automatic, hostnames: [HostnamePattern] = [], hostnamesByKey: [String: [HostnamePattern]] = [:],
        tlsListen: ListenAddress? = nil,
        security: Security = .selfSigned,
        clientAuthorities: String? = nil,
        stateFolder: StateFolder, keepalive: Duration = .seconds(20), resumeWindow: Duration = .seconds(60),
        gracePeriod: Duration = .seconds(30), maximumConnectionAge: Duration? = nil,
        compression: Bool = false,
        memoryBudget: Int = 256 << 20,
        trustedProxies: [CIDR] = [], proxyProtocol: ProxyProtocol = .off, tunnelProxyProtocol: ProxyProtocol = .off
    ) {
        self.keys = keys
        self.listen = listen
        self.bind = bind
        self.tcpPorts = tcpPorts
        self.publicHost = publicHost
        self.domain = domain
        self.tlsListen = tlsListen
        self.hostnames = hostnames
        self.hostnamesByKey = hostnamesByKey
        self.security = security
        self.clientAuthorities = clientAuthorities
        self.stateFolder = stateFolder
        self.keepalive = keepalive
        self.resumeWindow = resumeWindow
        self.gracePeriod = gracePeriod
        self.maximumConnectionAge = maximumConnectionAge
        self.compression = compression
        self.memoryBudget = memoryBudget
        self.trustedProxies = trustedProxies
        self.proxyProtocol = proxyProtocol
        self.tunnelProxyProtocol = tunnelProxyProtocol
    }

    var tunnelDomain: TunnelDomain? {
        switch self.domain {
        case .automatic: self.publicHost == "localhost" ? .localhost : nil
        case .off: nil
        case .below(let domain): domain
        }
    }

    /// - Throws: `OperatorError` naming the first thing that cannot work.
    func validate() throws(OperatorError) {
        guard self.keepalive > .zero else {
            throw OperatorError(
                .badConfiguration, "a keepalive of no time at all takes clients for dead at once",
                remedy: "Leave --keepalive out for 20s, or choose what the load balancers on the way need.")
        }
        if case .plain = self.security, self.clientAuthorities != nil {
            throw OperatorError(
                .badConfiguration, "clients cannot be asked for certificates without TLS",
                remedy: "Leave --client-ca out: the load balancer in front, which ends TLS, is who has to ask.")
        }
        guard !self.keys.isEmpty, self.keys.allSatisfy({ !$0.isEmpty }) else {
            throw OperatorError(
                .badConfiguration, "the server has no API key",
                remedy: "Set SOCKETS_API_KEY, for example to the output of: openssl rand -hex 32")
        }
        // RFC 6750 §2.1 allows fewer; what a header field carries safely is what matters here.
        guard self.keys.allSatisfy({ $0.utf8.allSatisfy { (0x21...0x7E).contains($0) } }) else {
            throw OperatorError(
                .badConfiguration, "the API key has a blank, a control character or a letter beyond ASCII in it",
                remedy: "Use printable ASCII, for example the output of: openssl rand -hex 32")
        }
        guard !self.bind.isEmpty else {
            throw OperatorError(
                .badConfiguration, "--bind names no address for tunnels' ports", remedy: "Leave it out for 0.0.0.0: every address, IPv4 only.")
        }
        guard Endpoint.Address(text: self.publicHost) != nil || TunnelName.normalizedHost(self.publicHost) != nil else {
            throw OperatorError(
                .badConfiguration, "\"\(self.publicHost.printable)\" is not a host that URLs can show",
                remedy: "Write --public-host as a name or an address, with neither scheme nor port: tunnel.example.com or 2001:db8::5.")
        }
        let protocols = [("--proxy-protocol", self.proxyProtocol), ("--tunnel-proxy-protocol", self.tunnelProxyProtocol)]
        for (option, value) in protocols where value != .off && self.trustedProxies.isEmpty {
            throw OperatorError(
                .badConfiguration, "\(option) \(value.rawValue) needs to know from whom: anybody could claim any address",
                remedy: "Name the load balancers' addresses, for example --trusted-proxies 10.0.0.0/8,192.0.2.7.")
        }
    }

    /// Reads host names with commas between them: `app.example.org,*.example.net`.
    public static func hostnames(_ text: String) throws(OperatorError) -> [HostnamePattern] {
        var patterns: [HostnamePattern] = []
        for part in text.split(separator: ",", omittingEmptySubsequences: false) {
            patterns.append(try HostnamePattern(String(part.drop { $0 == " " })))
        }
        return patterns
    }

    /// Reads networks and addresses with commas between them: `10.0.0.0/8,2001:db8::7`.
    public static func networks(_ text: String) throws(OperatorError) -> [CIDR] {
        var networks: [CIDR] = []
        for part in text.split(separator: ",", omittingEmptySubsequences: false) {
            do throws(CIDRError) {
                networks.append(try CIDR(String(part.drop { $0 == " " })))
            } catch {
                throw OperatorError(
                    .badConfiguration, "cannot trust the proxies \(text): \(error.sentence)",
                    remedy: "Write --trusted-proxies as 10.0.0.0/8,192.0.2.7,2001:db8::/32.")
            }
        }
        return networks
    }
}

/// An address to listen on: `0.0.0.0:8443`, `[::]:8443`.
public struct ListenAddress: Sendable, Hashable, CustomStringConvertible {
    public var host: String
    /// 0 lets the system choose.
    public var port: UInt16

    public init(host: String, port: UInt16) {
        self.host = host
        self.port = port
    }

    public init(_ text: String) throws(OperatorError) {
        guard let colon = text.lastIndex(of: ":"), let port = UInt16(text[text.index(after: colon)...]) else {
            throw Self.malformed(text)
        }
        let written = String(text[..<colon])
        let host = Self.host(written)
        guard host != written || !host.contains(":") else { throw Self.malformed(text) }
        self.init(host: host.isEmpty ? "0.0.0.0" : host, port: port)
    }

    /// A host as it is written with a port or without: an IPv6 address may have its brackets.
    ///
    /// - Returns: It, without them.
    public static func host(_ text: String) -> String {
        text.hasPrefix("[") && text.hasSuffix("]") ? String(text.dropFirst().dropLast()) : text
    }

    public var description: String {
        self.host.contains(":") ? "[\(self.host)]:\(self.port)" : "\(self.host):\(self.port)"
    }

    private static func malformed(_ text: String) -> OperatorError {
        OperatorError(
            .badConfiguration, "\(text) is not an address to listen on",
            remedy: "Write it as HOST:PORT, for example 0.0.0.0:8443 or [::]:8443.")
    }
}
