internal import DequeModule
package import struct NIOCore.ByteBuffer

/// The multiplexer: streams inside an ordered sequence of frames in each direction.
///
/// Frames come in through `receive`, decisions of the sockets beyond through `open`, `send`, `finish`, `reset` and `taken`;
/// what follows from them is pulled with `nextEvent()` and `nextOutbound()`. It knows no connection: one carries it, and
/// may be replaced by another.
///
/// A stream is gone once both its halves are finished, or with RESET either way; frames for it that are still on their way are
/// ignored.
///
/// One owner, on one event loop, and never a copy: a copy would share the streams. A structure, so that each call of the owner's is one
/// access, however much happens inside.
package struct Link: ~Copyable {
    package enum Role: Sendable { case client, server }

    package enum Event: Equatable, Sendable {
        /// The peer opened a stream.
        indirect case opened(Frame.Open)
        /// The service accepted the connection of a stream opened here.
        case connected(StreamID)
        case data(StreamID, ByteBuffer)
        case finished(StreamID)
        case reset(StreamID, ResetCode)
        /// The stream takes bytes again, after `send` had said it takes no more.
        case sendable(StreamID)
        indirect case listen(Frame.Listen)
        indirect case listening(Frame.Listening)
        indirect case refused(Frame.Refused)
        case unlisten(TunnelNumber)
        case health(TunnelNumber, isWell: Bool)
    }

    package enum Outbound: Equatable, Sendable {
        case frame(Frame)
        /// A DATA frame with this payload.
        case data(StreamID, ByteBuffer)
    }

    let role: Role
    let terms: Frame.Terms
    private let peerTerms: Frame.Terms
    var streams: [StreamID: Stream] = [:]
    private var nextStream: UInt64
    var highestPeerStream: UInt64 = 0
    private var ownStreams: UInt64 = 0
    var peerStreams: UInt64 = 0
    let budget: MemoryBudget
    private var roundTrip = Duration.zero
    private var largestWindow = 0

    var scheduler = Scheduler()
    private var restraint = Restraint()
    /// What waits on all streams.
    private var queuedBytes = 0
    private var control = Deque<Frame>()
    var events = Deque<Event>()

    /// Frames of this link received, whatever connection carried them.
    package internal(set) var received: UInt64 = 0
    var replay: ReplayBuffer
    /// Bytes of the DATA frame now being received: those handed on, and those this connection has brought. A frame that was
    /// cut off comes again from its first byte.
    var handedOn = 0
    var brought = 0
    /// The stream of that frame.
    var unfinished: StreamID?
    var withheld: WithheldBytes
    /// What the peer has been told of `received`, and the bytes since then.
    private var receivedTold: UInt64 = 0
    var bytesUntold = 0
    private var owesAcknowledgement = false

    /// - Parameters:
    ///   - terms: What this side announced in its greeting.
    ///   - peerTerms: What the peer announced in its own.
    ///   - isResumable: Whether what is sent is kept until the peer has it.
    ///   - budget: The session's.
    package init(
        role: Role, terms: Frame.Terms, peerTerms: Frame.Terms, isResumable: Bool = true, budget: MemoryBudget,
        withheldBytes: Int = Limits.Implementation.withheldBytes
    ) {
        self.role = role
        self.budget = budget
        self.terms = terms
        self.peerTerms = peerTerms
        self.withheld = WithheldBytes(most: withheldBytes)
        self.replay = ReplayBuffer(keeps: isResumable, budget: budget)
        self.nextStream = role == .client ? 1 : 2
    }

    package var streamCount: Int { self.streams.count }

    /// Frames of this link sent, whatever connection carried them.
    package var sent: UInt64 { self.replay.sent }

    // MARK: Connections come and go

    /// The connection is gone. What it had begun to bring comes again.
    package mutating func suspend() {
        self.brought = 0
        self.withheld.forget()
    }

    /// Whether a peer that says so can have received so many frames, and the rest can be sent again.
    package func isPossible(received count: UInt64) -> Bool {
        do {
            try self.replay.checkResumption(count)
            return true
        } catch {
            return false
        }
    }

    /// A new connection carries the link; both greetings are done.
    ///
    /// - Parameter count: Frames the peer has received.
    /// - Returns: The bytes that are sent again.
    package mutating func resume(peerReceived count: UInt64) throws(PeerViolation) -> Int {
        let repeated = try self.replay.rewind(to: count)
        self.brought = 0
        self.withheld.forget()
        // The greeting said it.
        self.told()
        return repeated
    }

    /// Nothing will carry it any more: what it had of the memory budget goes back.
    package mutating func end() {
        for stream in self.streams.values { self.budget.give(self.growth(of: stream)) }
        self.streams = [:]
        self.scheduler = Scheduler()
        self.queuedBytes = 0
        self.replay.end()
    }

    private func growth(of stream: Stream) -> Int {
        stream.window.size - Int(clamping: self.terms.initialWindow)
    }

    /// Tells the peer with the next frames what has been received, however little it is.
    package mutating func acknowledgeSoon() {
        if self.received > self.receivedTold { self.owesAcknowledgement = true }
    }

    private mutating func told() {
        self.receivedTold = self.received
        // A frame is told of as a whole: what has come of the present one is still to be.
        self.bytesUntold = self.brought
        self.owesAcknowledgement = false
    }

    mutating func countReceived(_ bytes: Int) {
        self.bytesUntold += bytes
        let frames = self.received - self.receivedTold
        if frames > 0, self.bytesUntold >= Limits.Implementation.acknowledgedBytes || frames >= Limits.Implementation.acknowledgedFrames {
            self.owesAcknowledgement = true
        }
    }

    package mutating func roundTripMeasured(_ roundTrip: Duration) {
        self.roundTrip = roundTrip
        self.restraint.measured(roundTrip)
    }

    /// The connection carried so much in this time, while there was always more to send or not.
    package mutating func rateMeasured(_ bytes: Int, in time: Duration) {
        guard time > .zero else { return }
        self.restraint.measured(bytes, in: time)
        let carried = Double(bytes) * (Limits.Implementation.contendedFrameTime / time)
        let bounds = Limits.Implementation.contendedFrameBytes...Limits.Implementation.dataFrameBytes
        self.scheduler.share = carried >= Double(bounds.upperBound)
            ? bounds.upperBound : max(bounds.lowerBound, Int(carried))
    }

    // MARK: What the sockets beyond decide

    /// A new stream to the peer, or `nil` while the peer takes no more of them, or reads too little to learn of it.
    package mutating func open(tunnel: TunnelNumber, visitor: Endpoint?, destination: Endpoint? = nil) -> StreamID? {
        guard self.ownStreams < self.peerTerms.streams, self.nextStream <= Varint.maximum,
            self.control.count < Limits.Implementation.queuedControlFramesAtOpen
        else { return nil }
        let id = StreamID(self.nextStream)
        self.nextStream += 2
        self.ownStreams += 1
        self.streams[id] = self.newStream(id)
        self.send(.open(Frame.Open(stream: id, tunnel: tunnel, visitor: visitor, destination: destination)))
        return id
    }

    /// The service accepted the connection of a stream the peer opened.
    package mutating func connected(_ id: StreamID) {
        guard let stream = self.streams[id], !stream.isConnected else { return }
        stream.isConnected = true
        self.send(.opened(id))
    }

    /// Queues bytes for the peer, however many: what exceeds the window waits here.
    ///
    /// - Returns: Whether the stream takes more. When not, `.sendable` will say when it does.
    package mutating func send(_ bytes: ByteBuffer, on id: StreamID) -> Bool {
        guard let stream = self.streams[id], stream.sending == .open else { return false }
        stream.enqueue(bytes)
        self.queuedBytes += bytes.readableBytes
        if stream.isShort { self.restraint.isHolding = false }
        if stream.hasSomethingToSend { self.scheduler.enqueue(stream) }
        return stream.takesMore(upTo: self.queueLimit)
    }

    /// No more bytes will be sent; FIN follows what is queued.
    package mutating func finish(_ id: StreamID) {
        guard let stream = self.streams[id], stream.sending == .open else { return }
        stream.finish()
        if stream.hasSomethingToSend { self.scheduler.enqueue(stream) }
    }

    /// Ends a stream at once in both directions; what is queued for it is dropped.
    package mutating func reset(_ id: StreamID, _ code: ResetCode) {
        guard self.remove(id) else { return }
        self.send(.reset(id, code))
    }

    /// The socket beyond has taken bytes of a `.data` event.
    package mutating func taken(_ count: Int, from id: StreamID, now: Instant) {
        guard let stream = self.streams[id] else { return }
        let credit = stream.window.take(
            count, now: now, roundTrip: self.roundTrip, largest: self.largestWindow, budget: self.budget)
        self.largestWindow = max(self.largestWindow, stream.window.size)
        guard let credit, !stream.receivingIsFinished else { return }
        self.send(.credit(id, bytes: UInt64(credit)))
    }

    /// Sends a frame about tunnels.
    package mutating func send(_ frame: Frame) {
        self.control.append(frame)
    }

    // MARK: What follows

    package var hasEvents: Bool { !self.events.isEmpty }

    package mutating func nextEvent() -> Event? {
        self.events.popFirst()
    }

    package var hasOutbound: Bool {
        self.owesAcknowledgement || self.replay.hasFramesToRepeat
            || !self.control.isEmpty && self.takesControl || !self.scheduler.isEmpty && self.takesData && !self.isHoldingBulk
    }

    /// Whether somebody waits for short answers of this link's streams.
    package var isAttentive: Bool {
        get { self.restraint.isAttentive }
        set { self.restraint.isAttentive = newValue }
    }

    private var isHoldingBulk: Bool {
        self.restraint.isHolding && self.restraint.holdsBulk(unacknowledged: self.replay.payloadBytes)
    }

    private var takesData: Bool { self.replay.bytes < self.replay.allowance }

    private var takesControl: Bool {
        self.replay.bytes < self.replay.allowance + Limits.Implementation.replayReserveBytes
    }

    /// More frames wait than an honest peer leaves unread.
    package var isFlooded: Bool { self.control.count > Limits.Implementation.queuedControlFrames }

    /// The next frame to send: what has to be sent again, then control frames, then the streams in turn. ACK, which belongs to
    /// the connection, comes before all.
    package mutating func nextOutbound() -> Outbound? {
        if self.owesAcknowledgement {
            self.told()
            return .frame(.acknowledgement(count: self.received))
        }
        if let again = self.replay.nextToRepeat() { return again }
        guard let next = self.nextNew() else { return nil }
        self.replay.append(next)
        return next
    }

    private mutating func nextNew() -> Outbound? {
        if self.takesControl, let frame = self.control.popFirst() { return .frame(frame) }
        guard self.takesData else { return nil }
        let holdsBulk = self.restraint.holdsBulk(unacknowledged: self.replay.payloadBytes)
        var held = 0
        while let stream = self.scheduler.current {
            guard stream.hasSomethingToSend else {
                self.scheduler.leave(stream)
                continue
            }
            if stream.owesOnlyFinish {
                self.scheduler.leave(stream)
                stream.finishSent()
                self.removeIfFinished(stream)
                return .frame(.finish(stream.id))
            }
            guard !holdsBulk || stream.isShort else {
                held += 1
                self.restraint.isHolding = held >= min(self.scheduler.count, Restraint.searched)
                if self.restraint.isHolding { return nil }
                self.scheduler.passOver(stream)
                continue
            }
            let isContended = self.scheduler.isContended
            guard !isContended || stream.turn.deficit > 0 else {
                self.scheduler.next(stream)
                continue
            }
            let payload = stream.dequeue(
                atMost: isContended ? self.scheduler.share : Limits.Implementation.dataFrameBytes)
            self.queuedBytes -= payload.readableBytes
            self.scheduler.sent(payload.readableBytes, stream)
            if !stream.hasSomethingToSend { self.scheduler.rest(stream) }
            if stream.takesBytesAgain(upTo: self.queueLimit) { self.events.append(.sendable(stream.id)) }
            return .data(stream.id, payload)
        }
        return nil
    }

    var queueLimit: Int {
        self.queuedBytes < Limits.Implementation.linkQueueBytes
            ? Limits.Implementation.streamQueueBytes : Limits.Implementation.crowdedQueueBytes
    }

    func newStream(_ id: StreamID) -> Stream {
        Stream(
            id, credit: self.peerTerms.initialWindow,
            window: ReceiveWindow(size: Int(clamping: self.terms.initialWindow)))
    }

    func isOwn(_ id: StreamID) -> Bool {
        (id.value % 2 == 1) == (self.role == .client)
    }

    /// A stream that has been opened, even if it is gone by now: frames for it may have crossed its end.
    func requireKnown(_ id: StreamID, _ frame: StaticString) throws(PeerViolation) {
        guard id.value > 0, self.isOwn(id) ? id.value < self.nextStream : id.value <= self.highestPeerStream else {
            throw PeerViolation(.streamState, "\(frame) for stream \(id), which was never opened")
        }
    }

    mutating func removeIfFinished(_ stream: Stream) {
        if stream.isFinished { _ = self.remove(stream.id) }
    }

    mutating func remove(_ id: StreamID) -> Bool {
        guard let stream = self.streams.removeValue(forKey: id) else { return false }
        self.budget.give(self.growth(of: stream))
        if stream.window.size == self.largestWindow { self.largestWindow = 0 }
        self.queuedBytes -= stream.queuedBytes
        stream.end()
        self.scheduler.forget(stream)
        if self.isOwn(id) { self.ownStreams -= 1 } else { self.peerStreams -= 1 }
        return true
    }
}
