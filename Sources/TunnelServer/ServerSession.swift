internal import Logging
internal import NIOCore
internal import OpenSSL
internal import TunnelProtocol
internal import TunnelTransport
internal import WebSocketProtocol

/// One client's presence: its connection, its link, its tunnels. Confined to the connection's event loop.
final class ServerSession: TunnelConnectionDelegate, LinkDelegate {
    /// A tunnel, from the moment its port is being opened.
    private struct Tunnel {
        let id: TunnelID
        var url = ""
        var listener: (any Channel)?
    }

    private let server: ServerContext
    private let eventLoop: any EventLoop
    private let id: SessionID
    private var logger: Logger
    private var tunnels: [TunnelNumber: Tunnel] = [:]
    private var connection: TunnelConnection?
    private var hasGreeted = false

    private init(server: ServerContext, eventLoop: any EventLoop) {
        self.server = server
        self.eventLoop = eventLoop
        self.id = SessionID(.random())
        self.logger = server.logger
        self.logger[metadataKey: "session"] = "\(self.id)"
    }

    /// Takes over a connection whose upgrade was accepted; the client greets first.
    static func start(on transport: TransportHandler, eventLoop: any EventLoop, server: ServerContext) {
        let session = ServerSession(server: server, eventLoop: eventLoop)
        let connection = TunnelConnection(
            transport: transport, hello: nil, terms: Frame.Terms(),
            keepalive: KeepaliveConfiguration(interval: server.configuration.keepalive), eventLoop: eventLoop,
            delegate: session)
        session.connection = connection
        if !server.add(session, on: eventLoop) { connection.close(.goingAway, "the server is shutting down") }
    }

    /// The server is stopping.
    func stop() {
        self.connection?.goAway(Frame.GoAway(reason: .shutdown, graceMilliseconds: 0))
        self.connection?.close(.goingAway, "the server is shutting down")
    }

    // MARK: The connection

    func connection(_ connection: TunnelConnection, greeted hello: Frame.Hello) {
        self.hasGreeted = true
        let address = connection.transport.remote
        connection.welcome(
            Frame.Welcome(
                agent: "ws-tunnel-server/\(programVersion)", terms: Frame.Terms(), session: self.id,
                token: ResumeToken(.random(), .random())),
            peerTerms: hello.terms, linkDelegate: self)
        var metadata: Logger.Metadata = ["address": "\(address)", "agent": "\(hello.agent)"]
        if let security = connection.transport.security?.negotiated {
            metadata["tls"] = "\(security.version) \(security.cipher)"
        }
        self.logger.info("client connected", metadata: metadata)
        self.server.emit(.clientConnected(session: "\(self.id)", address: address, agent: hello.agent))
    }

    func connection(_ connection: TunnelConnection, welcomed welcome: Frame.Welcome) {
        // A server is never welcomed: the room's state machine refuses the frame.
    }

    func connection(_ connection: TunnelConnection, goesAway goAway: Frame.GoAway) {
        self.logger.info("client announces its end", metadata: ["reason": "\(goAway.reason)"])
    }

    func connection(_ connection: TunnelConnection, ended end: ConnectionEnd) {
        self.connection = nil
        let level: Logger.Level = end.isFault ? .notice : .info
        let address = connection.transport.remote
        self.logger.log(
            level: level, self.hasGreeted ? "client disconnected" : "a connection ended before its greeting",
            metadata: ["address": "\(address)", "reason": "\(end.explanation)"])
        if self.hasGreeted {
            self.server.emit(.clientDisconnected(session: "\(self.id)", reason: end.explanation))
        }
        self.server.remove(self)
    }

    // MARK: The link

    func link(_ link: LinkDriver, received event: Link.Event) {
        switch event {
        case .listen(let listen): self.open(listen, link)
        case .unlisten(let number): self.close(number)
        case .opened(let open):
            // Clients open no streams yet; a later version may, and is told that this server does not take them.
            link.reset(open.stream, .noSuchTunnel)
        case .connected, .data, .finished, .reset, .sendable, .listening, .refused: break
        }
    }

    func linkEnded(_ link: LinkDriver) {
        for number in Array(self.tunnels.keys) { self.close(number) }
    }

    // MARK: Tunnels

    private func open(_ listen: Frame.Listen, _ link: LinkDriver) {
        func refuse(_ code: RefusalCode, _ message: String) {
            self.logger.notice("tunnel refused", metadata: ["reason": "\(message)"])
            link.send(.refused(Frame.Refused(tunnel: listen.tunnel, code: code, message: message)))
        }
        guard listen.kind == .tcp else {
            return refuse(.unknownKind, "this server does not know tunnels of kind \(listen.kind.rawValue)")
        }
        guard self.tunnels[listen.tunnel] == nil else {
            return refuse(.notAllowed, "tunnel number \(listen.tunnel) is in use")
        }
        guard self.tunnels.count < Limits.Implementation.tunnels else {
            return refuse(.exhausted, "a session has at most \(Limits.Implementation.tunnels) tunnels")
        }
        let policy = self.server.configuration.tcpPorts
        if let port = listen.port, listen.portIsRequired, !policy.allows(port) {
            return refuse(.notAllowed, "port \(port) is not among this server's ports for tunnels (\(policy))")
        }
        let id = TunnelID(random: .random())
        self.tunnels[listen.tunnel] = Tunnel(id: id)
        self.bind(PortCandidates(listen, policy), id, listen, link, refuse)
    }

    /// Tries one port after the other until one is free.
    private func bind(
        _ candidates: PortCandidates, _ id: TunnelID, _ listen: Frame.Listen, _ link: LinkDriver,
        _ refuse: @escaping (RefusalCode, String) -> Void
    ) {
        // The tunnel may have been given up meanwhile, and its number taken by another.
        guard self.tunnels[listen.tunnel]?.id == id else { return }
        var candidates = candidates
        guard let port = candidates.next() else {
            self.tunnels[listen.tunnel] = nil
            return listen.portIsRequired
                ? refuse(.taken, "port \(listen.port ?? 0) is taken")
                : refuse(.exhausted, "no port of this server's range is free")
        }
        let number = listen.tunnel
        Listeners.visitors(
            host: self.server.configuration.bind, port: Int(port), of: number, link: link,
            failed: { [server = self.server] in server.cannotAccept(on: "port \(port)", $0) },
            opened: { [weak self] stream, visitor in self?.visitorArrived(number, stream, visitor) }
        ).assumeIsolated().whenComplete { result in
            switch result {
            case .success(let listener): self.opened(number, id, listener, link)
            case .failure(let error) where isAddressTaken(error):
                self.bind(candidates, id, listen, link, refuse)
            case .failure(let error):
                guard self.tunnels[number]?.id == id else { return }
                self.tunnels[number] = nil
                refuse(.internalError, "port \(port) cannot be opened: \(describe(error))")
            }
        }
    }

    private func opened(_ number: TunnelNumber, _ id: TunnelID, _ listener: any Channel, _ link: LinkDriver) {
        // The client may have left, or given the tunnel up, while the port was being opened.
        guard var tunnel = self.tunnels[number], tunnel.id == id, self.connection != nil,
            let port = listener.localAddress?.port
        else {
            listener.close(promise: nil)
            return
        }
        let host = self.server.configuration.publicHost
        tunnel.url = "\(host.contains(":") ? "[\(host)]" : host):\(port)"
        tunnel.listener = listener
        self.tunnels[number] = tunnel
        link.send(
            .listening(
                Frame.Listening(tunnel: number, id: tunnel.id, url: tunnel.url, port: UInt16(truncatingIfNeeded: port))))
        self.logger.info("tunnel open", metadata: ["tunnel": "\(tunnel.id)", "url": "\(tunnel.url)"])
        self.server.emit(.tunnelOpened(id: "\(tunnel.id)", url: tunnel.url, session: "\(self.id)"))
    }

    private func close(_ number: TunnelNumber) {
        guard let tunnel = self.tunnels.removeValue(forKey: number), let listener = tunnel.listener else { return }
        listener.close(promise: nil)
        self.logger.info("tunnel closed", metadata: ["tunnel": "\(tunnel.id)", "url": "\(tunnel.url)"])
        self.server.emit(.tunnelClosed(id: "\(tunnel.id)", url: tunnel.url, session: "\(self.id)"))
    }

    private func visitorArrived(_ number: TunnelNumber, _ stream: StreamID, _ visitor: Endpoint?) {
        self.logger.debug(
            "visitor arrived",
            metadata: [
                "tunnel": "\(self.tunnels[number]?.id.description ?? "")", "stream": "\(stream)",
                "visitor": "\(visitor?.description ?? "")",
            ])
    }
}
