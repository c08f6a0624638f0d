import Foundation
import Testing

/// permessage-deflate between the two programs: where both ask for it, and only there.
struct CompressionTests {
    private static let offer = "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits"

    @Test(arguments: [("on", "on"), ("on", "off"), ("off", "on"), ("off", "off")])
    func `text takes a fraction of its bytes where both ends compress, and all of them elsewhere`(
        server: String, client: String
    ) throws {
        try Stage.run { stage in
            let echo = try stage.echo()
            let (tunnel, cutter) = try stage.cuttableTunnel(
                to: echo.port, server: ["--compression", server], client: ["--compression", client])
            let visitor = try stage.visit(tunnel.port)
            let text = (0..<20_000).map { "line \($0 * 7919 % 20_000) of a text that goes there and back\n" }.joined()
            let before = cutter.bytes
            Thread.detachNewThread { try? visitor.send(text) }
            let received = try visitor.receiveText(text.utf8.count)
            #expect(received == text)
            let passed = cutter.bytes - before
            if server == "on", client == "on" {
                #expect(passed < text.utf8.count / 2, "\(passed) bytes passed for twice \(text.utf8.count)")
            } else {
                #expect(passed > 2 * text.utf8.count)
            }
            let complaints = tunnel.client.count(ofLinesContaining: "the server has --compression off")
            #expect(complaints == (server == "off" && client == "on" ? 1 : 0))
        }
    }

    @Test func `the server has every message stand by itself`() throws {
        try Stage.run { stage in
            let server = try stage.server("--plain", "--compression", "on")
            let accepted = "Sec-WebSocket-Extensions: permessage-deflate"
            let socket = try RawWebSocket(to: server, on: stage, extra: Self.offer)
            #expect(socket.answer.contains("\(accepted); server_no_context_takeover; client_no_context_takeover\r\n"))
            let plain = try RawWebSocket(to: server, on: stage)
            #expect(!plain.answer.contains("Sec-WebSocket-Extensions"))
            let off = try stage.server("--plain")
            let declined = try RawWebSocket(to: off, on: stage, extra: Self.offer)
            #expect(!declined.answer.contains("Sec-WebSocket-Extensions"))
        }
    }

    @Test func `transfers that can be compressed and others are cut ten times and arrive whole`() throws {
        try Stage.run { stage in
            let service = try stage.start("python3", [Toolchain.peer("bulk.py"), "serve"])
            let port = try #require(try service.line(containing: "port ").split(separator: " ").last.flatMap { UInt16($0) })
            let (tunnel, cutter) = try stage.cuttableTunnel(
                to: port, server: ["--compression", "on"], client: ["--compression", "on"])
            let visitor = try stage.start("python3", [Toolchain.peer("bulk.py"), "visit", "\(tunnel.port)", "16", "2"])
            // Two streams, two directions, of which compression leaves half at least.
            for _ in 1...10 { try cutter.cut(.reset, after: .random(in: 1...(16 << 21) / 11)) }
            #expect(try visitor.ended(within: Patience.long) == .code(0))
            #expect(visitor.log() == ["intact", "intact"])
            try eventually("the service has \(service.log())") { service.count(ofLinesContaining: "intact") == 2 }
            try tunnel.client.pausesEnded(1)
        }
    }

    @Test func `a message that inflates to more than any frame holds ends its connection, no more`() throws {
        try Stage.run { stage in
            let echo = try stage.echo()
            let server = try stage.server("--plain", "--compression", "on")
            let tunnel = try stage.tunnel(server, to: [echo.port])
            let socket = try RawWebSocket(to: server, on: stage, extra: Self.offer)
            // 64 MiB of zeros, behind the type of a frame that receivers ignore.
            let bomb = try stage.run(
                "python3", "-c",
                """
                import zlib
                deflate = zlib.compressobj(9, zlib.DEFLATED, -15)
                message = deflate.compress(b"\\x3f" + bytes(64 << 20)) + deflate.flush(zlib.Z_SYNC_FLUSH)
                print(message[:-4].hex())
                """)
            let digits = Array(try bomb.output().filter { $0 > 0x20 })
            let bytes = stride(from: 0, to: digits.count, by: 2).map {
                UInt8(String(decoding: digits[$0..<$0 + 2], as: UTF8.self), radix: 16)!
            }
            // In pieces that the helper's header can announce.
            let pieces = stride(from: 0, to: bytes.count, by: 60_000).map { Array(bytes[$0..<min($0 + 60_000, bytes.count)]) }
            for (index, piece) in pieces.enumerated() {
                try socket.send(piece, first: (index == pieces.count - 1 ? 0x80 : 0) | (index == 0 ? 0x42 : 0))
            }
            // What the frame is ends it before the message does: it is inflated piece by piece, and no further.
            #expect(try socket.closeCode() == 4400)
            try exchange(try stage.visit(tunnel.port))
        }
    }

    @Test func `a compressed message that nobody agreed on is refused`() throws {
        try Stage.run { stage in
            let server = try stage.server("--plain")
            let socket = try RawWebSocket(to: server, on: stage)
            try socket.send([0xF2, 0x48, 0xCD, 0xC9, 0xC9, 0x07, 0x00], first: 0xC2)
            #expect(try socket.closeCode() == 1002)
        }
    }
}
