package import TunnelProtocol

/// An open HTTP tunnel, for whoever follows its requests.
package struct HTTPTunnel: Equatable, Sendable {
    package let number: TunnelNumber
    package let id: String
    /// What the user calls it; the host of its URL where it has no name.
    package let name: String
    package let url: String
    /// What it leads to: `http://127.0.0.1:3000`.
    package let service: String

    package init(number: TunnelNumber, id: String, name: String, url: String, service: String) {
        self.number = number
        self.id = id
        self.name = name.isEmpty ? Self.host(of: url) : name
        self.url = url
        self.service = service
    }

    /// Without scheme and path.
    package static func host(of url: String) -> String {
        let rest = url.split(separator: "://", maxSplits: 1).last ?? ""
        return String(rest.prefix { $0 != "/" })
    }
}
