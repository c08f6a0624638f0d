package import NIOCore
package import TunnelProtocol

/// What a role does with the streams and tunnels of a link. All calls come on the link's event loop.
package protocol LinkDelegate: AnyObject {
    /// Anything but the bytes and ends of streams, which go to its end here.
    func link(_ link: LinkDriver, received event: Link.Event)
    /// A stream is gone.
    func linkStreamEnded(_ link: LinkDriver)
}

/// A link on its event loop: joins the multiplexer to the ends of its streams. Link, connection and sockets share the
/// loop, so nothing here locks or hops.
///
///     suspended ──attach()──▶ carried ──connection gone, detach()──▶ suspended ──end()──▶ ended: its streams are reset
///                                └──────────attach() of a newer connection──┘
package final class LinkDriver {
    package let eventLoop: any EventLoop
    // Used on the event loop alone, and what a link does calls nobody: looking for overlapping access at run time found nothing, and took a
    // tenth of a short message's time. The same holds for the two below, each of which is read before its ends are called.
    @exclusivity(unchecked) private var link: Link
    @exclusivity(unchecked) private var ends: [StreamID: any StreamEnd] = [:]
    @exclusivity(unchecked) private var touched: [any StreamEnd] = []
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

    package var streamCount: Int { self.ends.count }

    /// Called whenever there is no stream, and nothing left to say.
    package var whenQuiet: (() -> Void)?

    /// Whether there is no stream, and nothing left to say. A stream whose end is done may still have bytes here.
    package var isQuiet: Bool { self.ends.isEmpty && self.link.streamCount == 0 && !self.link.hasOutbound }

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
        let ends = self.ends.values
        self.ends = [:]
        for end in ends { end.linkEnded() }
        self.link.end()
    }

    /// Sends a frame about tunnels.
    package func send(_ frame: Frame) {
        self.link.send(frame)
        self.linkChanged()
    }

    // MARK: Streams

    /// A visitor arrived: opens a stream.
    ///
    /// - Returns: `nil` when the link takes no more streams, or has ended.
    package func open(_ end: any StreamEnd, tunnel: TunnelNumber, visitor: Endpoint?, destination: Endpoint?) -> StreamID? {
        guard self.delegate != nil,
            let id = self.link.open(tunnel: tunnel, visitor: visitor, destination: destination)
        else { return nil }
        self.ends[id] = end
        self.linkChanged()
        return id
    }

    /// Joins a stream that the peer opened to its end here.
    package func join(_ end: any StreamEnd, to id: StreamID) {
        self.ends[id] = end
    }

    /// Refuses a stream that the peer opened.
    package func reset(_ id: StreamID, _ code: ResetCode) {
        self.link.reset(id, code)
        self.closed(id)
        self.linkChanged()
    }

    /// The end of a stream that the peer opened stands.
    package func connected(_ id: StreamID) {
        self.link.connected(id)
        self.linkChanged()
    }

    /// - Returns: Whether the stream takes more; if not, the end's `resumeSending` will say when it does.
    package func send(_ bytes: ByteBuffer, on id: StreamID) -> Bool {
        self.link.send(bytes, on: id)
    }

    /// To be called after `send`, once its answer is noted: it may flush, and so make the stream take bytes again.
    package func sent() {
        self.connection?.pieceQueued(isAlone: self.ends.count == 1)
    }

    /// Somebody waits for what is short on one of the loop's links: bulk makes room for it.
    package func payAttention() { LoopScratch.current.payAttention() }

    package func finish(_ id: StreamID) {
        self.link.finish(id)
        self.linkChanged()
    }

    package func taken(_ count: Int, from id: StreamID, now: Instant) {
        self.link.taken(count, from: id, now: now)
        if self.link.hasOutbound { self.linkChanged() }
    }

    /// The end of a stream is done with it.
    package func closed(_ id: StreamID) {
        guard self.ends.removeValue(forKey: id) != nil else { return }
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

    /// To be called before frames are made.
    func noteAttention() { self.link.isAttentive = LoopScratch.current.isAttentive }

    func nextOutbound() -> Link.Outbound? { self.link.nextOutbound() }

    /// Hands out what the link has to say, then lets each end that got bytes pass them on in one go.
    func drain() {
        guard !self.isDraining else { return }
        self.isDraining = true
        // Passing bytes on may let a stream take bytes again.
        while self.link.hasEvents { self.drainOnce() }
        self.isDraining = false
        if self.link.isFlooded { self.connection?.flooded() }
    }

    private func drainOnce() {
        while let event = self.link.nextEvent() {
            switch event {
            case .data(let id, let bytes):
                guard let end = self.ends[id] else { continue }
                if end.write(bytes) { self.touched.append(end) }
            case .finished(let id): self.ends[id]?.finish()
            case .reset(let id, let code):
                self.ends[id]?.reset(code)
                self.closed(id)
            case .sendable(let id): self.ends[id]?.resumeSending()
            case .opened, .connected, .listen, .listening, .refused, .unlisten, .health:
                self.delegate?.link(self, received: event)
            }
        }
        if !self.touched.isEmpty {
            let now = Instant.now
            for end in self.touched { end.flush(now: now) }
            self.touched.removeAll(keepingCapacity: true)
        }
    }
}
