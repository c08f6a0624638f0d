@testable import TunnelProtocol

/// Two processes with several sessions between them, each with several links: what they share is memory.
struct SimulatedWorld {
    private static let sessions = 2
    private static let linksEach = 3

    private let seed: UInt64

    init(seed: UInt64) {
        self.seed = seed
    }

    /// - Returns: What went wrong.
    func run() -> [String] {
        var random = SplitMix64(seed: self.seed)
        // From hardly anything to nearly enough for all of them.
        let processes = (0..<2).map { _ in
            MemoryBudget(bytes: [20_000, 200_000, 2_000_000].randomElement(using: &random) ?? 0)
        }
        let budgets = (0..<Self.sessions).map { _ in processes.map { MemoryBudget(partOf: $0) } }
        var links = (0..<Self.sessions * Self.linksEach).map {
            SimulatedSession(seed: random.next(), budgets: budgets[$0 / Self.linksEach])
        }
        var complaints: [String] = []
        func check() {
            for first in stride(from: 0, to: links.count, by: Self.linksEach) {
                let session = links[first..<first + Self.linksEach]
                for side in 0..<2 { links[first].ends[side].checkBudget(session.map { $0.ends[side] }) }
            }
            for (side, process) in processes.enumerated() {
                let used = budgets.reduce(0) { $0 + $1[side].used }
                if process.used != used || used > process.bytes {
                    complaints.append("side \(side): \(process.used) of \(process.bytes) bytes taken, \(used) by sessions")
                }
            }
        }
        for _ in 0..<300 {
            links[Int.random(in: 0..<links.count, using: &random)].step()
            check()
        }
        for index in links.indices { links[index].rest() }
        check()
        for _ in 0..<150 {
            links[Int.random(in: 0..<links.count, using: &random)].step()
            check()
        }
        for index in links.indices { links[index].finish() }
        check()
        for link in links {
            for end in link.ends {
                complaints += end.complaints.prefix(3)
                end.link.end()
            }
        }
        for process in processes where process.used != 0 { complaints.append("\(process.used) bytes are not given back") }
        return complaints
    }
}
