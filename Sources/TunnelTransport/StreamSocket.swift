package import Intermediaries
package import NIOCore
package import TunnelProtocol

/// The socket of one stream: a visitor's on the server, the connection to a service on the client.
///
///     socket ──bytes──▶ link         read on only while the stream takes bytes
///     socket ◀──bytes── link         credit goes back once the socket has taken them
///     FIN here is FIN there, in each direction by itself; a reset here is a reset there
package final class StreamSocket: ChannelDuplexHandler, StreamEnd, StreamUser {
    package typealias InboundIn = ByteBuffer
    package typealias OutboundIn = ByteBuffer
    package typealias OutboundOut = ByteBuffer

    package enum Origin {
        /// A visitor of this tunnel; the stream is opened when the socket is, with the addresses that a trusted proxy gave for it,
        /// or else the socket's own.
        case visitor(LinkDriver, TunnelNumber, ProxyHeader.Addresses?)
        /// Likewise, of a tunnel whose link may live on another event loop.
        case remoteVisitor(RemoteTunnel, ProxyHeader.Addresses?)
        /// The service for a stream that the peer opened.
        case service(LinkDriver, StreamID)
    }

    /// The stream, as this socket reaches it.
    private enum Carrier {
        case link(LinkDriver, StreamID)
        case remote(RemoteStream)
    }

    private let origin: Origin
    /// Told of the visitor's address once the stream stands, with its number.
    private let opened: ((StreamID, Endpoint?) -> Void)?
    /// What a service gets before the first byte of its stream. It belongs to no stream: no credit is returned for it.
    private let preface: ByteBuffer?
    private var stream: Carrier?
    private var context: ChannelHandlerContext?
    private var channel: (any Channel)?
    private var isActive = false

    private var takesBytes = true
    private var readIsWithheld = false
    private var inputIsFinished = false
    private var outputIsFinishing = false
    private var outputIsFinished = false
    private var hasEnded = false
    /// A UNIX socket, which knows nothing between open and gone once its other end has closed.
    private var isLocal = false
    /// A UNIX socket whose other end closed in order: gone, while the stream still stands.
    private var hasHungUp = false

    /// Bytes from the link that came before the service had accepted the connection; bounded by the stream's window.
    private var early: [ByteBuffer] = []
    /// Bytes written for which no credit has been returned yet.
    private var unconfirmed = 0
    private var isTouched = false
    /// Bytes of the read before, and of what was last written.
    private var lastRead = 0
    private var lastWritten = 0

    package init(
        origin: Origin, preface: ByteBuffer? = nil, opened: ((StreamID, Endpoint?) -> Void)? = nil
    ) {
        self.origin = origin
        self.preface = preface
        self.opened = opened
        if case .service(let link, let id) = origin { self.stream = .link(link, id) }
    }

    deinit { if case .remote(let stream) = self.stream { stream.userIsGone() } }

    // MARK: From the socket

    package func handlerAdded(context: ChannelHandlerContext) {
        self.context = context
        self.channel = context.channel
        if context.channel.isActive { self.activate(context) }
    }

    package func handlerRemoved(context: ChannelHandlerContext) {
        self.socketEnded()
    }

    package func channelActive(context: ChannelHandlerContext) {
        self.activate(context)
    }

    private func activate(_ context: ChannelHandlerContext) {
        guard !self.isActive, !self.hasEnded else { return }
        self.isActive = true
        if case .unixDomainSocket = context.remoteAddress { self.isLocal = true }
        switch self.origin {
        case .visitor(let link, let tunnel, let given):
            let (visitor, destination) = self.addresses(given, context)
            guard let id = link.open(self, tunnel: tunnel, visitor: visitor, destination: destination) else {
                self.abort()
                return
            }
            self.stream = .link(link, id)
            self.opened?(id, visitor)
        case .remoteVisitor(let tunnel, let given):
            let (visitor, destination) = self.addresses(given, context)
            self.stream = .remote(
                RemoteStream(eventLoop: context.eventLoop, home: tunnel.home, user: self) { end in
                    tunnel.open(end, visitor, destination)
                })
        case .service(let link, let id):
            if let preface = self.preface { context.writeAndFlush(self.wrapOutboundOut(preface), promise: nil) }
            link.connected(id)
            self.opened?(id, nil)
            let early = self.early
            self.early = []
            for bytes in early { _ = self.write(bytes) }
            if self.isTouched { self.flush(now: .now) }
            if self.outputIsFinishing { self.finishOutput() }
        }
    }

    private func addresses(
        _ given: ProxyHeader.Addresses?, _ context: ChannelHandlerContext
    ) -> (visitor: Endpoint?, destination: Endpoint?) {
        (
            given?.source ?? context.remoteAddress.flatMap(Endpoint.init),
            given?.destination ?? context.localAddress.flatMap(Endpoint.init)
        )
    }

    package func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        guard let stream = self.stream, !self.hasEnded else { return }
        let bytes = self.unwrapInboundIn(data)
        let scratch = LoopScratch.current
        scratch.moved(bytes.readableBytes)
        // The rest of something large, or the answer to it, is short too, and nobody waits for that more than for the rest.
        if max(bytes.readableBytes, self.lastRead, self.lastWritten) <= TransportLimits.interactiveBytes { scratch.payAttention() }
        self.lastRead = bytes.readableBytes
        switch stream {
        case .link(let link, let id):
            self.takesBytes = link.send(bytes, on: id)
            link.sent()
        case .remote(let stream): self.takesBytes = stream.send(bytes)
        }
    }

    package func read(context: ChannelHandlerContext) {
        if self.takesBytes { context.read() } else { self.readIsWithheld = true }
    }

    // Nobody further up listens for these, and they come with every read and write.
    package func channelReadComplete(context: ChannelHandlerContext) {}
    package func channelWritabilityChanged(context: ChannelHandlerContext) {}

    package func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if case .some(.inputClosed) = event as? ChannelEvent { self.finishInput() }
        context.fireUserInboundEventTriggered(event)
    }

    package func errorCaught(context: ChannelHandlerContext, error: any Error) {
        self.fail(.connectionReset)
        context.close(promise: nil)
    }

    package func channelInactive(context: ChannelHandlerContext) {
        self.socketEnded()
    }

    private func finishInput() {
        guard !self.inputIsFinished, let stream = self.stream, !self.hasEnded else { return }
        self.inputIsFinished = true
        switch stream {
        case .link(let link, let id): link.finish(id)
        case .remote(let stream): stream.finish()
        }
    }

    /// Without an error before: with our output already shut, the other side's end of file arrives only as this. A
    /// connection that never stood is reported by `connectFailed`, with its reason.
    private func socketEnded() {
        guard !self.hasEnded, !self.hasHungUp, self.isActive else { return }
        if self.isLocal, self.inputIsFinished, !self.outputIsFinishing {
            // With TCP this would be a FIN, and a reset only for who goes on sending. So it is here.
            self.hasHungUp = true
            self.context = nil
            self.channel = nil
            return
        }
        if self.outputIsFinished { self.finishInput() } else { self.fail(.connectionReset) }
        self.end()
    }

    /// The socket broke: the peer is told, unless everything had been said.
    private func fail(_ code: ResetCode) {
        guard !self.hasEnded else { return }
        switch self.stream {
        case .link(let link, let id): link.reset(id, code)
        case .remote(let stream): stream.reset(code)
        case nil: break
        }
        self.end()
    }

    private func end() {
        self.hasEnded = true
        if case .link(let link, let id) = self.stream { link.closed(id) }
        self.early = []
        self.context = nil
        self.channel = nil
    }

    // MARK: From a remote stream

    package func stream(_ stream: RemoteStream, received bytes: ByteBuffer) { _ = self.write(bytes) }
    package func streamReadComplete(_ stream: RemoteStream) { self.flush(now: .now) }
    package func streamTakesMore(_ stream: RemoteStream) { self.resumeSending() }
    package func streamFinished(_ stream: RemoteStream) { self.finish() }
    package func stream(_ stream: RemoteStream, ended code: ResetCode) {
        if code == .goingAway { self.linkEnded() } else { self.reset(code) }
    }

    // MARK: From the link

    package func write(_ bytes: ByteBuffer) -> Bool {
        guard !self.hasEnded else { return false }
        guard !self.hasHungUp else {
            self.fail(.connectionReset)
            return false
        }
        guard self.isActive, let context = self.context, let channel = self.channel else {
            self.early.append(bytes.withoutPinning())
            return false
        }
        self.unconfirmed += bytes.readableBytes
        // A socket that is behind holds what it is given; one that is not has taken it by the end of this turn.
        let isBehind = !self.isTouched && !channel.isWritable
        context.write(self.wrapOutboundOut(isBehind ? bytes.withoutPinning() : bytes), promise: nil)
        defer { self.isTouched = true }
        return !self.isTouched
    }

    package func flush(now: Instant) {
        self.isTouched = false
        guard !self.hasEnded, let context = self.context, let channel = self.channel, let stream = self.stream else { return }
        context.flush()
        let count = self.unconfirmed
        guard count > 0, !self.hasEnded else { return }
        self.unconfirmed = 0
        self.lastWritten = count
        if count <= TransportLimits.interactiveBytes { LoopScratch.current.letOthersRun() }
        // The water mark is a single byte: writable means that the socket has taken everything.
        guard !channel.isWritable else {
            self.taken(count, from: stream, now: now)
            return
        }
        context.writeAndFlush(self.wrapOutboundOut(ByteBuffer())).assumeIsolated().whenSuccess {
            if !self.hasEnded { self.taken(count, from: stream, now: .now) }
        }
    }

    private func taken(_ count: Int, from stream: Carrier, now: Instant) {
        switch stream {
        case .link(let link, let id): link.taken(count, from: id, now: now)
        case .remote(let stream): stream.taken(count)
        }
    }

    package func resumeSending() {
        self.takesBytes = true
        guard self.readIsWithheld, let context = self.context else { return }
        self.readIsWithheld = false
        context.read()
    }

    package func finish() {
        guard !self.outputIsFinishing else { return }
        self.outputIsFinishing = true
        guard !self.hasHungUp else { return self.end() }
        if self.isActive { self.finishOutput() }
    }

    private func finishOutput() {
        self.flush(now: .now)
        guard !self.hasEnded, let context = self.context else { return }
        if context.channel.isWritable {
            self.closeOutput(context)
        } else {
            // Closing the output while bytes wait would drop them once the input is closed too.
            context.writeAndFlush(self.wrapOutboundOut(ByteBuffer())).assumeIsolated().whenSuccess {
                if !self.hasEnded { self.closeOutput(context) }
            }
        }
    }

    private func closeOutput(_ context: ChannelHandlerContext) {
        self.outputIsFinished = true
        context.close(mode: .output, promise: nil)
    }

    /// The service did not accept the connection.
    ///
    /// - Returns: Whether somebody was still waiting for it.
    func connectFailed(_ code: ResetCode) -> Bool {
        guard !self.hasEnded else { return false }
        self.fail(code)
        return true
    }

    package func reset(_ code: ResetCode) {
        self.abort()
    }

    /// A socket that had everything from it still gets what is on its way.
    package func linkEnded() {
        if self.inputIsFinished, self.outputIsFinishing, self.isActive { return }
        self.abort()
    }

    /// Resets the connection, so that the other side does not take this for a proper end.
    private func abort() {
        guard let context = self.context else { return }
        self.end()
        if self.isActive { context.channel.resetOnClose() }
        context.close(promise: nil)
    }
}

extension ByteBuffer {
    /// The same bytes in storage of their own size, when they do not nearly fill their present one: what waits for a slow reader
    /// must not keep more than its window.
    package func withoutPinning() -> ByteBuffer {
        self.readableBytes * 4 < self.storageCapacity * 3 ? ByteBuffer(bytes: self.readableBytesView) : self
    }
}

extension Endpoint {
    /// `nil` for what is not IP.
    package init?(_ address: SocketAddress) {
        switch address {
        case .v4(let v4): self.init(v4.address)
        case .v6(let v6): self.init(v6.address)
        case .unixDomainSocket:
            return nil
        }
    }
}
