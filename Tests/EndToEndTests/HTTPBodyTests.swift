import Foundation
import Testing

/// Bodies of any size, in both directions: every byte, and never more than a little of it at once in memory.
@Suite(.serialized) struct HTTPBodyTests {
    /// What each program may have resident at most, in bytes, whatever passes.
    private static let limit = 64 << 20

    private func carry(_ tunnel: HTTPTunnel, _ way: String, _ bytes: Int, _ framing: String) throws {
        let body = try tunnel.stage.start(
            "python3", [Toolchain.peer("bodies.py"), way, "\(tunnel.server.port)", tunnel.authority, "\(bytes)", framing])
        let patience = max(Patience.long, Patience.slowness * Double(bytes >> 20) / 8)
        let event = try body.event("body", within: patience)
        #expect(event["verdict"] == "intact", "\(way), \(bytes) bytes, \(framing): \(event["verdict"] ?? "")")
    }

    @Test func `bodies around every boundary arrive byte for byte, both ways and in every framing`() throws {
        try Stage.run { stage in
            let tunnel = try stage.httpTunnel()
            let sizes = [0, 1, 4_095, 4_096, 4_097, 16_383, 16_384, 16_385, 32_768, 65_535, 65_536, 65_537, 262_144, 262_145, 1 << 20, 10_000_019]
            for bytes in sizes {
                for framing in ["length", "chunked", "close"] { try self.carry(tunnel, "down", bytes, framing) }
                for framing in ["length", "chunked"] { try self.carry(tunnel, "up", bytes, framing) }
            }
        }
    }

    /// The whole proof: `WS_TUNNEL_BODY_MB=10240 Tests/run --filter HTTPBodyTests`.
    @Test(arguments: ["down", "up"]) func `a body of any size costs no memory`(way: String) throws {
        try Stage.run { stage in
            // On a machine that is busy with other tests round trips look long, and windows are opened for a long line: up to a
            // quarter of the budget, so of the default as much as is asked for here.
            let budget = ["--memory-budget", "128MiB"]
            let tunnel = try stage.httpTunnel(server: budget, arguments: budget)
            let bytes = Extent.bodyMebibytes << 20
            let start = Date()
            try self.carry(tunnel, way, bytes, "length")
            let took = Date().timeIntervalSince(start)
            try self.carry(tunnel, way, min(bytes, 256 << 20), "chunked")
            let peaks = try [tunnel.server.program, tunnel.client].map { try $0.peakResidentBytes() }
            if !Toolchain.isSanitized { #expect(peaks.allSatisfy { $0 < Self.limit }, "\(peaks.map { $0 >> 20 }) MiB at most") }
            if Extent.bodyMebibytes >= 1_024 {
                print("\(Extent.bodyMebibytes) MiB \(way) in \(Int(took)) s; at most \(peaks.map { $0 >> 20 }) MiB resident in server and client")
            }
        }
    }

    @Test(.disabled(if: Toolchain.isSanitized, "a sanitizer's memory is not the program's"))
    func `visitors and services who do not read cost no more than their windows`() throws {
        try Stage.run { stage in
            let tunnel = try stage.httpTunnel()
            let offered = 64 << 20
            // Readers who never read, and bodies nobody takes.
            let readers = try (0..<20).map { _ in
                let visitor = try tunnel.visitor(receiveBuffer: 4_096)
                try visitor.send("GET /bytes/\(offered) HTTP/1.1\r\nHost: \(tunnel.authority)\r\n\r\n")
                return visitor
            }
            let senders = try (0..<20).map { _ in
                let visitor = try tunnel.visitor()
                try visitor.send("POST /answer-later HTTP/1.1\r\nHost: \(tunnel.authority)\r\nContent-Length: \(offered)\r\n\r\n")
                return visitor
            }
            let block = [UInt8](repeating: 1, count: 1 << 20)
            var taken = 0
            for sender in senders { taken += sender.connection.offer(block + block + block + block, within: 0.1) }
            #expect(taken < 20 * offered)
            // Others go on meanwhile.
            for number in 1...20 { #expect(try tunnel.ask("/echo/\(number)").status == 200) }
            let peaks = try [tunnel.server.program, tunnel.client].map { try $0.peakResidentBytes() }
            #expect(peaks.allSatisfy { $0 < 2 * Self.limit }, "\(peaks.map { $0 >> 20 }) MiB at most")
            // One of them reads after all.
            let head = try readers[0].head()
            #expect(head["Content-Length"] == "\(offered)")
            // What came with the head has been read already.
            let rest = offered - (1 << 16)
            #expect(try readers[0].connection.count(upTo: rest) == rest)
        }
    }
}
