internal import Synchronization

/// What windows and replay buffers may take beyond what each of them has from its start: for one session, within what there is for
/// the whole process.
///
///     process ──half──▶ session ──half──▶ one window, one link's replay buffer
///
/// So a single stream gets far on a long line, and no session takes from the others what they need to go on: that they have
/// from their start. Any thread may take and give.
package final class MemoryBudget: Sendable {
    /// All there is, in bytes.
    package let bytes: Int
    private let whole: MemoryBudget?
    private let taken = Atomic<Int>(0)

    /// A process's.
    package init(bytes: Int = Limits.Implementation.memoryBudgetBytes) {
        self.bytes = bytes
        self.whole = nil
    }

    /// One session's part of a process's.
    package init(partOf whole: MemoryBudget) {
        self.bytes = whole.bytes / 2
        self.whole = whole
    }

    /// What one window, or one link's replay buffer, may grow to.
    var share: Int { self.bytes / 2 }

    /// What is taken now.
    package var used: Int { self.taken.load(ordering: .relaxed) }

    /// - Returns: How much of it there was.
    func take(atMost count: Int) -> Int {
        var before = self.used
        var granted: Int
        repeat {
            granted = min(count, self.bytes - before)
            guard granted > 0 else { return 0 }
            let (done, current) = self.taken.compareExchange(expected: before, desired: before + granted, ordering: .relaxed)
            if done { break }
            before = current
        } while true
        guard let whole = self.whole else { return granted }
        let confirmed = whole.take(atMost: granted)
        if confirmed < granted { self.taken.subtract(granted - confirmed, ordering: .relaxed) }
        return confirmed
    }

    func give(_ count: Int) {
        guard count > 0 else { return }
        self.taken.subtract(count, ordering: .relaxed)
        self.whole?.give(count)
    }
}
