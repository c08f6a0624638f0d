import Foundation
import Testing

@testable import TunnelProtocol

/// `WS_TUNNEL_SEEDS=20000 swift test --filter ResumptionSimulation` is the long proof; `WS_TUNNEL_SEED=4711` replays one seed.
struct ResumptionSimulationTests {
    private static func number(_ variable: String) -> UInt64? {
        ProcessInfo.processInfo.environment[variable].flatMap(UInt64.init)
    }

    /// Tests of their own, so that they run on all cores.
    private static func groups(of size: UInt64, upTo seeds: UInt64) -> [Range<UInt64>] {
        if let seed = number("WS_TUNNEL_SEED") { return seed < .max ? [seed..<seed + 1] : [] }
        return stride(from: 0, to: seeds, by: Int(size)).map { $0..<min($0 + size, seeds) }
    }

    private static func run(_ seed: UInt64, _ load: SimulatedSession.Load) -> SimulatedSession.Tally {
        var session = SimulatedSession(seed: seed, load: load)
        session.run()
        for complaint in session.ends.flatMap({ $0.complaints.prefix(3) }) {
            Issue.record("WS_TUNNEL_SEED=\(seed) (\(load)): \(complaint)")
        }
        return session.tally
    }

    @Test(arguments: groups(of: 50, upTo: number("WS_TUNNEL_SEEDS") ?? 2_000))
    func `each byte arrives once and in order, whatever is cut`(seeds: Range<UInt64>) {
        for seed in seeds { _ = Self.run(seed, .usual) }
    }

    @Test(arguments: groups(of: 1, upTo: (number("WS_TUNNEL_SEEDS") ?? 2_000) / 250))
    func `nor is anything lost when more is on its way than the replay buffer holds`(seeds: Range<UInt64>) {
        for seed in seeds { _ = Self.run(seed, .heavy) }
    }

    /// Sessions of one process, and links of one session, live and die beside each other, within budgets that are too small for all.
    @Test(arguments: groups(of: 10, upTo: (number("WS_TUNNEL_SEEDS") ?? 2_000) / 20))
    func `links that share a budget neither lose nor hold more than there is`(seeds: Range<UInt64>) {
        for seed in seeds {
            let world = SimulatedWorld(seed: seed)
            for complaint in world.run().prefix(3) { Issue.record("WS_TUNNEL_SEED=\(seed) (world): \(complaint)") }
        }
    }

    @Test func `a seed replays`() {
        for seed in 0..<5 as Range<UInt64> { #expect(Self.run(seed, .usual) == Self.run(seed, .usual)) }
    }

    @Test func `the simulation meets what it is for`() {
        let tallies = (0..<60 as Range<UInt64>).map { Self.run($0, .usual) }
        // Half or less of what these seeds meet.
        let least: [(what: String, count: KeyPath<SimulatedSession.Tally, Int>, least: Int)] = [
            ("directions cut", \.cuts, 500),
            ("cuts inside HELLO", \.cutsInHello, 25),
            ("cuts inside WELCOME", \.cutsInWelcome, 8),
            ("cuts inside DATA", \.cutsInData, 60),
            ("cuts inside other frames", \.cutsInOthers, 20),
            ("cuts in one direction", \.oneSided, 70),
            ("frames sent into the void", \.swallowed, 300),
            ("greetings after a WELCOME that was lost", \.tokensShownAgain, 50),
            ("greetings that came late", \.lateHellos, 1),
            ("resumptions", \.resumed, 160),
            ("frames ignored on older connections", \.ignored, 500),
            ("connections opened beside a living one", \.overlaps, 30),
            ("bytes sent again", \.repeated, 400_000),
            ("bytes dropped as known", \.dropped, 20_000),
            ("acknowledgements", \.acknowledgements, 800),
            ("streams opened while suspended", \.openedWhileSuspended, 120),
            ("resets", \.resets, 30),
            ("bytes received", \.bytes, 1_000_000),
        ]
        for (what, count, least) in least {
            let total = tallies.reduce(0) { $0 + $1[keyPath: count] }
            #expect(total >= least, "\(what)")
        }
        let heavy = (0..<6 as Range<UInt64>).map { Self.run($0, .heavy) }
        #expect(heavy.count { $0.fullestReplay >= Limits.Implementation.replayBytes } >= 2)
        #expect(heavy.reduce(0) { $0 + $1.resumed } > 6 * 2, "more often than at rest")
    }
}
