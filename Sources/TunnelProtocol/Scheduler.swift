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
struct Scheduler {
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

    /// A stream that is gone stays listed until its turn comes, with nothing to send, or until there are too many of them.
    private var fresh = Deque<Stream>()
    private var waiting = Deque<Stream>()
    /// Turns taken from `fresh` since a frame was sent from `waiting`.
    private var turnsAhead = 0
    /// Listed streams that are gone.
    private var gone = 0
    /// Fewer than these are not worth looking for.
    private static let fewGone = 64

    /// Whether more than one stream has, or had a moment ago, something to send.
    var isContended: Bool { self.count > 1 }

    /// Streams that are listed.
    var count: Int { self.fresh.count + self.waiting.count }

    var isEmpty: Bool { self.fresh.isEmpty && self.waiting.isEmpty }

    /// The stream whose turn it is; it stays there until `next(_:)`, `passOver(_:)`, `rest(_:)` or `leave(_:)` moves it.
    var current: Stream? { self.servesFresh ? self.fresh.first : self.waiting.first }

    private var servesFresh: Bool {
        !self.fresh.isEmpty && (self.turnsAhead < Self.freshTurns || self.waiting.isEmpty)
    }

    mutating func enqueue(_ stream: Stream) {
        guard stream.turn.place == .idle else { return }
        stream.turn = Turn(place: .fresh, deficit: self.share)
        self.fresh.append(stream)
    }

    /// The current stream has sent bytes. Alone, nobody is owed anything: a debt run up then would only delay it once
    /// others come.
    mutating func sent(_ count: Int, _ stream: Stream) {
        guard self.isContended else { return }
        stream.turn.deficit -= count
        stream.turn.spent += count
        if stream.turn.place == .waiting { self.turnsAhead = 0 }
    }

    /// The current stream has used its share: a new one, at the end of the line.
    mutating func next(_ stream: Stream) {
        self.removeCurrent(stream.turn)
        self.wait(stream)
    }

    /// The current stream may not send now, though it has something to send: it waits, and fresh ones are not kept from their turn.
    mutating func passOver(_ stream: Stream) {
        if stream.turn.place == .waiting { self.turnsAhead = 0 }
        self.next(stream)
    }

    /// The current stream has sent all that it may.
    mutating func rest(_ stream: Stream) {
        let isAlone = !self.isContended
        self.removeCurrent(stream.turn)
        if isAlone || stream.turn.place == .waiting && stream.turn.spent <= self.share {
            stream.turn.place = .idle
        } else {
            self.wait(stream)
        }
    }

    /// The current stream has nothing to send that takes a turn.
    mutating func leave(_ stream: Stream) {
        if stream.isFinished { self.gone -= 1 }
        self.removeCurrent(stream.turn)
        stream.turn.place = .idle
    }

    /// The stream is gone. Those whose turn does not come, as nothing may be sent, are never more than half of all, or a few.
    mutating func forget(_ stream: Stream) {
        guard stream.turn.place != .idle else { return }
        self.gone += 1
        guard self.gone > Self.fewGone, 2 * self.gone > self.count else { return }
        self.fresh.removeAll(where: \.isFinished)
        self.waiting.removeAll(where: \.isFinished)
        self.gone = 0
    }

    private mutating func wait(_ stream: Stream) {
        if stream.turn.deficit <= 0 { stream.turn.deficit += self.share }
        stream.turn.place = .waiting
        self.waiting.append(stream)
    }

    /// The current stream is the first where its turn says it is.
    private mutating func removeCurrent(_ turn: Turn) {
        guard turn.place == .fresh else {
            self.waiting.removeFirst()
            return
        }
        self.turnsAhead += 1
        self.fresh.removeFirst()
    }
}
