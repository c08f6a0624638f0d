internal import NIOCore
internal import NIOPosix
internal import TunnelProtocol
internal import TunnelTransport

/// What a visitor's connection through a tunnel carries, measured from both of its ends: this program is visitor and service.
///
///     visitor ── `D` ──▶ service        visitor ── `U`, bytes, FIN ──▶ service
///     visitor ◀── bytes, FIN ── service    visitor ◀── FIN, all have come ── service
struct Throughput: Sendable {
    /// Where the visitor connected to.
    let address: String
    /// Bytes a second from service to visitor, and back.
    let down: Double
    let up: Double

    /// How long bytes are sent in each direction.
    private static let time = Duration.seconds(2)
    /// For the rest to arrive.
    private static let limit = TimeAmount.seconds(20)

    static func serve(on eventLoop: any EventLoop) -> EventLoopFuture<any Channel> {
        ServerBootstrap(group: eventLoop)
            .childChannelOption(.allowRemoteHalfClosure, value: true)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(ThroughputEnd(Self.time, isService: true))
                }
            }
            .bind(host: "127.0.0.1", port: 0)
    }

    static func measure(
        _ listening: Frame.Listening, server: ServerURL, on eventLoop: any EventLoop
    ) -> EventLoopFuture<Throughput> {
        guard let port = listening.port else {
            return eventLoop.makeFailedFuture(ThroughputFailure("the tunnel has no port"))
        }
        // A server that was not told its public host says localhost, which is this machine.
        let named = String(listening.url.prefix { $0 != ":" })
        let host = named == "localhost" && !server.isLoopback ? server.host : named
        let address = "\(host):\(port)"
        return self.run("D", host, port, on: eventLoop).flatMap { down in
            self.run("U", host, port, on: eventLoop).map { Throughput(address: address, down: down, up: $0) }
        }.flatMapErrorThrowing { error in
            if error is ThroughputFailure { throw error }
            throw ThroughputFailure("a visitor does not get to \(address) from here: \(describe(error))")
        }
    }

    private static func run(
        _ direction: Character, _ host: String, _ port: UInt16, on eventLoop: any EventLoop
    ) -> EventLoopFuture<Double> {
        let result = eventLoop.makePromise(of: Double.self)
        ClientBootstrap(group: eventLoop)
            .connectTimeout(TransportLimits.connect)
            .channelOption(.allowRemoteHalfClosure, value: true)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(
                        ThroughputEnd(self.time, isService: false, direction: direction, result: result))
                }
            }
            .connect(host: host, port: Int(port))
            .whenComplete { connected in
                switch connected {
                case .failure(let error):
                    result.fail((error as? NIOConnectionError)?.connectionErrors.first?.error ?? error)
                case .success(let channel):
                    let limit = eventLoop.scheduleTask(in: self.limit) {
                        result.fail(ThroughputFailure("the bytes did not arrive within 20 s"))
                        channel.close(promise: nil)
                    }
                    result.futureResult.whenComplete { _ in
                        limit.cancel()
                        channel.close(promise: nil)
                    }
                }
            }
        return result.futureResult
    }
}

/// Why no throughput could be measured.
struct ThroughputFailure: Error, Sendable {
    let explanation: String

    init(_ explanation: String) { self.explanation = explanation }
}

/// Either end of a connection that is measured.
private final class ThroughputEnd: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    private let time: Duration
    private let isService: Bool
    private var direction: Character?
    private let result: EventLoopPromise<Double>?
    private let chunk = ByteBuffer(repeating: 0x55, count: 64 * 1_024)
    private var start = Instant.now
    private var received = 0
    private var sent = 0
    private var isSending = false

    init(_ time: Duration, isService: Bool, direction: Character? = nil, result: EventLoopPromise<Double>? = nil) {
        self.time = time
        self.isService = isService
        self.direction = direction
        self.result = result
    }

    func channelActive(context: ChannelHandlerContext) {
        self.start = .now
        guard !self.isService, let direction else { return }
        context.writeAndFlush(self.wrapOutboundOut(ByteBuffer(string: String(direction))), promise: nil)
        if direction == "U" { self.send(context) }
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        var bytes = self.unwrapInboundIn(data)
        if self.direction == nil, let first = bytes.readString(length: 1) {
            self.direction = Character(first)
            if first == "D" { self.send(context) }
        }
        self.received += bytes.readableBytes
    }

    func channelWritabilityChanged(context: ChannelHandlerContext) {
        if self.isSending, context.channel.isWritable { self.send(context) }
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        guard case .some(.inputClosed) = event as? ChannelEvent else { return }
        // The service has had everything: the visitor learns when.
        if self.isService { return context.close(mode: .output, promise: nil) }
        self.finish()
    }

    func channelInactive(context: ChannelHandlerContext) {
        self.finish()
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        self.result?.fail(error)
        context.close(promise: nil)
    }

    private func send(_ context: ChannelHandlerContext) {
        self.isSending = true
        while context.channel.isWritable {
            guard Instant.now - self.start < self.time else {
                self.isSending = false
                let bound = NIOLoopBound(context, eventLoop: context.eventLoop)
                context.writeAndFlush(self.wrapOutboundOut(ByteBuffer())).assumeIsolated().whenSuccess {
                    bound.value.close(mode: .output, promise: nil)
                }
                return
            }
            self.sent += self.chunk.readableBytes
            context.writeAndFlush(self.wrapOutboundOut(self.chunk), promise: nil)
        }
    }

    private func finish() {
        let seconds = (Instant.now - self.start) / .seconds(1)
        let bytes = self.direction == "D" ? self.received : self.sent
        self.result?.succeed(Double(bytes) / max(seconds, 1e-6))
    }
}
