internal import HTTPMessages
internal import NIOCore
internal import NIOHTTP1
internal import TunnelProtocol
internal import TunnelTransport

/// Whoever speaks HTTP with a service over a connection. Nothing of this is called from within the connection's own functions,
/// `taken` aside.
protocol ServiceConnectionUser: AnyObject {
    /// The connection stands: requests may be written.
    func connected()
    /// So many of the written bytes have left.
    func taken(_ count: Int)
    func received(_ head: HTTPResponseHead)
    /// Bytes of a body, or after a 101 of the other protocol.
    func received(_ body: ByteBuffer)
    /// The response is complete. After a 101: the service sends no more.
    func receivedEnd(_ trailers: HTTPHeaders?)
    /// Nothing more comes for now.
    func readComplete()
    /// The connection is gone, or of no more use; no further call follows.
    func failed(_ failure: ServiceConnection.Failure)
}

/// One connection to a service, used by one exchange at a time.
///
///     socket ──▶ (TLS) ──▶ ServiceConnection ──▶ HTTPResponseDecoder ──▶ ResponseReceiver ──▶ user
///     socket ◀── (TLS) ◀── ServiceConnection ◀── user
///
/// Heads go to the decoder by themselves, so that behind a 101 no byte of the other protocol ever reaches it.
final class ServiceConnection: ChannelDuplexHandler {
    typealias InboundIn = ByteBuffer
    typealias InboundOut = ByteBuffer
    typealias OutboundIn = HTTPClientRequestPart
    typealias OutboundOut = ByteBuffer

    enum Failure: Error, Equatable {
        /// Before it stood.
        case notConnected(ServiceFailure)
        /// The service closed it before the response was complete.
        case closed
        /// What it sent is no response that may be passed on.
        case invalid(String)
    }

    private enum Phase {
        case idle
        /// Bytes of a head are collected: the next, or the final one after an informational one.
        case head
        case body
        /// The other protocol of a 101.
        case raw
        case over
    }

    /// `nil` while it is idle.
    private(set) var user: (any ServiceConnectionUser)?
    /// Where it lies idle.
    var pool: ServicePool?
    /// Whether it has carried an exchange before.
    private(set) var wasUsed = false
    private(set) var idleSince = Instant.now
    private var phase = Phase.idle
    private var context: ChannelHandlerContext?
    private var decoderContext: ChannelHandlerContext?
    private var headEnd = HeadEnd()
    private var statusLine = StatusLine()
    /// Of a body that comes in chunks: where its trailers are.
    private var chunks: ChunkScan?
    private var isActive = false
    private var isReading = true
    private var readIsWithheld = false
    /// Bytes written and not taken by the socket yet.
    private var unconfirmed = 0
    private var isFlushing = false
    private var outputIsFinished = false

    init(user: any ServiceConnectionUser) {
        self.user = user
    }

    /// Adds what belongs above the socket, and above TLS.
    func install(in channel: any Channel) throws {
        var limits = NIOHTTPDecoderLimitConfiguration()
        limits.maxHeaderFieldSize = MessageLimits.decodedHeadBytes
        limits.maxHeaderListSize = MessageLimits.decodedHeadBytes
        limits.maxHeaderFieldCount = MessageLimits.fields
        let decoder = HTTPResponseDecoder(
            leftOverBytesStrategy: .dropBytes, informationalResponseStrategy: .forward, limitConfiguration: limits)
        try channel.pipeline.syncOperations.addHandlers([self, ByteToMessageHandler(decoder), ResponseReceiver(self)])
    }

    /// Whether nothing is known that would keep it from carrying another exchange. A service that has answered before it took the whole
    /// request may never take the rest.
    var isUsable: Bool {
        if case .over = self.phase { return false }
        return self.isActive && self.unconfirmed == 0 && self.context?.channel.isActive == true
    }

    // MARK: From the user

    /// An idle connection is used again.
    func use(_ user: any ServiceConnectionUser) {
        self.user = user
    }

    /// The head of a request; `method` is what the decoder has to know of it.
    func write(head: ByteBuffer, method: String) {
        guard let decoder = self.decoderContext else { return }
        self.phase = .head
        decoder.write(NIOAny(HTTPClientRequestPart.head(Self.announcement(method))), promise: nil)
        self.write(head)
    }

    func write(_ bytes: ByteBuffer) {
        guard let context = self.context else { return }
        self.unconfirmed += bytes.readableBytes
        context.write(self.wrapOutboundOut(context.channel.isWritable ? bytes : bytes.withoutPinning()), promise: nil)
    }

    func flush() {
        guard let context = self.context else { return }
        self.isFlushing = true
        context.flush()
        self.isFlushing = false
        self.confirm()
    }

    /// After a 101: nothing more goes to the service.
    func finishOutput() {
        guard !self.outputIsFinished, let context = self.context else { return }
        self.outputIsFinished = true
        // Closing the output while bytes wait would drop them once the input is closed too.
        self.whenWritten { context.close(mode: .output, promise: nil) }
    }

    private func whenWritten(_ body: @escaping () -> Void) {
        self.flush()
        self.context?.writeAndFlush(self.wrapOutboundOut(ByteBuffer())).assumeIsolated().whenSuccess(body)
    }

    func pauseReading() {
        self.isReading = false
    }

    func resumeReading() {
        self.isReading = true
        guard self.readIsWithheld, let context = self.context else { return }
        self.readIsWithheld = false
        context.read()
    }

    /// The exchange is complete and the service keeps the connection.
    func rest() {
        self.user = nil
        self.wasUsed = true
        self.idleSince = .now
        self.phase = .idle
        self.resumeReading()
    }

    /// Nobody wants anything from it any more.
    func close() {
        self.user = nil
        self.pool = nil
        self.phase = .over
        self.context?.close(promise: nil)
    }

    /// Likewise, once the service has been sent all that was written.
    func closeOnceWritten() {
        guard let context = self.context else { return }
        self.user = nil
        self.pool = nil
        self.phase = .over
        // A window's bytes take no longer on the slowest line.
        let limit = context.eventLoop.assumeIsolated().scheduleTask(in: TransportLimits.stalled) { context.close(promise: nil) }
        self.whenWritten {
            limit.cancel()
            context.close(promise: nil)
        }
    }

    /// What is known of the response's head says that the other protocol follows, or that the next head does.
    func headIsInformational() { self.phase = .head }
    func becameRaw() { self.phase = .raw }
    func bodyIsChunked() { self.chunks = ChunkScan() }

    /// The method decides whether a body follows the response's head (RFC 9112 §6.3); the target is nobody's concern here.
    private static func announcement(_ method: String) -> HTTPRequestHead {
        switch method {
        case "GET": self.get
        case "HEAD": self.head
        default: self.other
        }
    }

    private static let get = HTTPRequestHead(version: .http1_1, method: .GET, uri: "/")
    private static let head = HTTPRequestHead(version: .http1_1, method: .HEAD, uri: "/")
    private static let other = HTTPRequestHead(version: .http1_1, method: .POST, uri: "/")

    private func confirm() {
        guard self.unconfirmed > 0, self.context?.channel.isWritable == true else { return }
        let count = self.unconfirmed
        self.unconfirmed = 0
        self.user?.taken(count)
    }

    // MARK: From the socket

    func handlerAdded(context: ChannelHandlerContext) {
        self.context = context
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        self.context = nil
    }

    func channelActive(context: ChannelHandlerContext) {
        self.isActive = true
        context.fireChannelActive()
        // Nobody may have waited any longer.
        if case .over = self.phase { return context.close(promise: nil) }
        self.user?.connected()
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        var bytes = self.unwrapInboundIn(data)
        while bytes.readableBytes > 0 {
            switch self.phase {
            case .idle: return self.fail(.invalid("it spoke without having been asked"))
            case .head:
                guard let count = self.headEnd.find(in: bytes), let head = bytes.readSlice(length: count) else {
                    self.statusLine.append(bytes)
                    return self.decode(OpaqueBytes.escaped(bytes), context)
                }
                self.statusLine.append(head)
                self.phase = .body
                self.chunks = nil
                self.decode(OpaqueBytes.escaped(head), context)
            case .body: return self.decode(self.withEscapedTrailers(bytes), context)
            case .raw:
                self.user?.received(bytes)
                return
            case .over: return
            }
        }
    }

    private func withEscapedTrailers(_ bytes: ByteBuffer) -> ByteBuffer {
        guard self.chunks != nil else { return bytes }
        do {
            _ = try self.chunks?.scan(bytes.readableBytesView)
        } catch {
            // The decoder may be less strict: what it makes of the rest is its business.
            self.chunks = nil
        }
        return self.chunks?.trailers.map { OpaqueBytes.escaped(bytes, from: $0) } ?? bytes
    }

    private func decode(_ bytes: ByteBuffer, _ context: ChannelHandlerContext) {
        context.fireChannelRead(self.wrapInboundOut(bytes))
    }

    func channelReadComplete(context: ChannelHandlerContext) {
        self.user?.readComplete()
    }

    func read(context: ChannelHandlerContext) {
        if self.isReading { context.read() } else { self.readIsWithheld = true }
    }

    func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
        // What the decoder had to see of a request. Its bytes are written by `write(_:)`.
        promise?.succeed(())
    }

    func channelWritabilityChanged(context: ChannelHandlerContext) {
        if !self.isFlushing { self.confirm() }
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        guard case .some(.inputClosed) = event as? ChannelEvent else { return context.fireUserInboundEventTriggered(event) }
        if case .raw = self.phase {
            self.user?.receivedEnd(nil)
        } else {
            // The decoder ends a body that goes on up to here.
            context.fireUserInboundEventTriggered(event)
            self.lose(.closed)
        }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        if self.isActive {
            self.fail(.closed)
        } else {
            self.fail(.notConnected(ServiceFailure(code: .unreachable, explanation: describe(error))))
        }
    }

    func channelInactive(context: ChannelHandlerContext) {
        // Without an error before: with our output already shut, or with TLS, the other side's end arrives only as this.
        if case .raw = self.phase { self.user?.receivedEnd(nil) }
        // The decoder ends a body that goes on up to here: a connection that broke has been reported before.
        context.fireChannelInactive()
        self.lose(.closed)
    }

    /// It did not come to stand.
    func connectFailed(_ failure: ServiceFailure) {
        self.lose(.notConnected(failure))
    }

    private func fail(_ failure: Failure) {
        self.lose(failure)
        self.context?.close(promise: nil)
    }

    private func lose(_ failure: Failure) {
        if case .over = self.phase { return }
        self.phase = .over
        let (user, pool) = (self.user, self.pool)
        self.user = nil
        self.pool = nil
        if let user { user.failed(failure) } else { pool?.lost(self) }
        self.context?.close(promise: nil)
    }

    // MARK: From the decoder

    fileprivate func decoderAdded(_ context: ChannelHandlerContext) { self.decoderContext = context }
    fileprivate func decoderRemoved() { self.decoderContext = nil }

    fileprivate func decoded(_ part: HTTPClientResponsePart) {
        guard let user = self.user else { return }
        switch part {
        case .head(var head):
            // A head whose end was not where it should be: only a line without CR can have hidden it.
            if case .head = self.phase { return self.fail(.invalid("a line of its head does not end in CR LF")) }
            if let status = self.statusLine.status(decoded: head.status) { head.status = status }
            user.received(head)
        case .body(let bytes): user.received(bytes)
        case .end(let trailers):
            if case .raw = self.phase { return }
            let bytes = trailers?.reduce(0) { $0 + $1.name.utf8.count + $1.value.opaqueByteCount } ?? 0
            guard bytes <= MessageLimits.headBytes else {
                return self.fail(.invalid("its trailers are longer than \(MessageLimits.headBytes) bytes"))
            }
            user.receivedEnd(trailers)
        }
    }

    fileprivate func decodingFailed(_ error: any Error) {
        switch error {
        // Its input ended inside of a message: the service left.
        case HTTPParserError.invalidEOFState: self.fail(.closed)
        case let error as HTTPParserError: self.fail(.invalid("\(error)"))
        default: self.fail(.closed)
        }
    }
}

/// What the decoder found, for the connection below it.
private final class ResponseReceiver: ChannelInboundHandler {
    typealias InboundIn = HTTPClientResponsePart

    private let connection: ServiceConnection

    init(_ connection: ServiceConnection) {
        self.connection = connection
    }

    func handlerAdded(context: ChannelHandlerContext) { self.connection.decoderAdded(context) }
    func handlerRemoved(context: ChannelHandlerContext) { self.connection.decoderRemoved() }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        self.connection.decoded(self.unwrapInboundIn(data))
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        self.connection.decodingFailed(error)
    }
}
