import Glibc

/// One direction of a delayed line: a ring of bytes, and marks that say when those before them have to leave.
///
///     gone ──sent──▶ ready to leave ──due──▶ under way ──received──▶
///                                     mark   mark   mark
///
///     sent <= due <= received <= sent + capacity          (always)
final class Way {
    private struct Mark {
        /// `received` after the bytes had come.
        let position: Int
        let due: UInt64
    }

    /// Bytes under way at most: more than 2 GB/s for 50 ms. Only what is used takes memory.
    private static let capacity = 128 << 20
    private static let longestRead = 1 << 20

    private let ring: UnsafeMutableRawBufferPointer
    /// The position that lies at the ring's start.
    private var origin = 0
    private var received = 0
    private var due = 0
    private var sent = 0
    private var marks: [Mark] = []
    private var firstMark = 0
    private var endDue: UInt64?
    /// The socket took less than was due.
    private(set) var isBlocked = false
    private(set) var hasEnded = false

    init() throws {
        let memory = mmap(nil, Self.capacity, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0)
        guard let memory, memory != MAP_FAILED else { throw Failure("no memory for the relay: \(Socket.lastError)") }
        self.ring = UnsafeMutableRawBufferPointer(start: memory, count: Self.capacity)
    }

    deinit {
        munmap(self.ring.baseAddress, Self.capacity)
    }

    var takesMore: Bool { self.endDue == nil && self.received - self.sent < Self.capacity }

    var nextDue: UInt64? {
        if self.firstMark < self.marks.count { return self.marks[self.firstMark].due }
        return self.hasEnded ? nil : self.endDue
    }

    /// - Returns: Whether the connection lives.
    func read(_ descriptor: Int32, due: UInt64) -> Bool {
        guard self.takesMore else { return true }
        // The memory that was used last is the warmest.
        if self.received == self.sent { self.origin = self.received }
        let start = (self.received - self.origin) % Self.capacity
        let space = min(Self.longestRead, Self.capacity - start, Self.capacity - (self.received - self.sent))
        let count = Socket.receive(descriptor, into: UnsafeMutableRawBufferPointer(rebasing: self.ring[start..<(start + space)]))
        guard count > 0 else {
            if count == 0 { self.endDue = due }
            return count == 0 || Socket.mustWait
        }
        self.received += count
        self.marks.append(Mark(position: self.received, due: due))
        return true
    }

    /// Sends what is due by now.
    ///
    /// - Returns: Whether the connection lives.
    func forward(to descriptor: Int32, _ now: UInt64) -> Bool {
        self.passMarks(now)
        self.isBlocked = false
        while self.sent < self.due {
            let start = (self.sent - self.origin) % Self.capacity
            let end = min(Self.capacity, start + self.due - self.sent)
            let count = Socket.send(descriptor, UnsafeRawBufferPointer(rebasing: self.ring[start..<end]))
            guard count > 0 else {
                self.isBlocked = true
                return Socket.mustWait
            }
            self.sent += count
        }
        if let endDue, endDue <= now, self.sent == self.received, !self.hasEnded {
            self.hasEnded = true
            shutdown(descriptor, Int32(SHUT_WR))
        }
        return true
    }

    private func passMarks(_ now: UInt64) {
        while self.firstMark < self.marks.count, self.marks[self.firstMark].due <= now {
            self.due = self.marks[self.firstMark].position
            self.firstMark += 1
        }
        if self.firstMark == self.marks.count || self.firstMark > 1_024 {
            self.marks.removeFirst(self.firstMark)
            self.firstMark = 0
        }
    }
}
