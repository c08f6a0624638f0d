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
}
