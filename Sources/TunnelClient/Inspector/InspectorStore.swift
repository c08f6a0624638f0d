internal import HTTPMessages
internal import NIOConcurrencyHelpers
internal import NIOCore
package import TunnelProtocol

/// The last exchanges of the client's HTTP tunnels, each with the beginnings of its bodies.
///
/// A ring of 500: the oldest gives way. Bodies are kept to 10 KiB each (`CapturedBody`), in buffers of up to 16 KiB, so that 500
/// ordinary exchanges with 1 KiB of fields either way are 500 × (2 × 16 + 2 × 1) KiB = 17 MiB. Heads may be much longer than that
/// (`MessageLimits.headBytes` either way), so all together are bounded too: over 64 MiB the oldest go first.
///
/// An exchange is known by the sequence in which it began, which is its slot, and looked for by its id only when somebody asks.
/// Adding costs a lock and a slot, no matter who is watching: watchers are told that there is something new, at most once until they
/// have looked, and they look every 50 ms at most (`InspectorServer`).
package final class InspectorStore: Sendable {
    package static let capacity = 500
    package static let byteLimit = 64 << 20

    /// One exchange as it is kept.
    package struct Entry: Sendable {
        /// Where it stands in the order in which exchanges began.
        package let sequence: UInt64
        /// Grows with each change to anything kept.
        package fileprivate(set) var version: UInt64
        package fileprivate(set) var exchange: Exchange
        fileprivate var bytes: Int
    }

    /// What a watcher has to learn to be up to date.
    package struct Changes: Sendable {
        /// Everything before is gone: the list was cleared, or the watcher is new.
        package var startsOver: Bool
        /// In the order in which exchanges began.
        package var entries: [Entry]
        package var version: UInt64
        /// The oldest that is still kept.
        package var first: UInt64
    }

    fileprivate struct State {
        /// Those from `oldest` up to `next` are taken, each at its sequence's remainder.
        var slots: [Entry?] = []
        var next: UInt64 = 0
        var oldest: UInt64 = 0
        var version: UInt64 = 0
        var clearedAt: UInt64 = 0
        var bytes = 0
        /// A client has a few tunnels: looking through them takes less than a hash.
        var counts: [(tunnel: TunnelNumber, count: UInt64)] = []
        var watcher: (@Sendable () -> Void)?
        var watcherIsTold = false
    }

    private let state = NIOLockedValueBox(State())

    package init() {}

    /// - Returns: The exchange's sequence, which `ended` asks for.
    package func began(_ exchange: Exchange) -> UInt64 {
        let bytes = exchange.beginning.bytesKept
        let (sequence, tell, overwritten) = self.state.withLockedValue { state in
            let overwritten = state.keep(exchange, bytes)
            return (state.next - 1, state.told(), overwritten)
        }
        tell?()
        // What had its slot is freed when nobody waits for the lock.
        withExtendedLifetime(overwritten) {}
        return sequence
    }

    /// Of one that was overwritten or cleared in the meantime, nothing is kept.
    package func ended(_ exchange: Exchange, at sequence: UInt64) {
        let bytes = exchange.ending?.bytesKept ?? 0
        let tell = self.state.withLockedValue { state in
            state.end(exchange, bytes, at: sequence) ? state.told() : nil
        }
        tell?()
    }

    /// Forgets everything, what is under way too.
    package func clear() {
        let tell = self.state.withLockedValue { state in
            let (version, watcher, told) = (state.version + 1, state.watcher, state.watcherIsTold)
            let (next, counts) = (state.next, state.counts)
            state = State()
            state.next = next
            state.oldest = next
            state.version = version
            state.clearedAt = version
            state.counts = counts
            state.watcher = watcher
            state.watcherIsTold = told
            return state.told()
        }
        tell?()
    }

    /// There is something to tell that is no exchange.
    package func tunnelsChanged() {
        self.state.withLockedValue { $0.told() }?()
    }

    // MARK: Reading

    /// The newest of that id: visitors' proxies may choose it, and nobody else looks after its being the only one.
    package func entry(_ id: String) -> Entry? {
        self.entries().first { $0.exchange.beginning.request.id == id }
    }

    /// Newest first.
    package func entries() -> [Entry] {
        self.state.withLockedValue { state in
            (state.oldest..<state.next).reversed().compactMap { state.slots[Self.slot($0)] }
        }
    }

    package var count: Int { self.state.withLockedValue { Int($0.next - $0.oldest) } }

    package var bytes: Int { self.state.withLockedValue { $0.bytes } }

    /// Exchanges that began since the client did, kept or not.
    package func total(of tunnel: TunnelNumber) -> UInt64 {
        self.state.withLockedValue { state in state.counts.first { $0.tunnel == tunnel }?.count ?? 0 }
    }

    // MARK: Watching

    /// - Parameter watcher: Called on any thread when something has changed since `changes(since:)` was last asked; must not block.
    package func watch(_ watcher: (@Sendable () -> Void)?) {
        self.state.withLockedValue {
            $0.watcher = watcher
            $0.watcherIsTold = false
        }
    }

    /// From now on the watcher is told of the next change.
    package func rearm() {
        self.state.withLockedValue { $0.watcherIsTold = false }
    }

    /// - Parameter version: The one of the changes before; `nil` for a new watcher.
    package func changes(since version: UInt64?) -> Changes {
        self.state.withLockedValue { state in
            let startsOver = version.map { $0 < state.clearedAt } ?? true
            let entries = (state.oldest..<state.next).compactMap { state.slots[Self.slot($0)] }
            return Changes(
                startsOver: startsOver, entries: startsOver ? entries : entries.filter { $0.version > version ?? 0 },
                version: state.version, first: state.oldest)
        }
    }
}

extension InspectorStore {
    fileprivate static func slot(_ sequence: UInt64) -> Int { Int(sequence % UInt64(Self.capacity)) }
}

extension InspectorStore.State {
    /// - Returns: The one whose slot it has got.
    fileprivate mutating func keep(_ exchange: Exchange, _ bytes: Int) -> InspectorStore.Entry? {
        self.version += 1
        self.count(exchange.beginning.tunnel)
        if self.slots.isEmpty { self.slots = Array(repeating: nil, count: InspectorStore.capacity) }
        let overwritten = self.next - self.oldest == UInt64(InspectorStore.capacity) ? self.dropOldest() : nil
        self.slots[InspectorStore.slot(self.next)] = InspectorStore.Entry(
            sequence: self.next, version: self.version, exchange: exchange, bytes: bytes)
        self.next += 1
        self.grow(by: bytes)
        return overwritten
    }

    private mutating func count(_ tunnel: TunnelNumber) {
        if let index = self.counts.firstIndex(where: { $0.tunnel == tunnel }) {
            self.counts[index].count += 1
        } else {
            self.counts.append((tunnel, 1))
        }
    }

    /// - Returns: Whether it is still kept.
    fileprivate mutating func end(_ exchange: Exchange, _ bytes: Int, at sequence: UInt64) -> Bool {
        guard (self.oldest..<self.next).contains(sequence) else { return false }
        let slot = InspectorStore.slot(sequence)
        // Another listener's may come with a sequence that happens to be one of ours.
        guard self.slots[slot]?.exchange.beginning === exchange.beginning else { return false }
        self.version += 1
        self.slots[slot]?.version = self.version
        self.slots[slot]?.exchange = exchange
        self.slots[slot]?.bytes += bytes
        self.grow(by: bytes)
        return true
    }

    private mutating func grow(by bytes: Int) {
        self.bytes += bytes
        while self.bytes > InspectorStore.byteLimit, self.oldest < self.next { _ = self.dropOldest() }
    }

    private mutating func dropOldest() -> InspectorStore.Entry? {
        let entry = self.slots[InspectorStore.slot(self.oldest)].take()
        self.oldest += 1
        self.bytes -= entry?.bytes ?? 0
        return entry
    }

    fileprivate mutating func told() -> (@Sendable () -> Void)? {
        guard !self.watcherIsTold, let watcher = self.watcher else { return nil }
        self.watcherIsTold = true
        return watcher
    }
}

// What keeping it takes, rounded up: buffers with their unused room, texts of more than 15 bytes with 32 bytes of their own.

extension Exchange.Beginning {
    fileprivate var bytesKept: Int {
        self.request.target.bytesKept + self.url.bytesKept + self.request.fieldBytesKept + Self.ownBytes
    }

    /// With the slot, and 128 bytes for what is beside the request.
    private static let ownBytes = MemoryLayout<InspectorStore.Entry>.stride + MemoryLayout<RequestMessage>.stride + 128
}

extension Exchange.Ending {
    fileprivate var bytesKept: Int {
        self.seen.requestBody.beginning.capacity + self.seen.responseBody.beginning.capacity
            + self.seen.responseRecord.capacity + Self.ownBytes
    }

    private static let ownBytes = MemoryLayout<Exchange.Seen>.stride + 64
}

extension String {
    fileprivate var bytesKept: Int { self.utf8.count > 15 ? self.utf8.count + 32 : 0 }
}
