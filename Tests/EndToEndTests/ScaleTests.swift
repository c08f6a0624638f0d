import Foundation
import Testing

@Suite(.serialized) struct ScaleTests {
    @Test(.disabled(if: Toolchain.isSanitized, "a sanitizer's memory is not the program's"))
    func `a thousand idle streams cost 16 KiB each at most, and nothing stays behind`() throws {
        try Stage.run { stage in
            let echo = try stage.echo()
            let tunnel = try stage.tunnel(to: echo.port)
            let programs = [tunnel.server.program, tunnel.client]
            let first = try stage.visit(tunnel.port)
            try exchange(first)
            let descriptors = try programs.map { try $0.descriptors() }
            let before = try programs.map { try $0.residentBytes() }.reduce(0, +)

            let count = 1_000
            let visitors = try (0..<count).map { _ in try stage.visit(tunnel.port) }
            for visitor in visitors { try visitor.send("x") }
            for visitor in visitors { _ = try visitor.receive(1) }
            let growth = try programs.map { try $0.residentBytes() }.reduce(0, +) - before
            #expect(growth <= count * 16 * 1024, "\(growth / count) bytes a stream")
            try exchange(first)

            for visitor in visitors { visitor.close() }
            for (program, number) in zip(programs, descriptors) {
                try eventually("\(program.name) has \((try? program.descriptors()) ?? 0) descriptors, had \(number)") {
                    try program.descriptors() <= number
                }
            }
            try exchange(first)
        }
    }

    @Test func `a server without a free descriptor waits for one at its ease`() throws {
        try Stage.run { stage in
            let echo = try stage.echo()
            let program = try stage.start(
                "prlimit",
                ["--nofile=256", "\(Toolchain.programs)/ws-tunnel-server", "--listen", "127.0.0.1:0", "--bind", "127.0.0.1", "--json"],
                environment: ["SOCKETS_API_KEY": stage.key])
            let server = Server(
                program: program, port: try program.event("ready").port("listen"), fingerprint: nil, isPlain: false)
            let tunnel = try stage.tunnel(server, to: [echo.port])
            let first = try stage.visit(tunnel.port)
            try exchange(first)
            // The kernel takes them all; the server has descriptors for some of them.
            let crowd = try (0..<500).map { _ in try stage.visit(tunnel.port) }
            try exchange(crowd[0])

            let (start, before) = (Date(), try program.processorSeconds())
            while Date().timeIntervalSince(start) < 2 {
                try exchange(first)
                usleep(50_000)
            }
            let share = try (program.processorSeconds() - before) / Date().timeIntervalSince(start)
            #expect(share < 0.2 * Patience.slowness, "\(Int(share * 100)) % of a processor")
            for visitor in crowd { visitor.close() }
            try exchange(stage.visit(tunnel.port))
        }
    }
}
