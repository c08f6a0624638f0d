public import Intermediaries
internal import TunnelProtocol
public import TunnelTransport

/// Everything a client needs to know before it starts.
public struct ClientConfiguration: Sendable {
    /// Which certificates of the server are accepted.
    public enum Trust: Sendable, Equatable {
        /// Those of the system's authorities and of these PEM files. For a server on loopback also the self-signed one that
        /// this user's own server left in the state folder.
        case authorities(files: [String])
        /// Exactly this certificate: `sha256:HEX`.
        case fingerprint(String)
        /// Any: whoever stands in between reads everything.
        case anything
    }

    /// What the client presents to a server that asks for a certificate: PEM files, not encrypted. One file may hold both.
    public struct Certificate: Sendable, Equatable {
        /// Begins with the client's own certificate; intermediate ones follow.
        public var chainFile: String
        public var keyFile: String

        public init(chainFile: String, keyFile: String) {
            self.chainFile = chainFile
            self.keyFile = keyFile
        }
    }

    public var server: ServerURL
    /// The pre-shared key.
    public var key: String
    public var exposures: [Exposure]
    public var trust: Trust
    /// Presented to the server if it asks; the key is needed all the same.
    public var certificate: Certificate?
    /// Whether the key may go over a connection that is not encrypted to another machine.
    public var allowsPlainTextKey: Bool
    public var stateFolder: StateFolder
    /// Time between PINGs.
    public var keepalive: Duration
    /// Attempts to connect in a row that may fail; `nil` for any number.
    public var maximumRetries: Int?
    /// What the client calls itself from one run to the next; `nil`: what the state folder says.
    public var clientID: String?
    /// Connections that the session is spread over, 1 to 8.
    public var links: Int
    /// How long streams may go on once the client has been asked to stop.
    public var gracePeriod: Duration
    /// Whether what streams send is compressed, if the server agrees. An observer of the connection learns from the lengths
    /// how much visitors' bytes repeat themselves.
    public var compression: Bool
    /// What windows and replay buffers may take beyond where each starts, in bytes. One session gets half of it, one stream half
    /// of that: what it can have on its way, so its rate times the round trip.
    public var memoryBudget: Int
    /// The forward proxy on the way to the server, whatever the server's address is; `nil`: straight to it.
    public var proxy: ProxyURL?
    /// Whether there is an event for each request of an HTTP tunnel.
    public var logsRequests: Bool

    /// Where requests of HTTP tunnels can be looked at; `nil`: nowhere, and nothing of them is kept.
    public var inspector: InspectorAddress?

    public init(
        server: ServerURL, key: String, exposures: [Exposure], trust: Trust = .authorities(files: []),
        certificate: Certificate? = nil,
        allowsPlainTextKey: Bool = false, stateFolder: StateFolder, keepalive: Duration = .seconds(20),
        maximumRetries: Int? = nil, clientID: String? = nil, links: Int = 1, gracePeriod: Duration = .seconds(30),
        compression: Bool = false,
        memoryBudget: Int = 256 << 20, proxy: ProxyURL? = nil, logsRequests: Bool = true,
        inspector: InspectorAddress? = nil
    ) {
        self.server = server
        self.key = key
        self.exposures = exposures
        self.trust = trust
        self.certificate = certificate
        self.allowsPlainTextKey = allowsPlainTextKey
        self.stateFolder = stateFolder
        self.keepalive = keepalive
        self.maximumRetries = maximumRetries
        self.clientID = clientID
        self.links = links
        self.gracePeriod = gracePeriod
        self.compression = compression
        self.memoryBudget = memoryBudget
        self.proxy = proxy
        self.logsRequests = logsRequests
        self.inspector = inspector
    }

    /// - Throws: `OperatorError` naming the first thing that cannot work.
    func validate() throws(OperatorError) {
        guard self.keepalive > .zero else {
            throw OperatorError(
                .badConfiguration, "a keepalive of no time at all takes the server for dead at once",
                remedy: "Leave --keepalive out for 20s, or choose what the load balancers on the way need.")
        }
        guard !self.key.isEmpty else {
            throw OperatorError(
                .badConfiguration, "there is no API key", remedy: "Set SOCKETS_API_KEY to the server's key.")
        }
        guard self.key.utf8.allSatisfy({ (0x21...0x7E).contains($0) }) else {
            throw OperatorError(
                .badConfiguration, "the API key has a blank, a control character or a letter beyond ASCII in it",
                remedy: "Look for a stray character in SOCKETS_API_KEY or the key file.")
        }
        guard 1...Int(Limits.Implementation.links) ~= self.links else {
            throw OperatorError(.badConfiguration, "a session has 1 to \(Limits.Implementation.links) links, not \(self.links)")
        }
        guard self.exposures.count <= Limits.Implementation.tunnels else {
            throw OperatorError(
                .badConfiguration, "a session has at most \(Limits.Implementation.tunnels) tunnels, not \(self.exposures.count)",
                remedy: "Run another client for the others.")
        }
        guard self.exposures.allSatisfy({ $0.http?.timeout ?? .seconds(1) > .zero }) else {
            throw OperatorError(.badConfiguration, "a time-out of no time at all leaves a service none to answer in")
        }
        guard self.certificate == nil || self.server.isSecure else {
            throw OperatorError(
                .badConfiguration, "a client certificate cannot be presented to \(self.server), which is without TLS",
                remedy: "Use wss://, or leave --client-cert and --client-key out.")
        }
        if let id = self.clientID {
            guard 1...Limits.Specification.textBytes ~= id.utf8.count, id == id.printable else {
                throw OperatorError(
                    .badConfiguration, "a client id has 1 to \(Limits.Specification.textBytes) bytes and no control characters",
                    remedy: "Check --client-id.")
            }
        }
        guard self.server.isSecure || self.server.isLoopback || self.allowsPlainTextKey else {
            throw OperatorError(
                .badConfiguration, "\(self.server) is not encrypted: everybody on the way could read the API key",
                remedy: "Use wss://. If the way is private, pass --allow-plain-text-key.")
        }
    }
}
