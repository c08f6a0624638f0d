import Testing

@testable import TunnelProtocol

struct ReceiveWindowTests {
    private static let never = Duration.zero

    @Test(arguments: 0..<200 as Range<UInt64>)
    func `credit is conserved whatever the order of receive and take`(seed: UInt64) throws {
        var random = SplitMix64(seed: seed)
        let initial = [1, 2, 3, 100, 65_536, 262_144, 16 << 20, 17 << 20].randomElement(using: &random) ?? 1
        var window = ReceiveWindow(size: initial)
        let budget = MemoryBudget(bytes: Int.random(in: 0...(4 * initial), using: &random))
        var now = Instant.start
        var credit = initial  // What the peer has.
        for _ in 0..<300 {
            if random.chance(50) {
                let count = Int.random(in: 0...window.granted, using: &random)
                try window.receive(count)
                credit -= count
            } else {
                let count = Int.random(in: 0...window.unread, using: &random)
                if let returned = window.take(count, now: now, roundTrip: .milliseconds(50), budget: budget) {
                    #expect(returned > 0, "seed \(seed)")
                    credit += returned
                }
            }
            now = now + .milliseconds(Int.random(in: 0...100, using: &random))
            #expect(credit == window.granted, "seed \(seed)")
            #expect(window.granted >= 0 && window.unread >= 0, "seed \(seed)")
            #expect(window.granted + window.unread <= window.size, "seed \(seed)")
            #expect(window.size <= max(initial, budget.share), "seed \(seed)")
            #expect(budget.used <= budget.bytes && window.size - initial == budget.used, "seed \(seed)")
            // A peer is never left without credit once everything has been taken.
            #expect(window.unread > 0 || window.granted > 0, "seed \(seed)")
        }
    }

    @Test func `credit goes back once half the window is free, and not for less`() throws {
        var window = ReceiveWindow(size: 1_000)
        let budget = MemoryBudget(bytes: 0)
        try window.receive(1_000)
        #expect(window.take(499, now: .start, roundTrip: Self.never, budget: budget) == nil)
        #expect(window.take(1, now: .start, roundTrip: Self.never, budget: budget) == 500)
        #expect(window.take(499, now: .start, roundTrip: Self.never, budget: budget) == nil)
        #expect(window.take(1, now: .start, roundTrip: Self.never, budget: budget) == 500)
        #expect(window.granted == 1_000)
    }

    @Test func `a large window gives credit back in eighths, and still grows by halves`() throws {
        let size = 8 << 20
        var window = ReceiveWindow(size: size)
        let budget = MemoryBudget(bytes: 1 << 30)
        func eighthTaken(at seconds: Double) throws -> Int? {
            try window.receive(size / 8)
            #expect(window.take(size / 8 - 1, now: .at(seconds), roundTrip: .seconds(1), budget: budget) == nil)
            return window.take(1, now: .at(seconds), roundTrip: .seconds(1), budget: budget)
        }
        for _ in 0..<4 { #expect(try eighthTaken(at: 0) == size / 8) }
        for _ in 0..<3 { #expect(try eighthTaken(at: 1.9) == size / 8) }
        #expect(window.size == size)
        #expect(try eighthTaken(at: 1.9) == size / 8 + size)
        #expect(window.size == 2 * size)
    }

    @Test func `one byte beyond what was granted is a violation`() throws {
        var window = ReceiveWindow(size: 10)
        try window.receive(10)
        #expect(violation { try window.receive(1) } == .flowControl)
        #expect(window.granted == 0 && window.unread == 10, "a refused byte changes nothing")
    }

    @Test func `the smallest windows return credit as soon as they are free, and never none`() throws {
        for size in [0, 1, 2, 3] {
            var window = ReceiveWindow(size: size)
            let budget = MemoryBudget(bytes: 0)
            #expect(window.take(0, now: .start, roundTrip: Self.never, budget: budget) == nil, "size \(size)")
            guard size > 0 else { continue }
            try window.receive(size)
            #expect(window.take(size, now: .start, roundTrip: Self.never, budget: budget) == size)
        }
    }

    @Test func `a window whose half is used up within two round trips doubles, and a slower one does not`() throws {
        var window = ReceiveWindow(size: 1_000)
        let budget = MemoryBudget(bytes: 1_000_000)
        func halfTaken(at seconds: Double) throws -> Int? {
            try window.receive(window.size / 2)
            return window.take(window.size / 2, now: .at(seconds), roundTrip: .seconds(1), budget: budget)
        }
        #expect(try halfTaken(at: 0) == 500)
        #expect(try halfTaken(at: 2) == 500, "two round trips: fast enough")
        #expect(window.size == 1_000)
        #expect(try halfTaken(at: 3.9) == 1_500)
        #expect(window.size == 2_000)
        #expect(budget.used == 1_000)
    }

    @Test func `a window that is used steadily follows the largest of its link, and no further`() throws {
        var window = ReceiveWindow(size: 1_000)
        let budget = MemoryBudget(bytes: 1_000_000)
        func halfTaken(at seconds: Double) throws {
            try window.receive(window.size / 2)
            _ = window.take(window.size / 2, now: .at(seconds), roundTrip: .seconds(1), largest: 4_000, budget: budget)
        }
        try halfTaken(at: 0)
        try halfTaken(at: 33)
        #expect(window.size == 1_000, "sixteen times two round trips: not steady")
        try halfTaken(at: 64)
        #expect(window.size == 2_000)
        try halfTaken(at: 95)
        #expect(window.size == 4_000)
        try halfTaken(at: 126)
        #expect(window.size == 4_000)
    }

    @Test func `a window grows no further than its share of the budget, and what is left of it`() throws {
        let process = MemoryBudget(bytes: 40 << 20)
        let budget = MemoryBudget(partOf: process)
        func fill(_ window: inout ReceiveWindow) throws {
            for _ in 0..<8 {
                let count = window.granted
                try window.receive(count)
                _ = window.take(count, now: .start, roundTrip: .seconds(1), budget: budget)
            }
        }
        var windows = [ReceiveWindow](repeating: ReceiveWindow(size: 1 << 20), count: 3)
        for index in windows.indices { try fill(&windows[index]) }
        #expect(windows.map(\.size) == [10 << 20, 10 << 20, 3 << 20], "a quarter of the process's, until half of it is taken")
        #expect(budget.used == 20 << 20)
        var stranger = ReceiveWindow(size: 1 << 20)
        let other = MemoryBudget(partOf: process)
        try fill(&windows[2])
        #expect(windows[2].size == 3 << 20)
        for _ in 0..<8 {
            let count = stranger.granted
            try stranger.receive(count)
            _ = stranger.take(count, now: .start, roundTrip: .seconds(1), budget: other)
        }
        #expect(stranger.size == 10 << 20, "another session has its own half")
        budget.give(20 << 20)
        #expect(process.used == 9 << 20)
    }

    /// The receiver of a fast sender over a long path: the window settles where it no longer holds the sender back.
    @Test(arguments: [1, 20, 100, 300])
    func `a window follows the path's bandwidth-delay product`(milliseconds: Int) throws {
        let bytesPerSecond = 50_000_000.0
        let roundTrip = Duration.milliseconds(milliseconds)
        var window = ReceiveWindow(size: Limits.Implementation.initialWindowBytes)
        let budget = MemoryBudget()
        var now = Instant.start
        // Each window takes its time on the line, and at least a round trip.
        for _ in 0..<100 {
            let count = window.granted
            let time = max(Duration.seconds(Double(count) / bytesPerSecond), roundTrip)
            for half in [count / 2, count - count / 2] {
                now = now + time / 2
                try window.receive(half)
                _ = window.take(half, now: now, roundTrip: roundTrip, budget: budget)
            }
        }
        let product = Int(bytesPerSecond * Double(milliseconds) / 1_000)
        #expect(window.size >= min(product, budget.share))
        #expect(window.size <= max(Limits.Implementation.initialWindowBytes, 8 * product))
    }

    @Test func `taking more than was received stops the program`() async {
        await #expect(processExitsWith: .failure) {
            var window = ReceiveWindow(size: 10)
            let budget = MemoryBudget(bytes: 0)
            _ = window.take(1, now: Instant(nanoseconds: 0), roundTrip: .zero, budget: budget)
        }
    }
}
