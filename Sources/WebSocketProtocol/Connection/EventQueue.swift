internal import struct NIOCore.ByteBuffer

/// The events of the last bytes received, in order.
///
/// A payload is remembered as a place in the buffer and sliced when it is taken. So the buffer is not shared while it
/// is unmasked (a shared one would be copied whole), and 12 bytes of memory stand for a frame, however many a peer fits
/// in one read.
struct EventQueue: Sendable {
    enum Kind: Sendable {
        case text, binary, ping, pong
        /// The next of `made`.
        case made
    }

    private struct Entry {
        let kind: Kind
        let isFirst: Bool
        let isLast: Bool
        let isCompressed: Bool
        let start: UInt32
        let length: UInt32
    }

    /// Above this many entries the memory is given back. 1,024: 64 KiB in messages of 64 bytes.
    private static let keptCapacity = 1024

    private var entries: [Entry] = []
    private var taken = 0
    private var made: [WebSocketConnection.Event] = []
    private var madeTaken = 0
    private var buffer = ByteBuffer()

    /// Makes ready for entries into another buffer. Events nobody has taken yet are kept, at some cost.
    mutating func beginBuffer() {
        guard self.taken < self.entries.count else { return }
        var left: [WebSocketConnection.Event] = []
        var entries: [Entry] = []
        while true {
            let isCompressed = self.nextIsCompressed
            guard let event = self.next() else { break }
            left.append(event)
            entries.append(Self.madeEntry(isCompressed: isCompressed))
        }
        self.entries = entries
        self.made = left
    }

    /// A payload of the buffer to come, `start` bytes behind its reader index.
    mutating func append(
        _ kind: Kind, start: Int, length: Int, isFirst: Bool = true, isLast: Bool = true,
        isCompressed: Bool = false
    ) {
        self.entries.append(
            Entry(
                kind: kind, isFirst: isFirst, isLast: isLast, isCompressed: isCompressed,
                start: UInt32(truncatingIfNeeded: start), length: UInt32(truncatingIfNeeded: length)))
    }

    /// An event with bytes of its own.
    mutating func append(_ event: WebSocketConnection.Event) {
        self.made.append(event)
        self.entries.append(Self.madeEntry(isCompressed: false))
    }

    /// Hands over the buffer that the entries since `beginBuffer` speak of.
    mutating func endBuffer(_ buffer: consuming ByteBuffer) {
        if !self.entries.isEmpty { self.buffer = buffer }
    }

    /// The next event is a payload that is still to be inflated.
    var nextIsCompressed: Bool {
        self.taken < self.entries.count && self.entries[self.taken].isCompressed
    }

    mutating func next() -> WebSocketConnection.Event? {
        guard self.taken < self.entries.count else { return nil }
        let entry = self.entries[self.taken]
        self.taken += 1
        let event =
            switch entry.kind {
            case .text: self.part(.text, entry)
            case .binary: self.part(.binary, entry)
            case .ping: WebSocketConnection.Event.ping(self.bytes(entry))
            case .pong: WebSocketConnection.Event.pong(self.bytes(entry))
            case .made: self.nextMade()
            }
        if self.taken == self.entries.count { self.reset() }
        return event
    }

    private func part(_ kind: MessageKind, _ entry: Entry) -> WebSocketConnection.Event {
        .payload(MessagePart(kind: kind, bytes: self.bytes(entry), isFirst: entry.isFirst, isLast: entry.isLast))
    }

    private func bytes(_ entry: Entry) -> ByteBuffer {
        let start = self.buffer.readerIndex + Int(entry.start)
        guard let bytes = self.buffer.getSlice(at: start, length: Int(entry.length)) else {
            preconditionFailure("an event outside of its buffer")
        }
        return bytes
    }

    private mutating func nextMade() -> WebSocketConnection.Event {
        self.madeTaken += 1
        return self.made[self.madeTaken - 1]
    }

    /// Lets go of the buffer, so that its slices are all that keeps it.
    private mutating func reset() {
        self.entries.removeAll(keepingCapacity: self.entries.capacity <= Self.keptCapacity)
        self.taken = 0
        self.made.removeAll()
        self.madeTaken = 0
        self.buffer = ByteBuffer()
    }

    private static func madeEntry(isCompressed: Bool) -> Entry {
        Entry(kind: .made, isFirst: true, isLast: true, isCompressed: isCompressed, start: 0, length: 0)
    }
}
