internal import Logging
internal import NIOCore
internal import TunnelProtocol
internal import TunnelTransport
internal import WebSocketProtocol

/// How a session ended, and whether the next may go better.
struct SessionEnd: Sendable {
    enum Retry: Sendable {
        case always
        /// A mistake if it happens at first; an accident of the server's once it had worked.
        case onceConnected
        case never
    }

    let error: OperatorError
    let wasConnected: Bool
    let retry: Retry

    func isFinal(hasConnected: Bool) -> Bool {
        switch self.retry {
        case .always: false
        case .onceConnected: !hasConnected
        case .never: true
        }
    }
}

/// One session with the server: dials, asks for the tunnels, connects visitors to services. Confined to its event loop.
final class ClientSession: TunnelConnectionDelegate, LinkDelegate {
    private struct Tunnel {
        let exposure: Exposure
        let connector: ServiceConnector
        var isOpen = false
        var hasBeenRefused = false
        var serviceIsDown = false
    }

    private let configuration: ClientConfiguration
    private let logger: Logger
    private let emit: @Sendable (ClientEvent) -> Void
    private let ports: RememberedPorts
    private let eventLoop: any EventLoop
    private let ended: EventLoopPromise<SessionEnd>
    private var tunnels: [TunnelNumber: Tunnel] = [:]
    private var connection: TunnelConnection?
    private var wasConnected = false
    private var goodbye: Frame.GoAway?
    private var isStopping = false
    private var hasEnded = false

    /// How long a port that somebody else still holds is left alone before it is asked for again.
    private static let refusalPause = TimeAmount.seconds(2)

    init(
        configuration: ClientConfiguration, logger: Logger, emit: @escaping @Sendable (ClientEvent) -> Void,
        ports: RememberedPorts, eventLoop: any EventLoop, ended: EventLoopPromise<SessionEnd>
    ) {
        self.configuration = configuration
        self.logger = logger
        self.emit = emit
        self.ports = ports
        self.eventLoop = eventLoop
        self.ended = ended
        for (index, exposure) in configuration.exposures.enumerated() {
            self.tunnels[TunnelNumber(UInt64(index))] = Tunnel(
                exposure: exposure, connector: ServiceConnector(exposure.service))
        }
    }

    func start(_ dialer: Dialer) {
        self.logger.debug("connecting", metadata: ["server": "\(self.configuration.server)"])
        let hello = Frame.Hello(agent: "ws-tunnel-client/\(programVersion)", terms: Frame.Terms())
        let bound = NIOLoopBound(self, eventLoop: self.eventLoop)
        dialer.dial(on: self.eventLoop, hello: hello, delegate: { bound.value }).assumeIsolated().whenFailure { error in
            self.finish(self.explain(dialling: error))
        }
    }

    func stop() {
        self.isStopping = true
        guard let connection = self.connection else {
            return self.finish(SessionEnd(error: OperatorError(.failure, "stopped"), wasConnected: false, retry: .never))
        }
        connection.close(.normalClosure, "the client stops")
    }

    /// The server as the user named it, for messages.
    var configuredServer: ServerURL { self.configuration.server }

    private func finish(_ end: SessionEnd) {
        guard !self.hasEnded else { return }
        self.hasEnded = true
        self.ended.succeed(end)
    }

    // MARK: The connection

    func connection(_ connection: TunnelConnection, greeted hello: Frame.Hello) {
        // A client is never greeted: the room's state machine refuses the frame.
    }

    func connection(_ connection: TunnelConnection, welcomed welcome: Frame.Welcome) {
        self.connection = connection
        self.wasConnected = true
        guard !self.isStopping else { return connection.close(.normalClosure, "the client stops") }
        connection.establish(peerTerms: welcome.terms, linkDelegate: self)
        self.logger.info(
            "connected",
            metadata: [
                "server": "\(self.configuration.server)", "agent": "\(welcome.agent)", "session": "\(welcome.session)",
            ])
        self.emit(.connected(server: "\(self.configuration.server)"))
        for number in self.tunnels.keys.sorted(by: { $0.value < $1.value }) { self.listen(number) }
    }

    func connection(_ connection: TunnelConnection, goesAway goAway: Frame.GoAway) {
        self.goodbye = goAway
        self.logger.info("the server announces its end", metadata: ["reason": "\(goAway.reason)"])
    }

    func connection(_ connection: TunnelConnection, ended end: ConnectionEnd) {
        self.connection = nil
        self.finish(SessionEnd(error: self.explain(end), wasConnected: self.wasConnected, retry: .always))
    }

    // MARK: Tunnels

    private func listen(_ number: TunnelNumber) {
        guard let tunnel = self.tunnels[number], let link = self.connection?.link else { return }
        let wanted = tunnel.exposure.remotePort
        link.send(
            .listen(
                Frame.Listen(
                    tunnel: number, kind: .tcp, port: wanted ?? self.ports[Int(number.value)],
                    portIsRequired: wanted != nil, label: tunnel.exposure.name)))
    }

    func link(_ link: LinkDriver, received event: Link.Event) {
        switch event {
        case .opened(let open): self.visitorArrived(open, link)
        case .listening(let listening): self.opened(listening)
        case .refused(let refused): self.refused(refused)
        case .unlisten(let number):
            self.tunnels[number]?.isOpen = false
            self.logger.warning("the server closed a tunnel", metadata: ["tunnel": "\(number)"])
        case .connected, .data, .finished, .reset, .sendable, .listen: break
        }
    }

    func linkEnded(_ link: LinkDriver) {}

    private func opened(_ listening: Frame.Listening) {
        guard let tunnel = self.tunnels[listening.tunnel] else { return }
        self.tunnels[listening.tunnel]?.isOpen = true
        self.tunnels[listening.tunnel]?.hasBeenRefused = false
        self.ports[Int(listening.tunnel.value)] = listening.port
        self.emit(.tunnel(id: "\(listening.id)", url: listening.url, exposure: tunnel.exposure))
    }

    private func refused(_ refused: Frame.Refused) {
        guard let tunnel = self.tunnels[refused.tunnel] else { return }
        let number = Int(refused.tunnel.value)
        let error = OperatorError(
            refused.code == .taken ? .taken : .failure,
            "the server does not open a tunnel for \(tunnel.exposure.service): \(refused.message)",
            remedy: refused.code == .taken
                ? "Ask for another port with --remote-port, or leave the choice to the server."
                : refused.code == .notAllowed ? "Ask for a port the server allows." : nil)
        // A port we had may still be held by our own former session, which the server does not know to be dead yet; a port of the
        // range may become free; a server's own failure may pass. Anything else would be refused again.
        guard self.ports[number] != nil || refused.code == .exhausted || refused.code == .internalError else {
            self.connection?.close(.normalClosure, "a tunnel was refused")
            return self.finish(SessionEnd(error: error, wasConnected: true, retry: .never))
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
                "service": "\(tunnel.exposure.service)", "stream": "\(open.stream)",
                "visitor": "\(open.visitor?.description ?? "")",
            ])
        tunnel.connector.connect(open.stream, of: link) { failure in self.serviceAnswered(number, failure) }
    }

    /// A service that is down is told once, not for each visitor.
    private func serviceAnswered(_ number: TunnelNumber, _ failure: ServiceFailure?) {
        guard let tunnel = self.tunnels[number] else { return }
        switch failure {
        case let failure?:
            guard !tunnel.serviceIsDown else { return }
            self.tunnels[number]?.serviceIsDown = true
            self.emit(.serviceUnavailable(tunnel.exposure, self.explain(failure, tunnel.exposure)))
        case nil:
            guard tunnel.serviceIsDown else { return }
            self.tunnels[number]?.serviceIsDown = false
            self.emit(.serviceAvailable(tunnel.exposure))
        }
    }
}
