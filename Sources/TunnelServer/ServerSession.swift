internal import HTTPMessages
internal import Logging
internal import NIOCore
internal import TunnelProtocol
internal import TunnelTransport
internal import WebSocketProtocol

/// One client's presence: its links, its tunnels. It outlives the connections that carry the links. Confined to its event loop.
final class ServerSession: LinkDelegate {
    /// A tunnel, from the moment its port is being opened.
    struct Tunnel {
        let id: TunnelID
        var url = ""
        var listener: (any Channel)?
        /// For a tunnel that has a name instead of a port.
        var named: NamedTunnel?

        /// Whether its client has been told that it is open.
        var isOpen: Bool { self.listener != nil || self.named != nil }
    }

    let id = SessionID(.random())
    let identity: ClientIdentity?
    let server: ServerContext
    let eventLoop: any EventLoop
    /// For its windows and replay buffers.
    let memory: MemoryBudget
    let key: Int
    private(set) var logger: Logger
    var tunnels: [TunnelNumber: Tunnel] = [:]
    private(set) var links: [UInt64: ServerLink] = [:]
    /// The ports that a former session of this client had.
    private let formerPorts: [TunnelNumber: UInt16]
    private var isLeaving = false
    /// When the client will be gone, once it has said so.
    private var departure: Instant?
    private var hasEnded = false
    private var isPaused = false
    private var grace: Scheduled<Void>?

    private init(
        _ identity: ClientIdentity?, key: Int, ports: [TunnelNumber: UInt16], on eventLoop: any EventLoop,
        _ server: ServerContext
    ) {
        self.server = server
        self.memory = MemoryBudget(partOf: server.memory)
        self.eventLoop = eventLoop
        self.identity = identity
        self.key = key
        self.formerPorts = ports
        self.logger = server.logger
        self.logger[metadataKey: "session"] = "\(self.id)"
    }

    /// Begins with a connection that has greeted.
    ///
    /// - Parameter ports: Those of a former session of the same client: it gets them again if it asks for no others.
    static func begin(
        _ connection: TunnelConnection, _ hello: Frame.Hello, _ identity: ClientIdentity?, key: Int,
        ports: [TunnelNumber: UInt16], on eventLoop: any EventLoop, _ server: ServerContext
    ) {
        let session = ServerSession(identity, key: key, ports: ports, on: eventLoop, server)
        if let (code, reason) = server.add(session, on: eventLoop) { return connection.close(code, reason) }
        let link = ServerLink(
            number: 0, peerTerms: hello.terms, session: session, server: server, eventLoop: eventLoop)
        session.links[0] = link
        let address = connection.transport.remote
        link.carry(on: connection, nil)
        session.logger.info("client connected", metadata: session.facts(connection, hello))
        server.emit(.clientConnected(session: "\(session.id)", address: address, agent: hello.agent))
    }

    /// A connection that has greeted wants to carry on one of the links, or to add one.
    func take(_ connection: TunnelConnection, _ hello: Frame.Hello, _ resumption: Frame.Resumption, key: Int) {
        let link = self.links[resumption.link]
        if key == self.key, self.mayBeResumed {
            if let link {
                guard !link.isLate(resumption) else {
                    return connection.close(.replaced, "a newer connection is here already")
                }
                if link.accepts(resumption.token), link.driver.isPossible(received: resumption.received) {
                    return self.resume(link, connection, hello, resumption)
                }
            }
            // A link whose WELCOME its client never got is joined anew; what waits on it has nobody to wait for.
            if resumption.link > 0, resumption.received == 0, link?.connection == nil,
                self.links[0]?.accepts(resumption.token) == true
            {
                link?.end(.replaced, "its client joins anew") {}
                return self.add(resumption, connection, hello)
            }
        }
        self.logger.notice(
            "a connection may not carry this session on",
            metadata: ["address": "\(connection.transport.remote)", "reason": "its token, key or count is not the session's"])
        guard resumption.link == 0 else { return connection.close(.unknownLink, "the link is not known here") }
        Self.begin(connection, hello, nil, key: key, ports: [:], on: self.eventLoop, self.server)
    }

    private func resume(
        _ link: ServerLink, _ connection: TunnelConnection, _ hello: Frame.Hello, _ resumption: Frame.Resumption
    ) {
        let repeated = link.carry(on: connection, resumption)
        self.server.count {
            $0.resumptions += 1
            $0.repeatedBytes += repeated
        }
        self.linksChanged()
        var facts = self.facts(connection, hello)
        facts["streams"] = "\(link.driver.streamCount)"
        facts["repeated-bytes"] = "\(repeated)"
        self.logger.info("link resumed", metadata: facts)
        self.server.emit(
            .clientResumed(session: "\(self.id)", streams: link.driver.streamCount, repeatedBytes: repeated))
    }

    private func add(_ resumption: Frame.Resumption, _ connection: TunnelConnection, _ hello: Frame.Hello) {
        let number = resumption.link
        let link = ServerLink(
            number: number, peerTerms: hello.terms, session: self, server: self.server, eventLoop: self.eventLoop)
        self.links[number] = link
        link.carry(on: connection, resumption)
        self.logger.info("link added", metadata: self.facts(connection, hello).merging(["link": "\(number)"]) { $1 })
    }

    private func facts(_ connection: TunnelConnection, _ hello: Frame.Hello) -> Logger.Metadata {
        var metadata: Logger.Metadata = ["address": "\(connection.transport.remote)", "agent": "\(hello.agent)"]
        if let security = connection.transport.security?.negotiated {
            metadata["tls"] = "\(security.version) \(security.cipher)"
        }
        if let proto = connection.transport.forwarded?.proto { metadata["proto"] = "\(proto)" }
        return metadata
    }

    // MARK: Its end

    /// How long the client may still come back after a loss.
    var timeLeft: Duration { self.departure.map { $0 - .now } ?? .seconds(Int64.max) }

    /// Whether a lost connection may be followed by another.
    var mayBeResumed: Bool {
        !self.hasEnded && !self.isLeaving && self.server.configuration.resumeWindow > .zero
    }

    /// A client of the same name is here. A dead session makes room for it.
    ///
    /// - Parameter answer: The ports this session had, once it has ended; `nil` if its client is alive.
    func yield(within time: TimeAmount, answer: @escaping ([TunnelNumber: UInt16]?) -> Void) {
        let ports = self.tunnels.compactMapValues { $0.listener?.localAddress?.port.map(UInt16.init(truncatingIfNeeded:)) }
        func leave() {
            self.end(.replaced, "another run of the client took its place", isFault: false)
            answer(ports)
        }
        guard !self.hasEnded else { return answer([:]) }
        guard let connection = self.links.values.lazy.compactMap(\.connection).first else { return leave() }
        connection.probe(within: time) { isAlive in
            if isAlive, !self.hasEnded { answer(nil) } else { leave() }
        }
    }

    /// The server stops: no new visitors, and what is under way has until the end of the grace period.
    func leave(within grace: Duration) {
        guard !self.isLeaving, !self.hasEnded else { return }
        self.isLeaving = true
        self.closeTunnels()
        let goAway = Frame.GoAway(reason: .shutdown, graceMilliseconds: UInt64(clamping: grace.wholeMilliseconds))
        for link in self.links.values {
            link.goAway(goAway)
            link.driver.whenQuiet = { self.endIfQuiet() }
        }
        self.grace = self.eventLoop.assumeIsolated().scheduleTask(in: .nanoseconds(grace.wholeNanoseconds)) {
            self.end(.goingAway, "the server is shutting down", isFault: false)
        }
        self.endIfQuiet()
    }

    func clientGoesAway(_ goAway: Frame.GoAway) {
        self.logger.info("client announces its end", metadata: ["reason": "\(goAway.reason)"])
        guard goAway.reason == .shutdown else { return }
        self.departure = .now + .milliseconds(Int64(clamping: goAway.graceMilliseconds))
        let closed = Array(self.tunnels.keys)
        self.closeTunnels()
        // The client waits for it: every visitor who was let in before is on its way by then.
        guard let link = self.links[0] ?? self.links.values.first else { return }
        for number in closed { link.driver.send(.unlisten(number)) }
    }

    func linkStreamEnded(_ link: LinkDriver) {}

    private func endIfQuiet() {
        // A link without a connection has nobody who could finish its streams.
        guard self.isLeaving, self.links.values.allSatisfy({ $0.driver.isQuiet || $0.connection == nil }) else { return }
        self.end(.goingAway, "the server is shutting down", isFault: false)
    }

    private func end(_ code: CloseCode, _ reason: String, isFault: Bool) {
        guard !self.hasEnded else { return }
        self.hasEnded = true
        self.grace?.cancel()
        self.closeTunnels()
        self.server.forget(self)
        let address = self.links[0]?.connection?.transport.remote
        let links = self.links.values
        self.links = [:]
        self.linksChanged()
        if !self.isLeaving, self.departure == nil { self.server.count { $0.lostSessions += 1 } }
        // The server may end when its last session has: not before every word is out.
        var open = links.count
        for link in links {
            link.end(code, reason) {
                open -= 1
                if open == 0 { self.server.remove(self) }
            }
        }
        if links.isEmpty { self.server.remove(self) }
        var facts: Logger.Metadata = ["reason": "\(reason)"]
        if let address { facts["address"] = "\(address)" }
        self.logger.log(level: isFault ? .notice : .info, "client disconnected", metadata: facts)
        self.server.emit(.clientDisconnected(session: "\(self.id)", reason: reason))
    }

    // MARK: The links

    func linkSuspended(_ link: ServerLink, because reason: String, isFault: Bool) {
        self.server.count { $0.pauses += 1 }
        self.linksChanged()
        self.logger.log(
            level: isFault ? .notice : .info, "lost a connection; the session waits for its client",
            metadata: ["reason": "\(reason)", "streams": "\(link.driver.streamCount)"])
        self.server.emit(
            .clientPaused(session: "\(self.id)", streams: link.driver.streamCount, reason: reason))
    }

    /// A link that nothing will carry on: the session ends with its first one, and goes on without any other.
    func linkEnded(_ link: ServerLink, because reason: String, isFault: Bool) {
        guard link.number > 0 else { return self.end(.goingAway, reason, isFault: isFault) }
        self.links[link.number] = nil
        link.end(.goingAway, reason) {}
        self.linksChanged()
        self.endIfQuiet()
    }

    /// A link lost its connection, got another, or is gone.
    private func linksChanged() {
        let isCarried = self.links.values.contains { $0.connection != nil }
        for tunnel in self.tunnels.values { tunnel.named?.set(isCarried: isCarried) }
        let isPaused = self.links.values.contains { $0.connection == nil }
        guard isPaused != self.isPaused else { return }
        self.isPaused = isPaused
        self.server.count { $0.pausedSessions += isPaused ? 1 : -1 }
    }

    /// The link for a new visitor: of those that are carried, the one with the fewest streams.
    func linkForVisitor() -> LinkDriver? {
        let drivers = self.links.values.map(\.driver)
        let carried = drivers.filter(\.isCarried)
        return (carried.isEmpty ? drivers : carried).min { $0.streamCount < $1.streamCount }
    }

    func link(_ link: LinkDriver, received event: Link.Event) {
        switch event {
        case .listen(let listen): self.open(listen, link)
        case .unlisten(let number): self.close(number)
        case .opened(let open):
            // Clients open no streams yet; a later version may, and is told that this server does not take them.
            link.reset(open.stream, .noSuchTunnel)
        case .health(let number, let isWell): self.healthChanged(number, isWell: isWell)
        case .connected, .data, .finished, .reset, .sendable, .listening, .refused: break
        }
    }

    // MARK: Tunnels

    private func open(_ listen: Frame.Listen, _ link: LinkDriver) {
        func refuse(_ code: RefusalCode, _ message: String) {
            self.logger.notice("tunnel refused", metadata: ["reason": "\(message)"])
            link.send(.refused(Frame.Refused(tunnel: listen.tunnel, code: code, message: message)))
        }
        guard !self.isLeaving else { return refuse(.internalError, "the server is shutting down") }
        guard [.tcp, .http, .tls].contains(listen.kind) else {
            return refuse(.unknownKind, "this server does not know tunnels of kind \(listen.kind.rawValue)")
        }
        guard self.tunnels[listen.tunnel] == nil else {
            return refuse(.notAllowed, "tunnel number \(listen.tunnel) is in use")
        }
        guard self.tunnels.count < Limits.Implementation.tunnels else {
            return refuse(.exhausted, "a session has at most \(Limits.Implementation.tunnels) tunnels")
        }
        let policy: TunnelPolicy?
        do {
            policy = try listen.policy.map { bytes throws(MalformedPolicy) in try TunnelPolicy(decoding: bytes) }
        } catch {
            return refuse(.notAllowed, "this server cannot apply the tunnel's policy: \(error.sentence)")
        }
        guard listen.kind == .tcp else { return self.openNamed(listen, policy, link, refuse) }
        let ports = self.server.configuration.tcpPorts
        if let port = listen.port, listen.portIsRequired, !ports.allows(port) {
            return refuse(.notAllowed, "port \(port) is not among this server's ports for tunnels (\(ports))")
        }
        var listen = listen
        listen.port = listen.port ?? self.formerPorts[listen.tunnel]
        let id = TunnelID(random: .random())
        self.tunnels[listen.tunnel] = Tunnel(id: id)
        self.bind(PortCandidates(listen, ports), id, listen, policy, link, refuse)
    }

    /// Tries one port after the other until one is free.
    private func bind(
        _ candidates: PortCandidates, _ id: TunnelID, _ listen: Frame.Listen, _ policy: TunnelPolicy?, _ link: LinkDriver,
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
            host: self.server.configuration.bind, port: Int(port), of: number, on: self.eventLoop,
            proxies: self.server.proxies(self.server.configuration.tunnelProxyProtocol, "a visitor"),
            admits: { policy?.admits($0) ?? true }, link: { [weak self] in self?.linkForVisitor() ?? link },
            failed: { [server = self.server] in server.cannotAccept(on: "port \(port)", $0) },
            opened: { [weak self] stream, visitor in self?.visitorArrived(number, stream, visitor) }
        ).assumeIsolated().whenComplete { result in
            switch result {
            case .success(let listener): self.opened(number, id, listener, link)
            case .failure(let error) where isAddressTaken(error):
                self.bind(candidates, id, listen, policy, link, refuse)
            case .failure(let error):
                guard self.tunnels[number]?.id == id else { return }
                self.tunnels[number] = nil
                refuse(.internalError, "port \(port) cannot be opened: \(describe(error))")
            }
        }
    }

    private func opened(_ number: TunnelNumber, _ id: TunnelID, _ listener: any Channel, _ link: LinkDriver) {
        // The client may have left, or given the tunnel up, while the port was being opened.
        guard var tunnel = self.tunnels[number], tunnel.id == id, let port = listener.localAddress?.port else {
            listener.close(promise: nil)
            return
        }
        let host = self.server.configuration.publicHost
        tunnel.url = "\(host.contains(":") ? "[\(host)]" : host):\(port)"
        tunnel.listener = listener
        self.opened(number, tunnel, port: UInt16(truncatingIfNeeded: port), link)
    }

    func opened(_ number: TunnelNumber, _ tunnel: Tunnel, port: UInt16?, _ link: LinkDriver) {
        self.tunnels[number] = tunnel
        link.send(.listening(Frame.Listening(tunnel: number, id: tunnel.id, url: tunnel.url, port: port)))
        self.logger.info("tunnel open", metadata: ["tunnel": "\(tunnel.id)", "url": "\(tunnel.url)"])
        self.server.emit(.tunnelOpened(id: "\(tunnel.id)", url: tunnel.url, session: "\(self.id)"))
    }

    private func closeTunnels() {
        for number in Array(self.tunnels.keys) { self.close(number) }
    }

    private func close(_ number: TunnelNumber) {
        guard let tunnel = self.tunnels.removeValue(forKey: number), tunnel.isOpen else { return }
        tunnel.listener?.close(promise: nil)
        if let named = tunnel.named {
            self.server.names.release(named)
            named.close()
        }
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
