internal import DequeModule
internal import struct NIOCore.ByteBuffer

/// The link frames that were sent and that the peer has not acknowledged yet, so that another connection can carry them
/// again. Payloads share their storage with what was sent; nobody alters it.
///
///     numbers   ── acknowledged ──┬── kept: sent on this connection ──┬── kept: to be sent again ──┐
///                             `acknowledged`                     `next`                        `sent`
struct ReplayBuffer {
    private var frames = Deque<Link.Outbound>()
    /// Frames that the peer has for certain: the number of the first one kept.
    private(set) var acknowledged: UInt64 = 0
    /// Of those kept, how many this connection has carried.
    private var carried = 0
    /// What the kept frames take, in bytes; a little more than they do.
    private(set) var bytes = 0
    /// Of that, what streams have sent: what the peer counts for its acknowledgements.
    private(set) var payloadBytes = 0
    /// What they may take before no more data is sent; grows and shrinks in steps.
    private(set) var allowance = Limits.Implementation.replayBytes
    private let keeps: Bool
    private let budget: MemoryBudget

    /// - Parameter keeps: `false` where no session is ever resumed: frames are only counted.
    init(keeps: Bool, budget: MemoryBudget) {
        self.keeps = keeps
        self.budget = budget
    }

    /// Frames sent since the session began.
    private(set) var sent: UInt64 = 0

    var hasFramesToRepeat: Bool { self.carried < self.frames.count }

    /// A frame is sent for the first time.
    mutating func append(_ frame: Link.Outbound) {
        self.sent += 1
        guard self.keeps else { return }
        self.frames.append(frame)
        self.carried += 1
        self.bytes += Self.cost(frame)
        self.payloadBytes += Self.payload(frame)
        if self.bytes >= self.allowance {
            self.allowance += self.budget.take(
                atMost: min(Limits.Implementation.replayStepBytes, self.budget.share - self.allowance))
        }
    }

    /// The next frame that this connection has to carry again.
    mutating func nextToRepeat() -> Link.Outbound? {
        guard self.hasFramesToRepeat else { return nil }
        defer { self.carried += 1 }
        return self.frames[self.carried]
    }

    /// The peer has received so many frames.
    ///
    /// - Throws: When it cannot have: of those kept, it has only what this connection has carried.
    mutating func acknowledge(_ count: UInt64) throws(PeerViolation) {
        try self.check(count, atMost: self.keeps ? self.acknowledged + UInt64(self.carried) : self.sent)
        self.forget(upTo: count)
    }

    private mutating func forget(upTo count: UInt64) {
        guard self.keeps else {
            self.acknowledged = count
            return
        }
        let confirmed = Int(clamping: count - self.acknowledged)
        for _ in 0..<confirmed {
            let frame = self.frames.removeFirst()
            self.bytes -= Self.cost(frame)
            self.payloadBytes -= Self.payload(frame)
        }
        self.carried = max(0, self.carried - confirmed)
        self.acknowledged = count
        let spare = self.allowance - max(Limits.Implementation.replayBytes, self.bytes + Limits.Implementation.replayStepBytes)
        if spare >= 4 * Limits.Implementation.replayStepBytes { self.giveBack(spare) }
    }

    /// Nothing will be sent again.
    mutating func end() {
        self.frames.removeAll()
        self.giveBack(self.allowance - Limits.Implementation.replayBytes)
    }

    private mutating func giveBack(_ count: Int) {
        self.allowance -= count
        self.budget.give(count)
    }

    /// A new connection takes over; the peer has received so many frames.
    ///
    /// - Returns: The bytes that have to be sent again.
    mutating func rewind(to count: UInt64) throws(PeerViolation) -> Int {
        try self.checkResumption(count)
        self.forget(upTo: count)
        self.carried = 0
        return self.payloadBytes
    }

    /// - Throws: When no honest peer can have received so many.
    private func check(_ count: UInt64, atMost most: UInt64) throws(PeerViolation) {
        guard count >= self.acknowledged, count <= most else {
            throw PeerViolation(.acknowledgement, "\(count) frames acknowledged, between \(self.acknowledged) and \(most) possible")
        }
    }

    /// - Throws: When another connection cannot go on from there: what is not kept cannot be sent again.
    func checkResumption(_ count: UInt64) throws(PeerViolation) {
        try self.check(count, atMost: self.sent)
        guard self.keeps || count == self.sent else {
            throw PeerViolation(.acknowledgement, "\(count) frames received of \(self.sent), and none is kept to be sent again")
        }
    }

    private static func cost(_ frame: Link.Outbound) -> Int {
        Limits.Implementation.keptFrameBytes + Self.payload(frame)
    }

    private static func payload(_ frame: Link.Outbound) -> Int {
        if case .data(_, let payload) = frame { payload.readableBytes } else { 0 }
    }
}
