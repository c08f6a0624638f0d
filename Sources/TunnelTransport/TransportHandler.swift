package import struct Intermediaries.ForwardedAddresses
package import NIOCore
package import OpenSSL

/// Who uses a transport's plain bytes: the opening handshake first, then the tunnel connection.
package protocol TransportUser: AnyObject {
    /// The TCP connection, and TLS on it, stand.
    func transportIsReady()
    /// Bytes from the peer; nobody else holds the buffer, so it may be changed in place.
    func transport(received bytes: inout ByteBuffer)
    /// Everything the socket had to give for now has been received.
    func transportReadComplete()
    /// The socket takes bytes again.
    func transportIsWritable()
    /// The peer sends no more, though it may still read.
    ///
    /// - Returns: Whether this side goes on sending. If not, the connection ends.
    func transportInputEnded() -> Bool
    /// The last call: the connection is gone.
    func transportEnded(_ end: TransportEnd)
}

extension TransportUser {
    package func transportInputEnded() -> Bool { false }
}

/// How a transport ended.
package enum TransportEnd: Error, Sendable {
    /// The peer closed it.
    case endOfFile
    /// The socket failed, for example with a reset.
    case failed(String)
    case tls(TLSFailure)
    /// The proxy on the way leads nowhere.
    case proxy(ProxyEnd)
    /// A time limit of ours passed; the text says which.
    case deadline(String)
    /// This side closed it.
    case closedHere
}

/// The bottom of every tunnel connection's pipeline: plain bytes above, TLS (or nothing, behind a load balancer or on
/// loopback) and the socket below.
///
///     socket ──ciphertext──▶ TLSConnection ──plain bytes──▶ user
///     socket ◀──one write a flush── TLSConnection ◀──write()── user
///
/// The user is called directly, not through the pipeline, so that buffers arrive with one owner.
package final class TransportHandler: ChannelInboundHandler {
    package typealias InboundIn = ByteBuffer
    package typealias InboundOut = ByteBuffer
    package typealias OutboundOut = ByteBuffer

    private let tls: TLSConnection?
    private var user: (any TransportUser)?
    private var context: ChannelHandlerContext?
    private var deadline: Scheduled<Void>?
    /// The event loop's, which is looked up once.
    private lazy var scratch = LoopScratch.current
    private var hasPlainWrites = false
    private var hasStarted = false
    private var isReady = false
    private var isClosing = false
    private var inputHasEnded = false
    private var outputHasEnded = false
    /// Whether the user goes on after the end of the input.
    private var goesOn = false
    private var end: TransportEnd?

    /// - Parameters:
    ///   - tls: `nil` for a connection without TLS.
    package init(tls: TLSConnection?, user: any TransportUser) {
        self.tls = tls
        self.user = user
    }

    /// For a connection that another event loop has begun.
    init(continuing released: ReleasedTransport) {
        self.tls = released.tls
        self.forwarded = released.forwarded
        self.remoteAddress = released.remoteAddress
        self.hasStarted = true
        self.isReady = true
    }

    /// The socket's address at the other end.
    package private(set) var remoteAddress: SocketAddress?

    /// Where the connection comes from when a trusted proxy stands in between; `nil`: from the socket's other end.
    package var forwarded: ForwardedAddresses?

    /// The TLS connection, for what was negotiated.
    package var security: TLSConnection? { self.tls }

    package var isWritable: Bool { self.context?.channel.isWritable ?? false }

    /// Bytes that the socket has not taken yet.
    package var waitingBytes: Int {
        (try? self.context?.channel.syncOptions?.getOption(.bufferedWritableBytes)) ?? 0
    }

    package var isOpen: Bool { self.context != nil && !self.isClosing }

    /// Hands the transport to its next user.
    package func hand(to user: any TransportUser) {
        self.user = user
    }

    /// Gives bytes that came with the last of one user's to the next.
    package func passOn(_ bytes: inout ByteBuffer) {
        self.user?.transport(received: &bytes)
    }

    /// For what the user puts above: it gets bytes from `pass(up:)` only, and nothing else that happens here.
    package var pipeline: ChannelPipeline.SynchronousOperations? { self.context?.pipeline.syncOperations }

    /// Gives bytes to the handlers above.
    package func pass(up bytes: ByteBuffer) {
        self.context?.fireChannelRead(self.wrapInboundOut(bytes))
    }

    /// From here on the user is asked what becomes of the connection when its peer has closed one direction.
    package func allowHalfClosure() {
        try? self.context?.channel.syncOptions?.setOption(.allowRemoteHalfClosure, value: true)
    }

    /// Whether the socket is read. What has been read already is still given to the user.
    package var isReading = true {
        didSet {
            guard self.isReading != oldValue, !self.isClosing else { return }
            try? self.context?.channel.syncOptions?.setOption(.autoRead, value: self.isReading)
        }
    }

    /// Takes the connection off this event loop, so that another can go on with it. Nothing is heard of it here any more.
    ///
    /// What was read and has not been given to the user by now is lost: in `transportReadComplete()` there is nothing of it.
    ///
    /// - Returns: `nil`, and nothing has changed, while bytes wait to be sent, when the connection ends, and when no descriptor is free.
    package func release() -> ReleasedTransport? {
        guard let context = self.context, !self.isClosing, !self.inputHasEnded, !self.outputHasEnded, self.end == nil,
            self.tls?.outbound.readableBytes ?? 0 == 0,
            let waiting = try? context.channel.syncOptions?.getOption(.bufferedWritableBytes), waiting == 0,
            let descriptor = SocketDescriptor.duplicate(context.channel)
        else { return nil }
        self.liftLimit()
        self.user = nil
        self.context = nil
        self.isClosing = true
        context.close(promise: nil)
        return ReleasedTransport(
            descriptor: descriptor, tls: self.tls, forwarded: self.forwarded, remoteAddress: self.remoteAddress)
    }

    // MARK: Out

    /// Encrypts bytes, or queues them as they are; `flush()` sends them.
    package func write(_ bytes: ByteBuffer) {
        guard let context = self.context, !self.isClosing else { return }
        guard let tls = self.tls else {
            self.hasPlainWrites = true
            context.write(self.wrapOutboundOut(bytes), promise: nil)
            return
        }
        if tls.outbound.capacity == 0 { tls.outbound = self.scratch.takeCiphertext() }
        do {
            try bytes.withUnsafeReadableBytes { plaintext throws(TLSFailure) in try tls.encrypt(plaintext) }
        } catch {
            self.fail(.tls(error))
        }
    }

    package func flush() {
        guard let context = self.context else { return }
        if let tls = self.tls {
            guard tls.outbound.readableBytes > 0 else { return }
            var ciphertext = ByteBuffer()
            swap(&ciphertext, &tls.outbound)
            context.writeAndFlush(self.wrapOutboundOut(ciphertext), promise: nil)
            // If the socket took all of it, the storage is ours alone again.
            self.scratch.give(ciphertext: ciphertext)
        } else if self.hasPlainWrites {
            self.hasPlainWrites = false
            context.flush()
        }
    }

    /// Sends what was written, then closes: our direction at once, the rest when the peer has closed its own.
    ///
    /// - Parameter limit: How long the peer has for what waits, if that must not depend on how fast it is.
    package func close(within limit: TimeAmount? = nil) {
        guard self.isOpen else { return }
        if !self.outputHasEnded { self.tls?.close() }
        self.flush()
        self.end = self.end ?? .closedHere
        // What still comes is dropped, but has to be read: closing with bytes unread would be a reset.
        self.isReading = true
        self.closeOutput(within: limit)
    }

    /// Sends what was written, then closes this direction alone.
    package func finishOutput() {
        guard self.isOpen, !self.outputHasEnded else { return }
        self.outputHasEnded = true
        self.tls?.close()
        self.flush()
        self.shutOutput()
    }

    private func closeOutput(within limit: TimeAmount?) {
        guard self.context != nil else { return }
        self.isClosing = true
        if !self.outputHasEnded { self.shutOutput() }
        if let limit { self.limit(to: limit, "closing") } else { self.linger() }
    }

    /// Once the socket has taken everything the peer has a moment to close its own direction. Until then it may be as slow as it likes,
    /// as long as it takes anything.
    private func linger() {
        let waiting = self.waitingBytes
        guard waiting > 0, let context = self.context else { return self.limit(to: TransportLimits.lingering, "closing") }
        self.deadline?.cancel()
        self.deadline = context.eventLoop.assumeIsolated().scheduleTask(in: TransportLimits.stalled) {
            if self.waitingBytes != waiting { return self.linger() }
            self.end = self.end ?? .deadline("nothing was taken for \(TransportLimits.stalled.nanoseconds / 1_000_000_000) s")
            self.context?.close(promise: nil)
        }
    }

    private func shutOutput() {
        guard let context = self.context else { return }
        self.outputHasEnded = true
        let bound = NIOLoopBound(context, eventLoop: context.eventLoop)
        context.writeAndFlush(self.wrapOutboundOut(ByteBuffer())).assumeIsolated().whenComplete { _ in
            bound.value.close(mode: .output, promise: nil)
            if self.isClosing { self.linger() }
        }
    }

    /// Closes without a word: for a peer that does not answer.
    package func abort() {
        self.isClosing = true
        self.end = self.end ?? .closedHere
        self.context?.close(promise: nil)
    }

    /// Resets the connection, so that the peer does not take this for a proper end.
    package func reset() {
        self.context?.channel.resetOnClose()
        self.abort()
    }

    /// Ends the transport after `time`, unless another limit is set or this one is lifted before.
    ///
    /// - Parameter start: When that time began.
    package func limit(to time: TimeAmount, since start: NIODeadline = .now(), _ what: String) {
        guard let context = self.context else { return }
        self.deadline?.cancel()
        self.deadline = context.eventLoop.assumeIsolated().scheduleTask(deadline: start + time) {
            self.end = self.end ?? .deadline("\(what) took longer than \(time.nanoseconds / 1_000_000_000) s")
            self.context?.close(promise: nil)
        }
    }

    package func liftLimit() {
        self.deadline?.cancel()
        self.deadline = nil
    }

    private func fail(_ end: TransportEnd) {
        guard self.end == nil else { return }
        self.end = end
        // OpenSSL may have left an alert to send, which says why. A client may have sent more than was read: closing with that
        // unread would reset the connection and could take the alert with it.
        let lingers = self.tls.map { $0.isServer && $0.outbound.readableBytes > 0 } ?? false
        self.flush()
        if lingers { self.closeOutput(within: TransportLimits.lingering) } else { self.abort() }
    }

    // MARK: In

    package func handlerAdded(context: ChannelHandlerContext) {
        self.context = context
        self.remoteAddress = self.remoteAddress ?? context.remoteAddress
        if context.channel.isActive { self.start(context) }
    }

    package func handlerRemoved(context: ChannelHandlerContext) {
        // Also when a connect failed; whoever dialled knows why.
        if self.hasStarted { self.finish() } else { self.context = nil }
    }

    package func channelActive(context: ChannelHandlerContext) {
        self.start(context)
    }

    package func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        guard !self.isClosing else { return }
        var bytes = self.unwrapInboundIn(data)
        self.scratch.moved(bytes.readableBytes)
        defer { if bytes.storageCapacity > ConnectionReadAllocator.firstBytes { self.scratch.give(read: bytes) } }
        guard let tls = self.tls else {
            // The channel still holds this buffer; frames are unmasked in place.
            var plaintext = self.scratch.takePlaintext()
            plaintext.writeBuffer(&bytes)
            self.user?.transport(received: &plaintext)
            self.scratch.give(plaintext: plaintext)
            return
        }
        self.decrypt(&bytes, tls)
    }

    private func decrypt(_ bytes: inout ByteBuffer, _ tls: TLSConnection) {
        while !self.isClosing {
            var plaintext = self.scratch.takePlaintext()
            let progress: TLSConnection.Progress
            do {
                progress = try tls.receive(&bytes, into: &plaintext, limit: TransportLimits.plaintextBytes)
            } catch {
                // What came before is good: an answer, and then the alert.
                if self.isReady, plaintext.readableBytes > 0 { self.user?.transport(received: &plaintext) }
                self.scratch.give(plaintext: plaintext)
                self.fail(.tls(error))
                return
            }
            // What the handshake has to answer, or a key update.
            self.flush()
            if !self.isReady, tls.isHandshakeComplete {
                self.isReady = true
                self.user?.transportIsReady()
            }
            if plaintext.readableBytes > 0 { self.user?.transport(received: &plaintext) }
            self.scratch.give(plaintext: plaintext)
            switch progress {
            case .limitReached: continue
            case .wantsMore: return
            case .closed:
                guard !self.inputEnded() else { return }
                self.end = self.end ?? .endOfFile
                self.close()
                return
            }
        }
    }

    /// - Returns: Whether this side goes on.
    private func inputEnded() -> Bool {
        guard !self.inputHasEnded else { return self.goesOn }
        self.inputHasEnded = true
        self.goesOn = self.user?.transportInputEnded() ?? false
        return self.goesOn
    }

    package func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        guard case .some(.inputClosed) = event as? ChannelEvent, !self.isClosing, !self.inputEnded() else { return }
        self.end = self.end ?? .endOfFile
        context.close(promise: nil)
    }

    package func channelReadComplete(context: ChannelHandlerContext) {
        self.user?.transportReadComplete()
    }

    package func channelWritabilityChanged(context: ChannelHandlerContext) {
        if context.channel.isWritable, !self.isClosing { self.user?.transportIsWritable() }
    }

    package func errorCaught(context: ChannelHandlerContext, error: any Error) {
        self.end = self.end ?? error as? TransportEnd ?? .failed(describe(error))
        context.close(promise: nil)
    }

    package func channelInactive(context: ChannelHandlerContext) {
        self.finish()
    }

    private func start(_ context: ChannelHandlerContext) {
        guard !self.hasStarted else { return }
        self.hasStarted = true
        self.remoteAddress = context.remoteAddress
        guard let tls = self.tls else {
            self.isReady = true
            self.user?.transportIsReady()
            return
        }
        do {
            try tls.start()
        } catch {
            self.fail(.tls(error))
        }
        self.flush()
    }

    private func finish() {
        self.liftLimit()
        // With our direction ended, the other one's end in order arrives as the channel's.
        if self.outputHasEnded, self.end == nil { _ = self.inputEnded() }
        guard let user = self.user else { return }
        self.user = nil
        self.context = nil
        self.isClosing = true
        user.transportEnded(self.end ?? .endOfFile)
    }
}
