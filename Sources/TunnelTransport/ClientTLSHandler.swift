package import NIOCore
package import OpenSSL

/// TLS of a client's under whatever speaks above it: between the client and its proxy, where what goes through the proxy mostly is
/// TLS itself, and between the client and a service.
///
///     socket ──ciphertext──▶ TLSConnection ──plain bytes──▶ ProxyHandler, TransportHandler; ServiceConnection
///
/// Whoever is above learns that the channel is active once the certificate is verified.
package final class ClientTLSHandler: ChannelDuplexHandler {
    package typealias InboundIn = ByteBuffer
    package typealias InboundOut = ByteBuffer
    package typealias OutboundIn = ByteBuffer
    package typealias OutboundOut = ByteBuffer

    package enum Peer: Sendable {
        /// What goes wrong is told as a `TransportEnd`.
        case proxy
        /// What goes wrong is told as a `TLSFailure`. The end of the socket is an end without a close_notify as well, as other
        /// reverse proxies have it: many services leave it out.
        case service
    }

    private let tls: TLSConnection
    private let peer: Peer
    private var isReady = false
    private var hasFailed = false
    /// Of writes that are encrypted and not yet on their way.
    private var promises: [EventLoopPromise<Void>] = []

    package init(_ tls: TLSConnection, with peer: Peer) {
        self.tls = tls
        self.peer = peer
    }

    // MARK: In

    package func channelActive(context: ChannelHandlerContext) {
        do {
            try self.tls.start()
        } catch {
            self.fail(error, context)
        }
        self.send(context)
    }

    package func channelRead(context: ChannelHandlerContext, data: NIOAny) {
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
                // What came before is good: an answer, and then the alert.
                if self.isReady, plaintext.readableBytes > 0 { context.fireChannelRead(self.wrapInboundOut(plaintext)) }
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

    package func errorCaught(context: ChannelHandlerContext, error: any Error) {
        context.fireErrorCaught(error)
    }

    package func channelInactive(context: ChannelHandlerContext) {
        if !self.isReady, !self.hasFailed {
            self.hasFailed = true
            context.fireErrorCaught(self.described(.closedDuringHandshake))
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
        context.fireErrorCaught(self.described(failure))
    }

    private func described(_ failure: TLSFailure) -> any Error {
        switch self.peer {
        case .proxy: self.isReady ? TransportEnd.tls(failure) : .proxy(.tls(failure))
        case .service: failure
        }
    }

    // MARK: Out

    package func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
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

    package func flush(context: ChannelHandlerContext) {
        self.send(context)
    }

    package func close(context: ChannelHandlerContext, mode: CloseMode, promise: EventLoopPromise<Void>?) {
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
