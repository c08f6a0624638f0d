import Foundation
import Testing

/// Many strangers, or one client without manners: whoever reaches a limit is cut or waits, the server's memory stays where it was,
/// and everybody else goes on.
@Suite(.serialized) struct AttackTests {
    /// A server with a tunnel that works before, during and after `body`, which gets a visitor of it. The server's memory never
    /// grows by more than `growth` bytes beyond what it is when the tunnel stands.
    private func besideATunnel(
        growth: Int, _ arguments: String..., body: (Stage, Server, Connection) throws -> Void
    ) throws {
        try Stage.run { stage in
            let echo = try stage.echo()
            let server = try stage.server(arguments)
            let tunnel = try stage.tunnel(server, to: [echo.port])
            let visitor = try stage.visit(tunnel.port)
            try exchange(visitor)
            let before = try server.program.residentBytes()
            try body(stage, server, visitor)
            try exchange(visitor)
            try exchange(stage.visit(tunnel.port))
            #expect(tunnel.client.events("lost").isEmpty)
            guard !Toolchain.isSanitized else { return }
            let grown = try server.program.peakResidentBytes() - before
            #expect(grown <= growth, "\(grown / 1_024) KiB more than before")
        }
    }

    // MARK: Before the upgrade

    @Test func `five hundred slow handshakes, before TLS, inside it and inside the head, end in ten seconds while others connect`() throws {
        try self.besideATunnel(growth: 48 << 20) { stage, server, visitor in
            let (descriptors, start) = (try server.program.descriptors(), Date())
            let beforeTLS = try (0..<167).map { _ in try stage.visit(server.port) }
            let insideTLS = try (0..<167).map { _ in try stage.visit(server.port) }
            // The first bytes of a ClientHello of 512 bytes.
            for stranger in insideTLS { try stranger.send([0x16, 3, 1, 2, 0, 1, 0, 1, 0xFC, 3, 3]) }
            let insideHead = try stage.start("python3", [Toolchain.peer("slow.py"), "\(server.port)", "166"])
            try insideHead.line(containing: "open")
            #expect(try server.program.descriptors() >= descriptors + 500)
            // Somebody else connects, and is served.
            let echo = try stage.echo()
            try exchange(stage.visit(stage.tunnel(server, to: [echo.port]).port))
            try exchange(visitor)
            #expect(Date().timeIntervalSince(start) < 10 * Patience.slowness, "the strangers were gone before")

            for stranger in beforeTLS + insideTLS { #expect(stranger.awaitEnd(within: 13 * Patience.slowness) != .none) }
            let waited = Date().timeIntervalSince(start)
            #expect(waited < 13 * Patience.slowness, "\(waited) s")
            let closed = try insideHead.line(containing: "closed 166")
            let longest = try #require(closed.split(separator: " ").last.flatMap { Double($0) })
            #expect(longest < 12.5 * Patience.slowness, "\(longest) s")
        }
    }

    @Test func `a head that comes byte by byte costs little, however long it would be`() throws {
        try self.besideATunnel(growth: 16 << 20, "--plain") { stage, server, visitor in
            let stranger = try stage.visit(server.port)
            let head = Array("GET / HTTP/1.1\r\nX: ".utf8) + Array(repeating: UInt8(ascii: "x"), count: 20_000)
            let before = try server.program.processorSeconds()
            for byte in head { try stranger.send([byte]) }
            // A visitor's may be longer than a client's, so it was read on for its Host. There is none.
            try stranger.send("\r\n\r\n")
            #expect(stranger.awaitEnd(within: 5) != .none)
            let spent = try server.program.processorSeconds() - before
            // 20,000 reads of a byte; a parser that began anew with each would look at 200 million.
            #expect(spent <= 0.75 * Patience.slowness, "\(spent) s of a processor")
            try exchange(visitor)
        }
    }

    // MARK: An accepted client

    @Test func `a hundred thousand streams opened and reset at once change nothing for others`() throws {
        try self.besideATunnel(growth: 24 << 20, "--plain") { stage, server, visitor in
            let attacker = try RawWebSocket(to: server, on: stage)
            let reader = Thread { _ = try? attacker.connection.count(upTo: .max) }
            reader.start()
            for batch in 0..<100 {
                var messages: [[UInt8]] = []
                for number in 0..<1_000 {
                    let stream = RawWebSocket.varint((batch * 1_000 + number) * 2 + 1)
                    messages += [[0x20] + stream + [0], [0x24] + stream + [0]]
                }
                try attacker.send(messages: messages)
                if batch.isMultiple(of: 10) { try exchange(visitor) }
            }
            #expect(server.program.isRunning)
        }
    }

    @Test func `who opens streams and reads no answer is cut`() throws {
        try self.besideATunnel(growth: 40 << 20, "--plain") { stage, server, visitor in
            let mark = server.program.mark
            let attacker = try RawWebSocket(to: server, on: stage)
            var stream = 1
            // Its socket breaks once it is cut.
            attack: for _ in 0..<400 {
                var messages: [[UInt8]] = []
                for _ in 0..<1_000 {
                    messages.append([0x20] + RawWebSocket.varint(stream) + [0])
                    stream += 2
                }
                do { try attacker.send(messages: messages) } catch { break attack }
                if stream % 50_000 < 2_000 { try exchange(visitor) }
            }
            try server.program.line(containing: "does not read the answers", since: mark)
        }
    }

    @Test func `pings whose answers nobody reads cost no memory, and the latest is answered`() throws {
        try self.besideATunnel(growth: 24 << 20, "--plain") { stage, server, visitor in
            let attacker = try RawWebSocket(to: server, on: stage)
            let ping = [0x89, 0xFD, 0, 0, 0, 0] + [UInt8](repeating: 7, count: 125)
            let pings = Array(repeatElement(ping, count: 4_000).joined())
            for _ in 0..<128 {
                try attacker.connection.send(pings)
                try exchange(visitor)
            }
            try attacker.send([1, 2, 3], first: 0x89)
            var answer = try attacker.frame()
            while answer.payload != [1, 2, 3] { answer = try attacker.frame() }
            #expect(answer.first == 0x8A)
        }
    }

    /// What a client does with the stream of a visitor of its own tunnel.
    struct Violation: Sendable, CustomTestStringConvertible {
        let testDescription: String
        let code: Int
        let send: @Sendable (RawWebSocket) throws -> Void
    }

    /// Stream 2 is open; its window is 256 KiB.
    static let violations = [
        Violation(testDescription: "credit beyond 2^40 bytes", code: 4400) { peer in
            try peer.send([0x25, 2, 0xC0, 0, 1, 0, 0, 0, 0, 0])
        },
        Violation(testDescription: "as much credit as can be written, twice", code: 4400) { peer in
            try peer.send([0x25, 2] + [UInt8](repeating: 0xFF, count: 8))
            try peer.send([0x25, 2] + [UInt8](repeating: 0xFF, count: 8))
        },
        Violation(testDescription: "a credit of nothing", code: 4400) { try $0.send([0x25, 2, 0]) },
        Violation(testDescription: "credit for a stream that does not exist", code: 4400) { try $0.send([0x25, 4, 1]) },
        Violation(testDescription: "FIN of a stream that does not exist", code: 4400) { try $0.send([0x23, 4]) },
        Violation(testDescription: "OPENED for a stream that does not exist", code: 4400) { try $0.send([0x21, 4]) },
        Violation(testDescription: "DATA behind FIN", code: 4400) { peer in
            try peer.send([0x23, 2])
            try peer.send([0x22, 2, 1])
        },
        Violation(testDescription: "more DATA than was granted", code: 4400) { peer in
            // The visitor reads nothing: this is more than the window and the sockets between take.
            for _ in 0..<200 { try peer.sendBulk([0x22, 2] + [UInt8](repeating: 1, count: 64_000)) }
        },
        Violation(testDescription: "a frame other than DATA, in fragments without end", code: 4400) { peer in
            try peer.send([0x10, 0, 0, 0x12], first: 0x02)
            for _ in 0..<20 { try peer.send([UInt8](repeating: 65, count: 1_000), first: 0x00) }
        },
        Violation(testDescription: "one DATA frame without end, for a stream that is gone", code: 4400) { peer in
            try peer.send([0x24, 2, 0])
            try peer.send([0x22, 2], first: 0x02)
            for _ in 0..<20 { try peer.sendBulk([UInt8](repeating: 1, count: 60_000), first: 0x00) }
        },
        Violation(testDescription: "fragments without payload", code: 1008) { peer in
            try peer.send([0x22, 2], first: 0x02)
            for _ in 0..<100 { try peer.send([], first: 0x00) }
        },
    ]

    @Test(arguments: violations)
    func `a client that breaks a rule on a visitor's stream is cut, and its visitor with it`(violation: Violation) throws {
        try self.besideATunnel(growth: 24 << 20, "--plain") { stage, server, visitor in
            let mark = server.program.mark
            let attacker = try RawWebSocket(to: server, on: stage)
            try attacker.send([0x10, 0, 0])
            let victim = try stage.visit(server.program.event("tunnel", since: mark).port("url"), receiveBuffer: 4_096)
            #expect(try attacker.message(0x20).prefix(2) == [0x20, 2])
            // What is behind the violation may meet a closed socket.
            try? violation.send(attacker)
            #expect(try attacker.closeCode() == violation.code)
            attacker.connection.close()
            try server.program.line(containing: "the peer broke the protocol", since: mark)
            #expect(victim.awaitEnd() != .none)
        }
    }

    @Test func `messages that are begun and never finished cost their limit and no more`() throws {
        try self.besideATunnel(growth: 16 << 20, "--plain") { stage, server, visitor in
            let attackers = try (0..<100).map { _ in try RawWebSocket(to: server, on: stage) }
            for attacker in attackers {
                try attacker.send([0x10, 0, 0, 0x12], first: 0x02)
                for _ in 0..<16 { try attacker.send([UInt8](repeating: 65, count: 1_000), first: 0x00) }
            }
            try exchange(visitor)
            // They are still there: a ping between fragments is answered.
            for attacker in attackers {
                try attacker.send([9], first: 0x89)
                while try attacker.frame().first != 0x8A {}
            }
        }
    }
}
