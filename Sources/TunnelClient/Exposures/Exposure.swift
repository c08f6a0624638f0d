public import Intermediaries
internal import TunnelProtocol
public import TunnelTransport

/// A service to expose, and how.
public struct Exposure: Sendable, Hashable {
    /// What arrives at the public address.
    public enum Kind: Sendable, Hashable {
        /// TCP connections to a port.
        case tcp
        /// HTTP requests for a host name.
        case http(HTTPExposure)
        /// TLS connections for a host name; they pass through as they are.
        case tls
    }

    public var service: ServiceAddress
    public var kind: Kind
    /// The port visitors use, with TCP; `nil` for any.
    public var remotePort: UInt16?
    /// With HTTP and TLS: a label below the server's domain, or with dots a whole host name; empty for any.
    public var hostname: String
    /// Clients that give the same group share one host name; empty: it is this client's alone.
    public var group: String
    /// When there are any, only visitors from these networks are let in.
    public var allowedNetworks: [CIDR]
    /// Visitors from these are not, be they among the above or not.
    public var deniedNetworks: [CIDR]
    /// What the user calls it.
    public var name: String
    /// The PROXY protocol that tells the service where each visitor comes from; `nil`: it sees connections of the client's.
    public var proxyVersion: ProxyVersion?

    public init(
        service: ServiceAddress, remotePort: UInt16? = nil, name: String = "", proxyVersion: ProxyVersion? = nil,
        kind: Kind = .tcp, hostname: String = "", group: String = "", allowedNetworks: [CIDR] = [], deniedNetworks: [CIDR] = []
    ) {
        self.service = service
        self.kind = kind
        self.remotePort = remotePort
        self.hostname = hostname
        self.group = group
        self.allowedNetworks = allowedNetworks
        self.deniedNetworks = deniedNetworks
        self.name = name
        self.proxyVersion = proxyVersion
    }

    /// What an HTTP tunnel does with requests; `nil` for the other kinds.
    public var http: HTTPExposure? {
        get { if case .http(let http) = self.kind { http } else { nil } }
        set { if let newValue { self.kind = .http(newValue) } }
    }

    /// Whether visitors come by a host name instead of a port.
    public var hasName: Bool { self.kind != .tcp }

    /// The service as a user would write it: `127.0.0.1:8000`, `http://127.0.0.1:3000`, `http+unix:/run/app`, `tls://127.0.0.1:8443`.
    public var target: String {
        switch (self.kind, self.service) {
        case (.tcp, _): "\(self.service)"
        case (.tls, .tcp): "tls://\(self.service)"
        case (.tls, .unix): "tls+\(self.service)"
        case (.http(let http), .tcp): "\(http.isSecure ? "https" : "http")://\(self.service)"
        case (.http(let http), .unix): "\(http.isSecure ? "https" : "http")+\(self.service)"
        }
    }

    var wireKind: Frame.TunnelKind {
        switch self.kind {
        case .tcp: .tcp
        case .http: .http
        case .tls: .tls
        }
    }
}
