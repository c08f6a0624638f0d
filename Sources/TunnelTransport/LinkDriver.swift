package import NIOCore
package import TunnelProtocol

/// What a role does with the streams and tunnels of a link. All calls come on the link's event loop.
package protocol LinkDelegate: AnyObject {
    /// Anything but the bytes and ends of streams, which go to their sockets.
    func link(_ link: LinkDriver, received event: Link.Event)
    /// A stream is gone.
    func linkStreamEnded(_ link: LinkDriver)
}

/// A link on its event loop: joins the multiplexer to the sockets of its streams. Link, connection and sockets share the
/// loop, so nothing here locks or hops.
///
///     suspended ──attach()──▶ carried ──connection gone, detach()──▶ suspended ──end()──▶ ended: its streams are reset
///                                └──────────attach() of a newer connection──┘
package final class LinkDriver {
    package let eventLoop: any EventLoop
    private let link: Link
    private var sockets: [StreamID: StreamSocket] = [:]
    private var touched: [StreamSocket] = []
    private var connection: TunnelConnection?
    private var delegate: (any LinkDelegate)?
    private var isDraining = false

    /// - Parameters:
    ///   - terms: What this side announced; the peer's are what the peer announced.
    ///   - isResumable: Whether another connection may carry it on.
    ///   - budget: The session's.
    package init(
        role: Link.Role, terms: Frame.Terms, peerTerms: Frame.Terms, isResumable: Bool, budget: MemoryBudget,
        eventLoop: any EventLoop, delegate: any LinkDelegate
    ) {
        self.link = Link(role: role, terms: terms, peerTerms: peerTerms, isResumable: isResumable, budget: budget)
        self.eventLoop = eventLoop
        self.delegate = delegate
    }

    package var streamCount: Int { self.sockets.count }

    /// Called whenever there is no stream, and nothing left to say.
    package var whenQuiet: (() -> Void)?

    /// Whether there is no stream, and nothing left to say. A stream whose socket is done may still have bytes here.
    package var isQuiet: Bool { self.sockets.isEmpty && self.link.streamCount == 0 && !self.link.hasOutbound }

    func checkQuiet() {
        guard let whenQuiet = self.whenQuiet, self.isQuiet else { return }
        // Not from inside of a stream's own end.
        self.eventLoop.assumeIsolated().execute(whenQuiet)
    }

    package var isCarried: Bool { self.connection != nil }

    /// Frames received so far, for the greeting.
    package var received: UInt64 { self.link.received }

    /// Whether a peer that says so can have received so many frames.
    package func isPossible(received count: UInt64) -> Bool { self.link.isPossible(received: count) }

    // MARK: Connections

    /// - Returns: The bytes sent again.
    func attach(_ connection: TunnelConnection, peerReceived count: UInt64) throws(PeerViolation) -> Int {
        self.connection = connection
        return try self.link.resume(peerReceived: count)
    }

    func detach(_ connection: TunnelConnection) {
        guard self.connection === connection else { return }
        self.connection = nil
        self.link.suspend()
    }

    func acknowledgeSoon() {
        self.link.acknowledgeSoon()
    }

    /// No connection will carry it any more: every stream that was not finished ends.
    package func end() {
        self.connection = nil
        self.delegate = nil
        self.whenQuiet = nil
        let sockets = self.sockets.values
        self.sockets = [:]
        for socket in sockets { socket.linkEnded() }
        self.link.end()
    }

    /// Sends a frame about tunnels.
    package func send(_ frame: Frame) {
        self.link.send(frame)
        self.linkChanged()
    }

    // MARK: Streams

    /// A visitor arrived: opens a stream for its socket.
    func open(_ socket: StreamSocket, tunnel: TunnelNumber, visitor: Endpoint?, destination: Endpoint?) -> StreamID? {
        guard self.delegate != nil,
            let id = self.link.open(tunnel: tunnel, visitor: visitor, destination: destination)
        else { return nil }
        self.sockets[id] = socket
        self.linkChanged()
        return id
    }

    /// Joins a stream that the peer opened to a socket that is still being connected.
    package func join(_ socket: StreamSocket, to id: StreamID) {
        self.sockets[id] = socket
    }

    /// Refuses a stream that the peer opened.
    package func reset(_ id: StreamID, _ code: ResetCode) {
        self.link.reset(id, code)
        self.socketClosed(id)
        self.linkChanged()
    }

    func connected(_ id: StreamID) {
        self.link.connected(id)
        self.linkChanged()
    }

    /// - Returns: Whether the stream takes more; if not, the socket's `resumeReading` will say when it does.
    func send(_ bytes: ByteBuffer, on id: StreamID) -> Bool {
        self.link.send(bytes, on: id)
    }

    /// To be called after `send`, once its answer is noted: it may flush, and so make the stream take bytes again.
    func sent() {
        self.connection?.pieceQueued(isAlone: self.sockets.count == 1)
    }

    func finish(_ id: StreamID) {
        self.link.finish(id)
        self.linkChanged()
    }

    func taken(_ count: Int, from id: StreamID, now: Instant) {
        self.link.taken(count, from: id, now: now)
        if self.link.hasOutbound { self.linkChanged() }
    }

    func socketClosed(_ id: StreamID) {
        guard self.sockets.removeValue(forKey: id) != nil else { return }
        self.delegate?.linkStreamEnded(self)
        self.checkQuiet()
    }

    private func linkChanged() {
        self.connection?.scheduleFlush()
    }

    // MARK: For the connection

    var hasOutbound: Bool { self.link.hasOutbound }

    func receive(_ output: FrameDecoder.Output) throws(PeerViolation) {
        try self.link.receive(output)
    }

    func acknowledge(_ count: UInt64) throws(PeerViolation) {
        try self.link.acknowledge(count)
    }

    func measured(_ roundTrip: Duration) {
        self.link.roundTripMeasured(roundTrip)
    }

    func measured(_ bytes: Int, in time: Duration) {
        self.link.rateMeasured(bytes, in: time)
    }

    func nextOutbound() -> Link.Outbound? {
        self.link.nextOutbound()
    }

    /// Hands out what the link has to say, then lets each socket that got bytes write them in one go.
    func drain() {
        guard !self.isDraining else { return }
        self.isDraining = true
        while let event = self.link.nextEvent() {
            switch event {
            case .data(let id, let bytes):
                guard let socket = self.sockets[id] else { continue }
                if socket.write(bytes) { self.touched.append(socket) }
            case .finished(let id): self.sockets[id]?.finish()
            case .reset(let id, let code):
                self.sockets[id]?.reset(code)
                self.socketClosed(id)
            case .sendable(let id): self.sockets[id]?.resumeReading()
            case .opened, .connected, .listen, .listening, .refused, .unlisten:
                self.delegate?.link(self, received: event)
            }
        }
        if !self.touched.isEmpty {
            let now = Instant.now
            for socket in self.touched { socket.flush(now: now) }
            self.touched.removeAll(keepingCapacity: true)
        }
        self.isDraining = false
        if self.link.isFlooded { self.connection?.flooded() }
    }
}
