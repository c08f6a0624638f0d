import Foundation
import Testing

/// Mutated requests by the thousand against the front door, with a service that hears everything: see Peers/mutations.py.
@Suite struct SmugglingTests {
    /// The whole proof: `WS_TUNNEL_MUTATIONS=200000 Tests/run --sanitize=address --filter SmugglingTests`. A fault is seen again with
    /// `WS_TUNNEL_SEED`, and its bytes with `mutations.py SEED show NUMBER HOST PORT`.
    @Test func `whatever is done to a request, nothing reaches the service that was not meant`() throws {
        try Stage.run { stage in
            let program = try stage.start("python3", [Toolchain.peer("mutations.py"), "\(Extent.seed)"], opensInput: true)
            let line = try program.line(containing: "port ")
            let port = try #require(line.split(separator: " ").last.flatMap { UInt16($0) })
            let server = try stage.httpServer()
            let client = try stage.client(["--server", server.url, "--expose", "http://127.0.0.1:\(port)", "--subdomain", "target", "--inspect", "off"])
            try client.event("tunnel")
            let (batch, total) = (2_000, Extent.mutations)
            var (meant, arrived, untouched) = (0, 0, 0)
            for first in stride(from: 0, to: total, by: batch) {
                let mark = program.mark
                let count = min(batch, total - first)
                try program.write("run \(server.port) target.localhost:\(server.port) \(first) \(count)\n")
                let event = try program.event("ran", since: mark, within: Patience.long * 3)
                let faults = event.list("faults")
                #expect(faults.isEmpty, "seed \(Extent.seed): \(event.number("faultCount") ?? 0) faults\n\(faults.joined(separator: "\n"))")
                #expect(server.program.isRunning && client.isRunning)
                meant += event.number("meant") ?? 0
                arrived += event.number("arrived") ?? 0
                untouched += event.number("untouchedArrived") ?? 0
            }
            // That it refused everything would prove nothing.
            #expect(untouched >= total / 10 && arrived * 10 >= meant * 7, "\(arrived) of \(meant) arrived, \(untouched) of them untouched")
            #expect(client.events("lost", "paused").isEmpty)
            print("\(total) mutations with seed \(Extent.seed): \(arrived) of \(meant) requests that were meant arrived, and no other")
        }
    }
}
