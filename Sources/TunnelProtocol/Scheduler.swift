internal import DequeModule

/// Whose turn it is to send: deficit round robin over the streams that have something to send, with those that have
/// just begun served first (as in FQ-CoDel, RFC 8290 §4.2).
///
///     idle ──has something──▶ fresh ──share used, or nothing left──▶ waiting ──nothing to send at its turn──▶ idle
///                                                                     ▲    │
///                                                                     └────┘ share used: a new share, to the end
///
/// A short exchange is sent from `fresh`, ahead of all bulk. Being fresh again has to be earned: a stream that empties its
/// queue passes through `waiting` once, and as long as it has sent more than one share on the way it stays there. So sending
/// in bites, small or large, earns no more than a fair share. And streams without end that are fresh only slow bulk down:
/// after `freshTurns` of them one frame is sent from `waiting`.
struct Scheduler: Sendable {
    /// One stream's place in it; stored with the stream.
    struct Turn: Equatable, Sendable {
        enum Place: Equatable, Sendable { case idle, fresh, waiting }
        var place = Place.idle
        /// Bytes it may still send before the next one's turn.
        var deficit = 0
        /// Bytes it has sent, while others waited, since it was last idle.
        var spent = 0
    }

    /// Bytes of one turn.
    var share = Limits.Implementation.contendedFrameBytes

    /// Bulk keeps a ninth of the line at the least, and a short exchange waits for one more frame in nine.
    private static let freshTurns = 8

    /// A stream that was reset stays listed until its turn comes, and is then dropped.
    private var fresh = Deque<StreamID>()
    private var waiting = Deque<StreamID>()
    /// Turns taken from `fresh` since a frame was sent from `waiting`.
    private var turnsAhead = 0

    /// Whether more than one stream has, or had a moment ago, something to send.
    var isContended: Bool { self.count > 1 }

    /// Streams that are listed.
    var count: Int { self.fresh.count + self.waiting.count }

    var isEmpty: Bool { self.fresh.isEmpty && self.waiting.isEmpty }

    /// The stream whose turn it is; it stays there until `next(_:)`, `passOver(_:)`, `rest(_:)`, `leave(_:)` or `drop()` moves it.
    var current: StreamID? { self.servesFresh ? self.fresh.first : self.waiting.first }

    private var servesFresh: Bool {
        !self.fresh.isEmpty && (self.turnsAhead < Self.freshTurns || self.waiting.isEmpty)
    }

    mutating func enqueue(_ stream: StreamID, _ turn: inout Turn) {
        guard turn.place == .idle else { return }
        turn = Turn(place: .fresh, deficit: self.share)
        self.fresh.append(stream)
    }

    /// The current stream has sent bytes. Alone, nobody is owed anything: a debt run up then would only delay it once
    /// others come.
    mutating func sent(_ count: Int, _ turn: inout Turn) {
        guard self.isContended else { return }
        turn.deficit -= count
        turn.spent += count
        if turn.place == .waiting { self.turnsAhead = 0 }
    }

    /// The current stream has used its share: a new one, at the end of the line.
    mutating func next(_ turn: inout Turn) {
        self.wait(self.remove(turn), &turn)
    }

    /// The current stream may not send now, though it has something to send: it waits, and fresh ones are not kept from their turn.
    mutating func passOver(_ turn: inout Turn) {
        if turn.place == .waiting { self.turnsAhead = 0 }
        self.next(&turn)
    }

    /// The current stream has sent all that it may.
    mutating func rest(_ turn: inout Turn) {
        let isAlone = !self.isContended
        let stream = self.remove(turn)
        if isAlone || turn.place == .waiting && turn.spent <= self.share {
            turn.place = .idle
        } else {
            self.wait(stream, &turn)
        }
    }

    /// The current stream has nothing to send that takes a turn.
    mutating func leave(_ turn: inout Turn) {
        _ = self.remove(turn)
        turn.place = .idle
    }

    /// The current stream is gone.
    mutating func drop() {
        if self.servesFresh { self.fresh.removeFirst() } else { self.waiting.removeFirst() }
    }

    private mutating func wait(_ stream: StreamID, _ turn: inout Turn) {
        if turn.deficit <= 0 { turn.deficit += self.share }
        turn.place = .waiting
        self.waiting.append(stream)
    }

    /// Takes the current stream, which is the first where its turn says it is.
    private mutating func remove(_ turn: Turn) -> StreamID {
        guard turn.place == .fresh else { return self.waiting.removeFirst() }
        self.turnsAhead += 1
        return self.fresh.removeFirst()
    }
}
