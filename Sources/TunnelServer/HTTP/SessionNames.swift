internal import HTTPMessages
internal import Logging
internal import NIOCore
internal import TunnelProtocol
internal import TunnelTransport

/// Tunnels of a session that have a name instead of a port.
extension ServerSession {
    /// Random names that are tried before giving up: of 10^9 there are, hardly one is taken.
    private static let attempts = 8

    /// - Parameter refuse: Tells the client why not.
    func openNamed(
        _ listen: Frame.Listen, _ policy: TunnelPolicy?, _ link: LinkDriver, _ refuse: (RefusalCode, String) -> Void
    ) {
        let id = TunnelID(random: .random())
        let session = NIOLoopBound(self, eventLoop: self.eventLoop)
        func claim(_ name: String) -> Bool {
            let number = listen.tunnel
            let named = NamedTunnel(name, id: id, kind: listen.kind, policy: policy, home: self.eventLoop) { end, visitor, destination in
                if listen.kind == .tls, let visitor, policy?.admits(visitor.address) == false { return nil }
                return session.value.open(end, to: number, id, visitor, destination)
            }
            guard self.server.names.claim(for: named, key: self.key, group: listen.group) else { return false }
            let url = self.server.publicURL(of: name, kind: listen.kind)
            self.opened(listen.tunnel, Tunnel(id: id, url: url, named: named), port: nil, link)
            return true
        }
        if !listen.hostname.isEmpty {
            switch self.server.name(listen.hostname, key: self.key) {
            case .allowed(let name):
                if claim(name) { return }
                if listen.hostnameIsRequired {
                    return refuse(
                        .taken,
                        listen.group.isEmpty
                            ? "the name \(name) is taken" : "the name \(name) is taken, by another group or another key")
                }
            case .refused(let why): if listen.hostnameIsRequired { return refuse(.notAllowed, why) }
            }
        }
        guard let domain = self.server.domain else {
            return refuse(
                .notAllowed, "this server gives tunnels no names; its operator has to start it with --domain, or expose tcp:// instead")
        }
        for _ in 0..<Self.attempts {
            let random = Opaque16.random()
            let digest = (0..<8).map { UInt8(truncatingIfNeeded: random.high >> (8 * $0)) }
            if claim("\(TunnelName.readable(from: digest)).\(domain.name)") { return }
        }
        refuse(.exhausted, "no name below \(domain.name) is free")
    }

    func healthChanged(_ number: TunnelNumber, isWell: Bool) {
        guard let tunnel = self.tunnels[number], let named = tunnel.named, named.isWell != isWell else { return }
        named.isWell = isWell
        self.logger.info(
            isWell ? "a tunnel's service is well again" : "a tunnel's service is not well",
            metadata: ["tunnel": "\(tunnel.id)", "url": "\(tunnel.url)"])
    }

    /// For a visitor.
    private func open(
        _ end: any StreamEnd, to number: TunnelNumber, _ id: TunnelID, _ visitor: Endpoint?, _ destination: Endpoint?
    ) -> (link: LinkDriver, id: StreamID)? {
        guard self.tunnels[number]?.id == id, let link = self.linkForVisitor(),
            let stream = link.open(end, tunnel: number, visitor: visitor, destination: destination)
        else { return nil }
        return (link, stream)
    }
}
