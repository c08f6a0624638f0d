internal import DequeModule

/// Whose turn it is to send: deficit round robin over the streams that have something to send, with those that have
/// just begun served first (as in FQ-CoDel, RFC 8290 §4.2).
///
///     idle ──has something──▶ fresh ──share used, or nothing left──▶ waiting ──nothing left at its turn──▶ idle
///                                                                     ▲    │
///                                                                     └────┘ share used: a new share, to the end
///
/// A short exchange is sent from `fresh`, ahead of all bulk. A stream that empties its queue there still passes through
/// `waiting` once before it can be fresh again, so that sending in small bites earns no more than a fair share.
struct Scheduler: Sendable {
    /// One stream's place in it; stored with the stream.
    struct Turn: Equatable, Sendable {
        enum Place: Equatable, Sendable { case idle, fresh, waiting }
        var place = Place.idle
        /// Bytes it may still send before the next one's turn.
        var deficit = 0
    }

    /// A stream that was reset stays listed until its turn comes, and is then dropped.
    private var fresh = Deque<StreamID>()
    private var waiting = Deque<StreamID>()

    /// Whether more than one stream has, or had a moment ago, something to send.
    var isContended: Bool { self.fresh.count + self.waiting.count > 1 }

    var isEmpty: Bool { self.fresh.isEmpty && self.waiting.isEmpty }

    /// The stream whose turn it is; it stays there until `next(_:)`, `drop()` or `rest(_:)` moves it.
    var current: StreamID? { self.fresh.first ?? self.waiting.first }

    mutating func enqueue(_ stream: StreamID, _ turn: inout Turn) {
        guard turn.place == .idle else { return }
        turn = Turn(place: .fresh, deficit: Limits.Implementation.contendedFrameBytes)
        self.fresh.append(stream)
    }

    /// The current stream has used its share: a new one, at the end of the line.
    mutating func next(_ turn: inout Turn) {
        turn.deficit += Limits.Implementation.contendedFrameBytes
        turn.place = .waiting
        self.waiting.append(self.removeCurrent())
    }

    /// The current stream has nothing it may send.
    mutating func rest(_ turn: inout Turn) {
        let stream = self.removeCurrent()
        guard turn.place == .fresh, !self.waiting.isEmpty else {
            turn.place = .idle
            return
        }
        turn.place = .waiting
        self.waiting.append(stream)
    }

    /// The current stream is gone.
    mutating func drop() {
        _ = self.removeCurrent()
    }

    private mutating func removeCurrent() -> StreamID {
        self.fresh.isEmpty ? self.waiting.removeFirst() : self.fresh.removeFirst()
    }
}
