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
        var slots: [Entry?] = []
        /// Where an exchange is, by its id.
        var places: [String: Int] = [:]
        var next: UInt64 = 0
        var oldest: UInt64 = 0
        var version: UInt64 = 0
        var clearedAt: UInt64 = 0
        var bytes = 0
        var counts: [TunnelNumber: UInt64] = [:]
        var watcher: (@Sendable () -> Void)?
        var watcherIsTold = false
    }

    private let state = NIOLockedValueBox(State())

    package init() {}

    /// An exchange has begun, or has ended.
    package func changed(_ exchange: Exchange) {
        let bytes = exchange.bytesKept
        let tell = self.state.withLockedValue { state in
            state.keep(exchange, bytes)
            return state.told()
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

    package func entry(_ id: String) -> Entry? {
        self.state.withLockedValue { state in state.places[id].flatMap { state.slots[$0] } }
    }

    /// Newest first.
    package func entries() -> [Entry] {
        self.state.withLockedValue { state in
            (state.oldest..<state.next).reversed().compactMap { state.slots[Int($0 % UInt64(Self.capacity))] }
        }
    }

    package var count: Int { self.state.withLockedValue { $0.places.count } }

    package var bytes: Int { self.state.withLockedValue { $0.bytes } }

    /// Exchanges that began since the client did, kept or not.
    package func total(of tunnel: TunnelNumber) -> UInt64 {
        self.state.withLockedValue { $0.counts[tunnel, default: 0] }
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
            let entries = (state.oldest..<state.next).compactMap { state.slots[Int($0 % UInt64(Self.capacity))] }
            return Changes(
                startsOver: startsOver, entries: startsOver ? entries : entries.filter { $0.version > version ?? 0 },
                version: state.version, first: state.oldest)
        }
    }
}

extension InspectorStore.State {
    fileprivate mutating func keep(_ exchange: Exchange, _ bytes: Int) {
        self.version += 1
        if let place = self.places[exchange.request.id] {
            self.bytes += bytes - (self.slots[place]?.bytes ?? 0)
            self.slots[place]?.exchange = exchange
            self.slots[place]?.version = self.version
            self.slots[place]?.bytes = bytes
        } else if exchange.isBeginning {
            self.counts[exchange.tunnel, default: 0] += 1
            if self.slots.isEmpty { self.slots = Array(repeating: nil, count: InspectorStore.capacity) }
            if self.next - self.oldest == UInt64(InspectorStore.capacity) { self.dropOldest() }
            let place = Int(self.next % UInt64(InspectorStore.capacity))
            self.slots[place] = InspectorStore.Entry(sequence: self.next, version: self.version, exchange: exchange, bytes: bytes)
            self.places[exchange.request.id] = place
            self.bytes += bytes
            self.next += 1
        }
        // Otherwise it has ended after it was overwritten or cleared: nobody looks for it any more.
        while self.bytes > InspectorStore.byteLimit, self.oldest < self.next { self.dropOldest() }
    }

    private mutating func dropOldest() {
        let place = Int(self.oldest % UInt64(InspectorStore.capacity))
        if let entry = self.slots[place].take() {
            self.bytes -= entry.bytes
            self.places[entry.exchange.request.id] = nil
        }
        self.oldest += 1
    }

    fileprivate mutating func told() -> (@Sendable () -> Void)? {
        guard !self.watcherIsTold, let watcher = self.watcher else { return nil }
        self.watcherIsTold = true
        return watcher
    }
}

extension Exchange {
    fileprivate var isBeginning: Bool { self.state == .underWay }

    /// What keeping it takes, rounded up: buffers with their unused room, texts of more than 15 bytes with 32 bytes of their own.
    fileprivate var bytesKept: Int {
        self.requestBody.beginning.capacity + self.responseBody.beginning.capacity
            + self.request.target.bytesKept + self.url.bytesKept + self.request.fieldBytesKept
            + (self.response?.fieldBytesKept ?? 0) + MemoryLayout<Exchange>.stride
    }
}

extension String {
    fileprivate var bytesKept: Int { self.utf8.count > 15 ? self.utf8.count + 32 : 0 }
}
