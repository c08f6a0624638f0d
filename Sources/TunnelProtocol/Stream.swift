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
    /// Its place among those that want to send.
    var turn = Scheduler.Turn()
    /// What the peer may still send us.
    var window: ReceiveWindow

    private var queue = Deque<ByteBuffer>()
    private var queuedBytes = 0
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
    var takesBytes: Bool {
        UInt64(self.queuedBytes) < self.credit && self.queuedBytes < Limits.Implementation.streamQueueBytes
    }

    /// Bytes within the credit, or a FIN behind the last of them.
    var hasSomethingToSend: Bool {
        self.queue.isEmpty ? self.sending == .finishing : self.credit > 0
    }

    /// All that is left to send is the FIN.
    var owesOnlyFinish: Bool { self.queue.isEmpty && self.sending == .finishing }

    /// Small pieces fill up what room the last one's storage has, so that many of them neither hold many times their size nor
    /// become many frames.
    ///
    /// - Returns: Whether it takes more.
    func enqueue(_ bytes: ByteBuffer) -> Bool {
        let last = self.queue.count - 1
        if last >= 0, self.queue[last].writableBytes >= bytes.readableBytes {
            self.queue[last].writeImmutableBuffer(bytes)
        } else {
            self.queue.append(bytes)
        }
        self.queuedBytes += bytes.readableBytes
        let takesMore = self.takesBytes
        self.isHeldBack = !takesMore
        return takesMore
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

    /// - Returns: Whether it takes bytes again after it had taken none; said once.
    func takesBytesAgain() -> Bool {
        guard self.isHeldBack, self.takesBytes, self.sending == .open else { return false }
        self.isHeldBack = false
        return true
    }

    func addCredit(_ bytes: UInt64) throws(PeerViolation) {
        guard bytes > 0, bytes <= Limits.Specification.windowBytes - self.credit else {
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
        self.turn = Scheduler.Turn()
    }

    /// FIN has come.
    func finishReceived() throws(PeerViolation) {
        guard !self.receivingIsFinished else { throw PeerViolation(.streamState, "FIN twice on stream \(self.id)") }
        self.receivingIsFinished = true
    }

    func receive(_ count: Int) throws(PeerViolation) {
        guard !self.receivingIsFinished else { throw PeerViolation(.streamState, "DATA after FIN on stream \(self.id)") }
        try self.window.receive(count)
    }
}
