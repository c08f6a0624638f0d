internal import NIOCore
internal import OpenSSL

/// TLS between the client and its proxy, under whatever goes through the proxy, which mostly is TLS itself.
///
///     socket ──ciphertext──▶ TLSConnection ──plain bytes──▶ ProxyHandler, TransportHandler
///
/// Whoever is above learns that the channel is active once the proxy's certificate is verified.
final class ProxyTLSHandler: ChannelDuplexHandler {
    typealias InboundIn = ByteBuffer
    typealias InboundOut = ByteBuffer
    typealias OutboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    private let tls: TLSConnection
    private var isReady = false
    private var hasFailed = false
    /// Of writes that are encrypted and not yet on their way.
    private var promises: [EventLoopPromise<Void>] = []

    init(_ tls: TLSConnection) {
        self.tls = tls
    }

    // MARK: In

    func channelActive(context: ChannelHandlerContext) {
        do {
            try self.tls.start()
        } catch {
            self.fail(error, context)
        }
        self.send(context)
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        guard !self.hasFailed else { return }
        var bytes = self.unwrapInboundIn(data)
        // The buffer of every other read of this loop, see `ConnectionReadAllocator`.
        defer { if bytes.storageCapacity > ConnectionReadAllocator.firstBytes { LoopScratch.current.give(read: bytes) } }
        while true {
            var plaintext = ByteBuffer()
            let progress: TLSConnection.Progress
            do {
                progress = try self.tls.receive(&bytes, into: &plaintext, limit: TransportLimits.plaintextBytes)
            } catch {
                return self.fail(error, context)
            }
            // What the handshake has to answer, or a key update.
            self.send(context)
            if !self.isReady, self.tls.isHandshakeComplete {
                self.isReady = true
                context.fireChannelActive()
            }
            if plaintext.readableBytes > 0 { context.fireChannelRead(self.wrapInboundOut(plaintext)) }
            switch progress {
            case .limitReached: continue
            case .wantsMore: return
            case .closed: return context.close(promise: nil)
            }
        }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        context.fireErrorCaught(error)
    }

    func channelInactive(context: ChannelHandlerContext) {
        if !self.isReady, !self.hasFailed {
            self.hasFailed = true
            context.fireErrorCaught(TransportEnd.proxy(.tls(.closedDuringHandshake)))
        }
        let promises = self.promises
        self.promises = []
        for promise in promises { promise.fail(ChannelError.ioOnClosedChannel) }
        context.fireChannelInactive()
    }

    private func fail(_ failure: TLSFailure, _ context: ChannelHandlerContext) {
        guard !self.hasFailed else { return }
        self.hasFailed = true
        // OpenSSL may have left an alert to send.
        self.send(context)
        context.fireErrorCaught(self.isReady ? TransportEnd.tls(failure) : .proxy(.tls(failure)))
    }

    // MARK: Out

    func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
        let bytes = self.unwrapOutboundIn(data)
        guard self.isReady, !self.hasFailed else {
            promise?.fail(ChannelError.ioOnClosedChannel)
            return
        }
        do {
            try bytes.withUnsafeReadableBytes { plaintext throws(TLSFailure) in try self.tls.encrypt(plaintext) }
        } catch {
            promise?.fail(error)
            return self.fail(error, context)
        }
        if let promise { self.promises.append(promise) }
    }

    func flush(context: ChannelHandlerContext) {
        self.send(context)
    }

    func close(context: ChannelHandlerContext, mode: CloseMode, promise: EventLoopPromise<Void>?) {
        if mode != .input {
            self.tls.close()
            self.send(context)
        }
        context.close(mode: mode, promise: promise)
    }

    private func send(_ context: ChannelHandlerContext) {
        guard self.tls.outbound.readableBytes > 0 || !self.promises.isEmpty else { return }
        let sent = context.eventLoop.makePromise(of: Void.self)
        let promises = self.promises
        self.promises = []
        for promise in promises { sent.futureResult.cascade(to: promise) }
        context.writeAndFlush(self.wrapOutboundOut(self.tls.takeOutbound()), promise: promises.isEmpty ? nil : sent)
        if promises.isEmpty { sent.succeed(()) }
    }
}
