internal import HTTPMessages
internal import Intermediaries
internal import Logging
internal import NIOConcurrencyHelpers
internal import NIOCore
internal import TunnelProtocol
internal import TunnelTransport
internal import WebSocketProtocol

/// A session with the server, and the next one when that is lost: keeps its links, asks for the tunnels, connects visitors to
/// services. Confined to its event loop.
final class ClientSession: LinkDelegate {
    static let agent = "ws-tunnel-client/\(programVersion)"

    let failures: Failures
    let clientID: String
    let memory: MemoryBudget
    private var dialer: Dialer
    private var certificate: OwnCertificate
    private let configuration: ClientConfiguration
    private let logger: Logger
    private let emit: @Sendable (ClientEvent) -> Void
    private let counted: NIOLockedValueBox<ClientStatistics>
    private let eventLoop: any EventLoop
    private let ended: EventLoopPromise<OperatorError?>
    private var tunnels: [TunnelNumber: ClientTunnel] = [:]
    /// The present session; `nil` before the first, and between two.
    private var id: SessionID?
    /// The first one is the session's: it ends with it.
    private var links: [ClientLink] = []
    /// Of former sessions, whose servers are shutting down.
    private var retired: [ClientLink] = []
    private var hasConnected = false
    private var isStopping = false
    private var result: OperatorError?
    private var hasEnded = false

    /// How long a port that somebody else still holds is left alone before it is asked for again.
    private static let refusalPause = TimeAmount.seconds(2)
    /// How long a client that stops waits for the server to close its tunnels: a way there and back over any line.
    private static let farewell = TimeAmount.seconds(1)

    /// - Parameter ended: Fulfilled once there is nothing more to do: with what went wrong, or `nil` after `stop()`.
    init(
        configuration: ClientConfiguration, contexts: ServiceContexts, dialer: Dialer, certificate: OwnCertificate, clientID: String,
        logger: Logger, listener: (any ExchangeListener)?, emit: @escaping @Sendable (ClientEvent) -> Void,
        counted: NIOLockedValueBox<ClientStatistics>, eventLoop: any EventLoop, ended: EventLoopPromise<OperatorError?>
    ) {
        self.configuration = configuration
        self.memory = MemoryBudget(partOf: MemoryBudget(bytes: configuration.memoryBudget))
        self.dialer = dialer
        self.failures = Failures(configuration)
        self.certificate = certificate
        self.clientID = clientID
        self.logger = logger
        self.emit = emit
        self.counted = counted
        self.eventLoop = eventLoop
        self.ended = ended
        for (index, exposure) in configuration.exposures.enumerated() {
            let number = TunnelNumber(UInt64(index))
            let service = exposure.http.map {
                HTTPService(number, exposure, $0, contexts: contexts, logger: logger, eventLoop: eventLoop)
            }
            service?.listener = listener
            self.tunnels[number] = ClientTunnel(exposure, service: service)
        }
    }

    func start() {
        self.watchServices()
        self.dial()
    }

    private func dial() {
        self.logger.debug("connecting", metadata: ["server": "\(self.configuration.server)"])
        self.links = (0..<UInt64(self.configuration.links)).map {
            ClientLink(number: $0, session: self, keepalive: self.configuration.keepalive, eventLoop: self.eventLoop)
        }
        self.links[0].dial()
    }

    /// Does not wait for the time of the next attempt.
    func reconnect() {
        guard !self.isStopping else { return }
        for link in self.links { link.hurry() }
    }

    /// For the next attempt, with the client's certificate as its files have it now.
    func nextDialer() -> Dialer {
        if let renewed = self.certificate.renewed() { self.dialer.tls = renewed }
        return self.dialer
    }

    private var all: [ClientLink] { self.links + self.retired }

    private func isCurrent(_ link: ClientLink) -> Bool { self.links.contains { $0 === link } }

    /// Whether at least one link of the session has a connection.
    var isConnected: Bool { self.links.contains { $0.connection != nil } }

    // MARK: The end

    /// No new visitors; what is under way has until the end of the grace period, or until this is called again.
    func stop() {
        guard !self.isStopping else { return self.leave("the client stops") }
        self.isStopping = true
        let grace = self.configuration.gracePeriod
        let goAway = Frame.GoAway(reason: .shutdown, graceMilliseconds: UInt64(clamping: grace.wholeMilliseconds))
        for link in self.all {
            link.goAway(goAway)
            link.driver?.whenQuiet = { self.leaveIfQuiet() }
        }
        self.eventLoop.assumeIsolated().scheduleTask(in: Self.farewell) {
            for number in self.tunnels.keys { self.tunnels[number]?.isOpen = false }
            self.leaveIfQuiet()
        }
        self.eventLoop.assumeIsolated().scheduleTask(in: .nanoseconds(grace.wholeNanoseconds)) { self.leave("the client stops") }
        self.leaveIfQuiet()
    }

    func linkStreamEnded(_ link: LinkDriver) {
        self.linksChanged()
    }

    /// Visitors may be on their way here until the server says that a tunnel is closed.
    private func leaveIfQuiet() {
        let isExpected = self.tunnels.values.contains(where: \.isOpen) && self.links.contains { !$0.isPaused }
        if self.isStopping, !isExpected, self.all.allSatisfy({ $0.driver?.isQuiet ?? true }) { self.leave("the client stops") }
    }

    private func finish(_ error: OperatorError) {
        guard self.result == nil, !self.isStopping else { return }
        self.result = error
        self.leave("the client gives up")
    }

    private func leave(_ reason: String) {
        self.isStopping = true
        for link in self.all { link.leave(reason) }
    }

    /// A link has nothing more to do.
    func leftLink(_ link: ClientLink) {
        self.links.removeAll { $0 === link }
        self.retired.removeAll { $0 === link }
        guard self.isStopping, self.all.isEmpty, !self.hasEnded else { return }
        self.hasEnded = true
        for tunnel in self.tunnels.values {
            tunnel.health?.stop()
            tunnel.service?.close()
        }
        self.ended.succeed(self.result)
    }

    // MARK: The links

    /// What HELLO says to go on with a link, or to add one to the session.
    func resumption(of link: ClientLink, attempt: UInt64) -> Frame.Resumption? {
        // Without a token of its own a link joins the session with that of the first.
        guard let id = self.id, let token = link.token ?? self.links.first?.token else { return nil }
        return Frame.Resumption(
            session: id, token: token, received: link.driver?.received ?? 0, link: link.number, attempt: attempt)
    }

    func isCurrent(_ session: SessionID) -> Bool { self.id == session }

    /// A link stands that carries nothing yet.
    func began(_ link: ClientLink, _ welcome: Frame.Welcome) {
        self.count { $0.connections += 1 }
        self.linksChanged()
        guard link.number == 0 else {
            return self.logger.info("link added", metadata: ["link": "\(link.number)"])
        }
        self.id = welcome.session
        self.hasConnected = true
        var metadata: Logger.Metadata = [
            "server": "\(self.configuration.server)", "agent": "\(welcome.agent)", "session": "\(welcome.session)",
        ]
        if let proxy = self.configuration.proxy { metadata["proxy"] = "\(proxy)" }
        self.logger.info("connected", metadata: metadata)
        self.emit(.connected(server: "\(self.configuration.server)"))
        if self.configuration.compression, link.connection?.isCompressed == false {
            self.logger.notice("nothing is compressed: the server has --compression off")
        }
        guard !self.isStopping else { return self.leaveIfQuiet() }
        for number in self.tunnels.keys.sorted(by: { $0.value < $1.value }) { self.listen(number) }
        for link in self.links.dropFirst() { link.dial() }
    }

    /// - Parameter pause: `nil` when the link moved to its next connection before it had lost the one before.
    func resumed(_ link: ClientLink, repeatedBytes: Int, after pause: Duration?) {
        let streams = link.driver?.streamCount ?? 0
        self.count {
            $0.connections += 1
            $0.resumptions += pause == nil ? 0 : 1
            $0.repeatedBytes += repeatedBytes
        }
        self.linksChanged()
        guard let pause else {
            return self.logger.info("moved to a new connection", metadata: ["streams": "\(streams)", "link": "\(link.number)"])
        }
        self.logger.debug("resumed", metadata: ["link": "\(link.number)"])
        self.emit(.resumed(streams: streams, repeatedBytes: repeatedBytes, after: pause))
    }

    func paused(_ link: ClientLink) {
        self.count { $0.pauses += 1 }
        self.linksChanged()
    }

    func waits(_ link: ClientLink, _ error: OperatorError, retryIn delay: Duration, attempt: Int) {
        if let driver = link.driver {
            self.emit(.paused(error, streams: driver.streamCount, retryIn: delay, attempt: attempt))
        } else if link.number == 0 {
            self.emit(.lost(error, retryIn: delay, attempt: attempt))
        } else {
            self.logger.notice("a link is missing", metadata: ["link": "\(link.number)", "reason": "\(error.message)"])
        }
    }

    /// - Returns: Whether another attempt would not help.
    func mustEnd(_ end: SessionEnd, after failures: Int, refusals: Int) -> Bool {
        let isTooMany = self.configuration.maximumRetries.map { failures > $0 } ?? false
        guard isTooMany || end.isFinal(hasConnected: self.hasConnected, refusals: refusals) else { return false }
        self.finish(end.error)
        return true
    }

    /// What waited for the link waits no more; the next attempt is under way.
    func gaveUp(_ error: OperatorError, _ link: ClientLink) {
        if link.number == 0 { self.emit(.lost(error, retryIn: .zero, attempt: 0)) }
        self.lost(link)
    }

    /// What the link carried is lost: with the first one, the session.
    func lost(_ link: ClientLink) {
        guard link.number == 0 else { return link.forget() }
        if self.id != nil { self.count { $0.lostSessions += 1 } }
        self.id = nil
        for number in self.tunnels.keys { self.tunnels[number]?.isOpen = false }
        for link in self.links {
            link.forget()
            if link.number > 0 { link.disconnect() }
        }
    }

    func learned(_ lesson: PathMemory.Lesson) {
        self.logger.notice(
            """
            this path cuts idle connections after about \(lesson.silence.wholeMilliseconds / 1_000) s; \
            pinging every \(lesson.interval.wholeMilliseconds / 1_000) s from now on
            """)
    }

    func serverGoesAway(_ goAway: Frame.GoAway, _ link: ClientLink) {
        self.logger.info("the server announces its end", metadata: ["reason": "\(goAway.reason)"])
        guard self.isCurrent(link), !self.isStopping else { return }
        guard goAway.reason == .shutdown else { return link.dial() }
        // Another server, or this one once it is back, is another session; what is under way finishes in the old one.
        let former = self.links
        self.retired += former
        self.id = nil
        for number in self.tunnels.keys { self.tunnels[number]?.isOpen = false }
        self.dial()
        for link in former {
            link.retire()
        }
    }

    // MARK: Counting

    private func count(_ change: (inout ClientStatistics) -> Void) {
        self.counted.withLockedValue(change)
    }

    /// A link began, paused, went on or was forgotten, or a stream of one came or went.
    func linksChanged() {
        var (links, open, waiting, paused) = (0, 0, 0, 0)
        for link in self.all {
            guard let driver = link.driver else { continue }
            links += 1
            open += driver.streamCount
            guard link.isPaused else { continue }
            waiting += driver.streamCount
            paused += 1
        }
        self.count {
            $0.links = links
            $0.openStreams = open
            $0.waitingStreams = waiting
            $0.pausedLinks = paused
        }
    }

    // MARK: Tunnels

    private func listen(_ number: TunnelNumber) {
        guard let tunnel = self.tunnels[number], !tunnel.isOpen, let link = self.links.first?.driver else { return }
        link.send(.listen(tunnel.request(number, clientID: self.clientID)))
    }

    func link(_ link: LinkDriver, received event: Link.Event) {
        switch event {
        case .opened(let open): self.visitorArrived(open, link)
        case .listening(let listening): self.opened(listening)
        case .refused(let refused): self.refused(refused)
        case .unlisten(let number):
            self.tunnels[number]?.isOpen = false
            self.tunnels[number]?.service?.listener?.closed(number)
            guard !self.isStopping else { return self.leaveIfQuiet() }
            self.logger.warning("the server closed a tunnel", metadata: ["tunnel": "\(number)"])
        case .connected, .data, .finished, .reset, .sendable, .listen, .health: break
        }
    }

    private func opened(_ listening: Frame.Listening) {
        guard let tunnel = self.tunnels[listening.tunnel] else { return }
        self.tunnels[listening.tunnel]?.opened(listening)
        // What the server does not know it takes to be well.
        if tunnel.health?.isWell == false { self.links.first?.driver?.send(.health(listening.tunnel, isWell: false)) }
        self.emit(.tunnel(id: "\(listening.id)", url: listening.url, exposure: tunnel.exposure))
    }

    private func refused(_ refused: Frame.Refused) {
        guard let tunnel = self.tunnels[refused.tunnel] else { return }
        let error = tunnel.explain(refused)
        // A port or a name we had may still be held by our own former session, which the server does not know to be dead yet; a port
        // of the range may become free; a server's own failure may pass. Anything else would be refused again.
        guard tunnel.wasGiven || refused.code == .exhausted || refused.code == .internalError else {
            return self.finish(error)
        }
        if !tunnel.hasBeenRefused { self.emit(.tunnelRefused(tunnel.exposure, error)) }
        self.tunnels[refused.tunnel]?.hasBeenRefused = true
        self.eventLoop.assumeIsolated().scheduleTask(in: Self.refusalPause) { self.listen(refused.tunnel) }
    }

    // MARK: Visitors

    private func visitorArrived(_ open: Frame.Open, _ link: LinkDriver) {
        let number = open.tunnel
        guard let tunnel = self.tunnels[number] else { return link.reset(open.stream, .noSuchTunnel) }
        self.logger.debug(
            "visitor arrived",
            metadata: [
                "service": "\(tunnel.exposure.target)", "stream": "\(open.stream)",
                "visitor": "\(open.visitor?.description ?? "")",
            ])
        if let service = tunnel.service {
            service.open(open.stream, of: link)
        } else {
            tunnel.connector.connect(open, of: link) { failure in self.serviceAnswered(number, failure) }
        }
        self.count { $0.streams += 1 }
        self.linksChanged()
    }

    /// A service that is down is told once, not for each visitor.
    private func serviceAnswered(_ number: TunnelNumber, _ failure: ServiceFailure?) {
        guard let tunnel = self.tunnels[number] else { return }
        switch failure {
        case let failure?:
            guard !tunnel.serviceIsDown else { return }
            self.tunnels[number]?.serviceIsDown = true
            self.emit(.serviceUnavailable(tunnel.exposure, self.failures.explain(failure, tunnel.exposure)))
        case nil:
            guard tunnel.serviceIsDown else { return }
            self.tunnels[number]?.serviceIsDown = false
            self.emit(.serviceAvailable(tunnel.exposure))
        }
    }

    // MARK: HTTP

    /// Told of every request; `nil` for nobody.
    func listen(_ listener: (any ExchangeListener)?) {
        for tunnel in self.tunnels.values { tunnel.service?.listener = listener }
    }

    /// Sends a request to a service as if it had come through its tunnel; the listener hears of it.
    func replay(_ request: RequestMessage, body: ByteBuffer, tunnel: TunnelNumber, of id: String) {
        guard !self.isStopping, let service = self.tunnels[tunnel]?.service else { return }
        _ = service.perform(request, body: body, for: .replay(of: id), output: ReplayOutput())
    }

    private func watchServices() {
        for (number, tunnel) in self.tunnels {
            guard let service = tunnel.service else { continue }
            service.whenAnswered = { [weak self] in self?.serviceAnswered(number, $0) }
            service.whenReported = { [weak self] (request: consuming ClientRequest) in
                guard let self else { return }
                self.count { $0.requests += 1 }
                if self.configuration.logsRequests { self.emit(.request(request)) }
            }
            guard let path = tunnel.exposure.http?.healthPath else { continue }
            let health = HealthCheck(of: service, path: path, eventLoop: self.eventLoop) { [weak self] isWell, answer in
                self?.healthChanged(number, isWell: isWell, path, answer)
            }
            self.tunnels[number]?.health = health
            health.start()
        }
    }

    private func healthChanged(_ number: TunnelNumber, isWell: Bool, _ path: String, _ answer: String) {
        guard let tunnel = self.tunnels[number] else { return }
        if tunnel.isOpen { self.links.first?.driver?.send(.health(number, isWell: isWell)) }
        guard !isWell else {
            self.tunnels[number]?.serviceIsDown = false
            return self.emit(.serviceAvailable(tunnel.exposure))
        }
        self.emit(
            .serviceUnavailable(
                tunnel.exposure,
                OperatorError(
                    .failure, "\(tunnel.exposure.target) is not well: GET \(path) gives \(answer)",
                    remedy: "The server sends visitors to other members of its group, if there are any.")))
    }
}
