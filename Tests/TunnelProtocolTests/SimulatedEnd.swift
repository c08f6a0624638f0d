import Foundation
import NIOCore
import Testing

@testable import TunnelProtocol

/// One end of a simulated session: its link, and what the sockets beyond it have sent and seen.
///
/// What a stream carries is a function of its number, its direction and the place, so the receiving end knows every byte.
final class SimulatedEnd {
    struct Stream {
        var sent = 0
        var received = 0
        var untaken = 0
        var hasFinished = false
        var peerHasFinished = false
        var wasReset = false
        var isHeldBack = false
        var isConnected = false

        var isGone: Bool { self.wasReset || self.hasFinished && self.peerHasFinished && self.untaken == 0 }
    }

    /// 0 for the client, 1 for the server.
    let side: Int
    var link: Link
    private let initialWindow: Int
    weak var peer: SimulatedEnd?
    private(set) var streams: [StreamID: Stream] = [:]
    private(set) var resets = 0
    /// What went wrong; looked at once, at the end: expectations inside of the loops are slow.
    private(set) var complaints: [String] = []

    init(side: Int, terms: Frame.Terms, peerTerms: Frame.Terms, budget: MemoryBudget) {
        self.side = side
        self.initialWindow = Int(terms.initialWindow)
        self.link = Link(role: side == 0 ? .client : .server, terms: terms, peerTerms: peerTerms, budget: budget)
        self.link.roundTripMeasured(.milliseconds(100))
    }

    var live: [StreamID] { self.streams.filter { !$0.value.isGone }.keys.sorted() }

    func complain(_ what: String) { self.complaints.append("side \(self.side): \(what)") }

    // MARK: What is sent

    /// It repeats after `period` bytes; twice as long, so that whatever is sent or received at once lies in one piece.
    private static let period = 1 << 20
    private static let pattern: [UInt8] = {
        var random = SplitMix64(seed: 1)
        let once = random.bytes(period)
        return once + once
    }()

    /// The place of the pattern for a byte of a direction of a stream.
    private static func place(_ stream: StreamID, from side: Int, at offset: Int) -> Int {
        (Int(truncatingIfNeeded: stream.value % 10_000) * 7_919 + side * 104_729 + offset) % self.period
    }

    /// - Returns: Whether there is a new stream.
    func open() -> Bool {
        guard let id = self.link.open(tunnel: TunnelNumber(1), visitor: nil) else { return false }
        if self.streams[id] != nil { self.complain("opened \(id) twice") }
        self.streams[id] = Stream()
        return true
    }

    /// Sockets mostly wait when told to; the link must bear it when they do not.
    func send(_ count: Int, on id: StreamID, insists: Bool) {
        guard var stream = self.streams[id], !stream.hasFinished, !stream.isHeldBack || insists else { return }
        let start = Self.place(id, from: self.side, at: stream.sent)
        stream.sent += count
        stream.isHeldBack = !self.link.send(ByteBuffer(bytes: Self.pattern[start..<start + count]), on: id)
        self.streams[id] = stream
    }

    func finish(_ id: StreamID) {
        guard self.streams[id]?.hasFinished == false else { return }
        self.link.finish(id)
        self.streams[id]?.hasFinished = true
    }

    func reset(_ id: StreamID) {
        self.link.reset(id, .connectionReset)
        self.streams[id]?.wasReset = true
        self.resets += 1
    }

    // MARK: What arrives

    func take(_ count: Int, of id: StreamID, now: Instant) {
        guard let stream = self.streams[id] else { return }
        let count = min(count, stream.untaken)
        self.link.taken(count, from: id, now: now)
        self.streams[id]?.untaken -= count
    }

    /// Handles the link's events.
    ///
    /// - Parameter connects: Whether a stream that the peer opened is accepted at once.
    func drain(connects: () -> Bool) {
        while let event = self.link.nextEvent() {
            switch event {
            case .opened(let open):
                if self.streams[open.stream] != nil { self.complain("the peer opened \(open.stream) twice") }
                self.streams[open.stream] = Stream()
                if connects() { self.link.connected(open.stream) }
            case .data(let id, let bytes): self.received(bytes, id)
            case .finished(let id):
                if self.streams[id]?.wasReset != false { self.complain("\(id) finished after its end") }
                if self.streams[id]?.peerHasFinished != false { self.complain("\(id) finished twice") }
                if self.streams[id]?.received != self.peer?.streams[id]?.sent { self.complain("\(id) finished before its last byte") }
                self.streams[id]?.peerHasFinished = true
            case .reset(let id, _):
                if self.streams[id]?.wasReset != false { self.complain("\(id) reset twice") }
                self.streams[id]?.wasReset = true
            case .sendable(let id):
                if self.streams[id]?.isHeldBack != true { self.complain("\(id) sendable without having been held back") }
                if self.streams[id].map({ $0.wasReset || $0.hasFinished }) != false { self.complain("\(id) sendable after its end") }
                self.streams[id]?.isHeldBack = false
            case .connected(let id):
                if self.streams[id].map({ $0.isConnected || $0.wasReset }) != false { self.complain("\(id) connected twice, or after its end") }
                self.streams[id]?.isConnected = true
            case .listen, .listening, .refused, .unlisten, .health: self.complain("no tunnels here")
            }
        }
    }

    private func received(_ bytes: ByteBuffer, _ id: StreamID) {
        guard var stream = self.streams[id] else { return self.complain("bytes before OPEN on \(id)") }
        if stream.peerHasFinished || stream.wasReset { self.complain("bytes after the end of \(id)") }
        let start = Self.place(id, from: 1 - self.side, at: stream.received)
        let isRight = bytes.withUnsafeReadableBytes { got in
            Self.pattern.withUnsafeBytes { memcmp(got.baseAddress!, $0.baseAddress! + start, got.count) == 0 }
        }
        if !isRight { self.complain("wrong bytes on \(id), \(bytes.readableBytes) from \(stream.received)") }
        stream.received += bytes.readableBytes
        stream.untaken += bytes.readableBytes
        if stream.untaken > max(self.initialWindow, self.link.budget.share) { self.complain("\(id) holds too much") }
        self.streams[id] = stream
    }

    // MARK: At rest

    /// With streams still open and everything delivered and taken: all credit is where it belongs.
    func checkRest() {
        guard let peer = self.peer else { return self.complain("alone") }
        if self.link.sent != peer.link.received { self.complain("\(self.link.sent) sent, \(peer.link.received) received") }
        if self.link.streamCount != peer.link.streamCount { self.complain("the two ends do not have the same streams") }
        for (id, stream) in self.link.streams where stream.sending == .open {
            guard let window = peer.link.streams[id]?.window else {
                self.complain("\(id) is gone at the peer")
                continue
            }
            if stream.credit != UInt64(window.granted) { self.complain("credit of \(id)") }
            if window.unread != 0 || window.granted <= window.size / 2 { self.complain("credit of \(id) was not returned") }
            if stream.queuedBytes != 0 || !stream.queue.isEmpty { self.complain("\(id) has something left to send") }
            if self.streams[id]?.isHeldBack != false { self.complain("\(id) is still held back") }
        }
    }

    /// What its windows and its replay buffer have of the budget.
    private var grown: Int {
        self.link.streams.values.reduce(self.link.replay.allowance - Limits.Implementation.replayBytes) {
            $0 + $1.window.size - self.initialWindow
        }
    }

    /// What the links of one side have of their budget is what is taken of it, and never more than there is.
    func checkBudget(_ ends: [SimulatedEnd]) {
        let (used, grown) = (self.link.budget.used, ends.reduce(0) { $0 + $1.grown })
        if used != grown { self.complain("\(used) bytes of the budget taken, \(grown) in use") }
        if used > self.link.budget.bytes { self.complain("\(used) bytes of the budget's \(self.link.budget.bytes) taken") }
    }

    /// When all is said nothing is left.
    func checkEnd() {
        guard let peer = self.peer else { return self.complain("alone") }
        if self.link.streamCount != 0 { self.complain("streams are left") }
        if self.link.nextOutbound() != nil { self.complain("something is left to send") }
        if self.link.sent != peer.link.received { self.complain("\(self.link.sent) sent, \(peer.link.received) received") }
        if self.link.isFlooded { self.complain("flooded") }
        for (id, stream) in self.streams where !stream.wasReset && peer.streams[id]?.wasReset != true {
            if stream.sent != peer.streams[id]?.received { self.complain("\(id): \(stream.sent) sent, not all received") }
            if !stream.peerHasFinished { self.complain("\(id) never heard the end") }
        }
    }
}
