internal import Logging
internal import NIOConcurrencyHelpers
internal import NIOCore
internal import NIOPosix
internal import TunnelProtocol
internal import TunnelTransport

/// The doctor's connection with a server: a session without a name, which ends with it.
final class DoctorVisit: Sendable {
    /// How the path bore silence.
    enum Silence: Sendable {
        case silent
        /// The server spoke meanwhile.
        case heard
        case ended(after: Duration, ConnectionEnd)
    }

    private let pingInterval: Duration?
    private let guest = NIOLockedValueBox<NIOLoopBound<DoctorGuest>?>(nil)

    /// - Parameter pingInterval: How often either side sends PINGs at most; `nil`: as usual.
    init(pingInterval: Duration?) {
        self.pingInterval = pingInterval
    }

    /// - Returns: The server's WELCOME; a `DialFailure`, an `OperatorError` or a `ConnectionEnd` if there was none.
    func dial(
        _ dialer: Dialer, on eventLoop: any EventLoop, progress: @escaping @Sendable (DialProgress) -> Void
    ) -> EventLoopFuture<Frame.Welcome> {
        let interval = self.pingInterval
        return eventLoop.flatSubmit {
            let bound = NIOLoopBound(DoctorGuest(eventLoop), eventLoop: eventLoop)
            self.guest.withLockedValue { $0 = bound }
            let welcomed = bound.value.welcomed
            dialer.dial(
                on: eventLoop, agent: ClientSession.agent,
                keepalive: KeepaliveConfiguration(interval: interval ?? KeepaliveConfiguration().interval),
                hello: {
                    Frame.Hello(
                        agent: ClientSession.agent, terms: Frame.Terms(),
                        pingIntervalMilliseconds: interval.map { UInt64(clamping: $0.wholeMilliseconds) })
                },
                delegate: { bound.value }, progress: progress
            ).whenFailure { welcomed.fail($0) }
            return welcomed.futureResult
        }
    }

    /// - Returns: The round trip; fails with a `ConnectionEnd`, or a `ChannelError` when there is no answer in time.
    func ping(within time: TimeAmount) -> EventLoopFuture<Duration> {
        self.onGuest { $0.ping(within: time) }
    }

    func stayIdle(for time: Duration) async -> Silence {
        (try? await self.onGuest { $0.stayIdle(for: .nanoseconds(time.wholeNanoseconds)) }.get()) ?? .heard
    }

    /// - Throws: `ThroughputFailure`, or a `ConnectionEnd`.
    func measureThroughput(server: ServerURL) async throws -> Throughput {
        try await self.onGuest { $0.measureThroughput(server: server) }.get()
    }

    func leave() async {
        try? await self.onGuest { $0.leave() }.get()
    }

    private func onGuest<Value: Sendable>(
        _ body: @escaping @Sendable (DoctorGuest) -> EventLoopFuture<Value>
    ) -> EventLoopFuture<Value> {
        guard let bound = self.guest.withLockedValue({ $0 }) else { preconditionFailure("dialled before") }
        return bound.eventLoop.flatSubmit { body(bound.value) }
    }
}

/// The visit as its event loop sees it.
private final class DoctorGuest: TunnelConnectionDelegate, LinkDelegate {
    let welcomed: EventLoopPromise<Frame.Welcome>
    private let eventLoop: any EventLoop
    private let ended: EventLoopPromise<ConnectionEnd>
    private let listening: EventLoopPromise<Frame.Listening>
    private var connection: TunnelConnection?
    private var driver: LinkDriver?
    private var answer: EventLoopPromise<Duration>?
    /// Where streams of the measurement go.
    private var connector: ServiceConnector?

    private static let tunnel = TunnelNumber(0)

    init(_ eventLoop: any EventLoop) {
        self.eventLoop = eventLoop
        self.welcomed = eventLoop.makePromise()
        self.ended = eventLoop.makePromise()
        self.listening = eventLoop.makePromise()
    }

    /// Where there was no connection, nothing else ends what waits for it.
    deinit {
        self.welcomed.fail(CancellationError())
        self.listening.fail(CancellationError())
        self.ended.fail(CancellationError())
    }

    func ping(within time: TimeAmount) -> EventLoopFuture<Duration> {
        let promise = self.eventLoop.makePromise(of: Duration.self)
        guard let connection else {
            return self.ended.futureResult.flatMapThrowing { throw $0 }
        }
        let limit = self.eventLoop.scheduleTask(in: time) { promise.fail(ChannelError.connectTimeout(time)) }
        promise.futureResult.whenComplete { _ in limit.cancel() }
        self.answer = promise
        connection.ping()
        return promise.futureResult
    }

    func stayIdle(for time: TimeAmount) -> EventLoopFuture<DoctorVisit.Silence> {
        guard let connection else {
            return self.ended.futureResult.map { .ended(after: .zero, $0) }
        }
        let promise = self.eventLoop.makePromise(of: DoctorVisit.Silence.self)
        let start = Instant.now
        let bound = NIOLoopBound(connection, eventLoop: self.eventLoop)
        let timer = self.eventLoop.scheduleTask(in: time) {
            promise.succeed(bound.value.lastHeard > start ? .heard : .silent)
        }
        self.ended.futureResult.whenSuccess { end in
            timer.cancel()
            promise.succeed(.ended(after: Instant.now - start, end))
        }
        return promise.futureResult
    }

    func measureThroughput(server: ServerURL) -> EventLoopFuture<Throughput> {
        guard let driver else {
            return self.ended.futureResult.flatMapThrowing { throw $0 }
        }
        let (eventLoop, listening) = (self.eventLoop, self.listening.futureResult)
        let (bound, link) = (NIOLoopBound(self, eventLoop: eventLoop), NIOLoopBound(driver, eventLoop: eventLoop))
        self.ended.futureResult.whenSuccess { bound.value.listening.fail($0) }
        return Throughput.serve(on: eventLoop).flatMap { service in
            guard let port = service.localAddress?.port.flatMap(UInt16.init(exactly:)) else {
                return eventLoop.makeFailedFuture(ThroughputFailure("no port on this machine is free"))
            }
            bound.value.connector = ServiceConnector(.tcp(host: "127.0.0.1", port: port))
            link.value.send(.listen(Frame.Listen(tunnel: Self.tunnel, kind: .tcp, label: "doctor")))
            return listening.flatMap { listening in
                Throughput.measure(listening, server: server, on: eventLoop)
            }.always { _ in service.close(promise: nil) }
        }
    }

    func leave() -> EventLoopFuture<Void> {
        guard let connection else { return self.eventLoop.makeSucceededVoidFuture() }
        connection.close(.normalClosure, "the doctor has seen enough")
        return self.ended.futureResult.map { _ in }
    }

    // MARK: From the connection

    func connection(_ connection: TunnelConnection, greeted hello: Frame.Hello) {}

    func connection(_ connection: TunnelConnection, welcomed welcome: Frame.Welcome) {
        self.connection = connection
        let driver = LinkDriver(
            role: .client, terms: Frame.Terms(), peerTerms: welcome.terms, isResumable: false, budget: MemoryBudget(),
            eventLoop: self.eventLoop, delegate: self)
        self.driver = driver
        connection.carry(driver, peerReceived: welcome.received)
        self.welcomed.succeed(welcome)
    }

    func connection(_ connection: TunnelConnection, measured roundTrip: Duration) {
        self.answer?.succeed(roundTrip)
        self.answer = nil
    }

    func connection(_ connection: TunnelConnection, goesAway goAway: Frame.GoAway) {}

    func connection(_ connection: TunnelConnection, ended end: ConnectionEnd) {
        self.connection = nil
        self.driver?.end()
        self.driver = nil
        self.welcomed.fail(end)
        self.answer?.fail(end)
        self.answer = nil
        self.ended.succeed(end)
    }

    // MARK: From the link

    func link(_ link: LinkDriver, received event: Link.Event) {
        switch event {
        case .listening(let listening): self.listening.succeed(listening)
        case .refused(let refused):
            self.listening.fail(ThroughputFailure("the server gives no port for it: \(refused.message)"))
        case .opened(let open):
            guard let connector else { return link.reset(open.stream, .refused) }
            connector.connect(open, of: link) { _ in }
        case .connected, .data, .finished, .reset, .sendable, .listen, .unlisten, .health: break
        }
    }

    func linkStreamEnded(_ link: LinkDriver) {}
}
