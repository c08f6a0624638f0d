internal import DequeModule
internal import struct NIOCore.ByteBuffer

/// One stream as its link keeps it: what waits to be sent and may be, what may still be received.
///
///     sending:    open ──finish()──▶ finishing ──queue empty, FIN sent──▶ finished
///     receiving:  open ──FIN──▶ finished
final class Stream {
    enum Sending { case open, finishing, finished }

    let id: StreamID
    private(set) var sending = Sending.open
    private(set) var receivingIsFinished = false
    /// Whether OPENED has been sent, or has come.
    var isConnected = false
    // None of these calls anybody, so they are not looked at for overlapping access with each frame.
    /// Its place among those that want to send.
    @exclusivity(unchecked) var turn = Scheduler.Turn()
    /// What the peer may still send us.
    @exclusivity(unchecked) var window: ReceiveWindow

    @exclusivity(unchecked) private(set) var queue = Deque<ByteBuffer>()
    private(set) var queuedBytes = 0
    /// Bytes we may still send.
    private(set) var credit: UInt64
    private var isHeldBack = false

    init(_ id: StreamID, credit: UInt64, window: ReceiveWindow) {
        self.id = id
        self.credit = credit
        self.window = window
    }

    var isFinished: Bool { self.sending == .finished && self.receivingIsFinished }

    /// Whether more bytes may be queued without anybody waiting for them too long.
    ///
    /// - Parameter limit: Bytes that may wait.
    func takesBytes(upTo limit: Int) -> Bool {
        UInt64(self.queuedBytes) < self.credit && self.queuedBytes < limit
    }

    /// Bytes within the credit, or a FIN behind the last of them.
    var hasSomethingToSend: Bool {
        self.queue.isEmpty ? self.sending == .finishing : self.credit > 0
    }

    /// What waits is no more than a line of text, or the answer to one, and all of it may go.
    var isShort: Bool { self.queuedBytes <= Limits.Implementation.shortBytes }

    /// All that is left to send is the FIN.
    var owesOnlyFinish: Bool { self.queue.isEmpty && self.sending == .finishing }

    /// Pieces that fit into the last one's storage, and small ones in any case, are joined to it: each that waits alone costs
    /// a frame, and a buffer many times its size.
    func enqueue(_ bytes: ByteBuffer) {
        let count = bytes.readableBytes
        let last = self.queue.count - 1
        if last >= 0, self.joins(count, to: self.queue[last]) {
            self.queue[last].writeImmutableBuffer(bytes)
        } else if count > 0 {
            self.queue.append(bytes)
        }
        self.queuedBytes += count
    }

    private func joins(_ count: Int, to last: ByteBuffer) -> Bool {
        last.writableBytes >= count
            || count <= Limits.Implementation.joinedBytes
                && last.readableBytes + count <= Limits.Implementation.contendedFrameBytes
    }

    /// Takes the front of the queue, within the credit.
    func dequeue(atMost limit: Int) -> ByteBuffer {
        let available = self.queue[0].readableBytes
        let count = min(available, limit, Int(clamping: self.credit))
        self.credit -= UInt64(count)
        self.queuedBytes -= count
        if count == available { return self.queue.removeFirst() }
        return self.queue[0].readSlice(length: count) ?? ByteBuffer()
    }

    /// Whether more bytes may be queued; if not, `takesBytesAgain` says when.
    func takesMore(upTo limit: Int) -> Bool {
        self.isHeldBack = !self.takesBytes(upTo: limit)
        return !self.isHeldBack
    }

    /// - Returns: Whether it takes bytes again after it had taken none; said once.
    func takesBytesAgain(upTo limit: Int) -> Bool {
        guard self.isHeldBack, self.takesBytes(upTo: limit), self.sending == .open else { return false }
        self.isHeldBack = false
        return true
    }

    func addCredit(_ bytes: UInt64) throws(PeerViolation) {
        guard bytes <= Limits.Specification.windowBytes - self.credit else {
            throw PeerViolation(
                .flowControl, "CREDIT of \(bytes) bytes on top of \(self.credit) on stream \(self.id)")
        }
        self.credit += bytes
    }

    /// No more bytes will be queued.
    func finish() {
        self.sending = .finishing
    }

    /// FIN is sent.
    func finishSent() {
        self.sending = .finished
    }

    /// FIN has come.
    func finishReceived() throws(PeerViolation) {
        guard !self.receivingIsFinished else { throw PeerViolation(.streamState, "FIN twice on stream \(self.id)") }
        self.receivingIsFinished = true
    }

    /// The link has forgotten it; whoever still has it sends nothing.
    func end() {
        self.sending = .finished
        self.receivingIsFinished = true
        self.queue = []
        self.queuedBytes = 0
    }

    func receive(_ count: Int) throws(PeerViolation) {
        guard !self.receivingIsFinished else { throw PeerViolation(.streamState, "DATA after FIN on stream \(self.id)") }
        try self.window.receive(count)
    }
}
