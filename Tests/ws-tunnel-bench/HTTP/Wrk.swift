/// The load: wrk, and what it says.
struct Wrk {
    /// Of one run; times in seconds.
    struct Figures {
        let requests: Double
        let perSecond: Double
        let median: Double
        let percentile99: Double
    }

    private let path: String

    init() throws {
        self.path = try Programs.find("wrk", in: "wrk")
    }

    /// - Throws: When one answer was no 200, or did not come.
    func run(_ pair: HTTPPair, connections: Int, seconds: Int) throws -> Figures {
        let threads = min(2, connections)
        let process = try ChildProcess(
            [
                self.path, "--latency", "-t", "\(threads)", "-c", "\(connections)", "-d", "\(seconds)s", "-H", "Host: \(HTTPStage.host)",
                pair.url,
            ], log: "/dev/null")
        let lines = try process.output(within: Double(seconds) + 20).map { $0.split(separator: " ").map(String.init) }
        func word(after names: String...) -> String? {
            for line in lines where line.count > names.count && Array(line[..<names.count]) == names { return line[names.count] }
            return nil
        }
        for line in lines where line.first == "Socket" || line.first == "Non-2xx" {
            throw Failure("wrk said: \(line.joined(separator: " "))")
        }
        let total = lines.first { $0.count > 1 && $0[1] == "requests" }?.first.flatMap { Double($0) }
        guard let total, let perSecond = word(after: "Requests/sec:").flatMap({ Double($0) }),
            let median = word(after: "50%").flatMap(Self.time), let percentile99 = word(after: "99%").flatMap(Self.time)
        else { throw Failure("wrk said: \(lines.map { $0.joined(separator: " ") }.joined(separator: "; "))") }
        return Figures(requests: total, perSecond: perSecond, median: median, percentile99: percentile99)
    }

    /// `1.23ms` in seconds.
    private static func time(_ text: String) -> Double? {
        for (unit, scale) in [("us", 1e-6), ("ms", 1e-3), ("s", 1), ("m", 60)] where text.hasSuffix(unit) {
            return Double(text.dropLast(unit.count)).map { $0 * scale }
        }
        return nil
    }
}
