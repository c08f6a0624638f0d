import Foundation
import Testing

/// Whatever arrives at the server's port harms only its own connection, and leaves a line in the log that says what it was.
@Suite struct BadInputTests {
    /// A server with a tunnel that works before and after `body`.
    private func besideATunnel(_ arguments: String..., body: (Stage, Server) throws -> Void) throws {
        try Stage.run { stage in
            let echo = try stage.echo()
            let server = try stage.server(arguments)
            let tunnel = try stage.tunnel(server, to: [echo.port])
            let visitor = try stage.visit(tunnel.port)
            try exchange(visitor)
            try body(stage, server)
            try exchange(visitor)
            try exchange(stage.visit(tunnel.port))
            #expect(tunnel.client.events("lost").isEmpty)
        }
    }

    // MARK: Before the upgrade

    /// What a stranger sends; the name stands for it in the tests' output.
    struct Garbage: Sendable, CustomTestStringConvertible {
        let testDescription: String
        let bytes: String
        /// The status it is answered with.
        var status = ""
    }

    @Test(arguments: [
        Garbage(testDescription: "an SSH greeting", bytes: "SSH-2.0-OpenSSH_9.2\r\n"),
        Garbage(testDescription: "plain HTTP", bytes: "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"),
        Garbage(testDescription: "a broken ClientHello", bytes: "\u{16}\u{3}\u{1}\u{0}\u{5}abcde"),
        Garbage(testDescription: "zeros", bytes: String(repeating: "\u{0}", count: 100)),
        Garbage(testDescription: "many letters", bytes: String(repeating: "A", count: 100_000)),
    ])
    func `what is not TLS is closed at once`(garbage: Garbage) throws {
        try self.besideATunnel { stage, server in
            let mark = server.program.mark
            let stranger = try stage.visit(server.port)
            // A server that has already closed is no failure.
            try? stranger.send(garbage.bytes)
            #expect(stranger.awaitEnd(within: 5) != .none)
            try server.program.line(
                containing: "a connection ended before it was a tunnel connection", "address=127.0.0.1", "reason=",
                since: mark)
        }
    }

    @Test func `garbage inside TLS is answered 400`() throws {
        try self.besideATunnel { stage, server in
            let mark = server.program.mark
            let peer = try stage.start("python3", [Toolchain.peer("tls.py"), "\(server.port)"], opensInput: true)
            try peer.write("EHLO example.org\r\n\r\n")
            peer.closeInput()
            try peer.line(containing: "HTTP/1.1 400 ")
            try server.program.line(containing: "refused a connection", "reason=", since: mark)
        }
    }

    @Test(arguments: [
        Garbage(testDescription: "a line over the limit", bytes: "GET /\(String(repeating: "x", count: 20_000)) HTTP/1.1\r\nHost: localhost\r\n\r\n", status: "431"),
        Garbage(testDescription: "a field over the limit", bytes: "GET / HTTP/1.1\r\nX: \(String(repeating: "x", count: 9_000))\r\n\r\n", status: "431"),
        Garbage(testDescription: "too many fields", bytes: "GET / HTTP/1.1\r\n\(String(repeating: "A: b\r\n", count: 150))\r\n", status: "431"),
        Garbage(testDescription: "a browser", bytes: "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n", status: "426"),
        Garbage(testDescription: "POST", bytes: "POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n", status: "405"),
        Garbage(testDescription: "a blank before a colon", bytes: "GET / HTTP/1.1\r\nHost : localhost\r\n\r\n", status: "400"),
        Garbage(testDescription: "another version", bytes: "GET / HTTP/2.0\r\nHost: localhost\r\n\r\n", status: "505"),
        Garbage(testDescription: "bare line feeds", bytes: "GET / HTTP/1.1\nHost: localhost\n\n", status: "400"),
    ])
    func `a request that opens no tunnel is answered with why`(request: Garbage) throws {
        try self.besideATunnel("--plain") { stage, server in
            let mark = server.program.mark
            let stranger = try stage.visit(server.port)
            try stranger.send(request.bytes)
            let answer = String(decoding: try stranger.receiveToEnd(), as: UTF8.self)
            #expect(answer.hasPrefix("HTTP/1.1 \(request.status) "), "\(answer)")
            try server.program.line(containing: "refused a connection", "reason=", since: mark)
        }
    }

    @Test func `who connects and is silent is cut off after ten seconds, wherever it stopped`() throws {
        try self.besideATunnel("--plain") { stage, plain in
            let secure = try stage.server()
            let upgrade = RawWebSocket.request(key: stage.key)
            let start = Date()
            let strangers = [
                try stage.visit(secure.port), try stage.visit(plain.port), try stage.visit(plain.port),
                try RawWebSocket(to: plain, on: stage, greets: false).connection,
            ]
            // Inside the request; the last one is silent after its upgrade.
            try strangers[2].send(String(upgrade.dropLast(4)))
            for stranger in strangers { #expect(stranger.awaitEnd(within: 13) != .none) }
            let waited = Date().timeIntervalSince(start)
            #expect((9.0...12.5).contains(waited), "\(waited) s")
            for server in [plain, secure] { try server.program.line(containing: "reason=", "the handshake") }
        }
    }

    // MARK: After the upgrade

    /// A violation of the WebSocket protocol or of the tunnel protocol, and the code it is closed with.
    struct Violation: Sendable, CustomTestStringConvertible {
        let testDescription: String
        let code: Int
        var greets = true
        let send: @Sendable (RawWebSocket) throws -> Void
    }

    static let violations = [
        Violation(testDescription: "an unmasked frame", code: 1002) { try $0.send([0x04, 0, 0, 0, 0, 0, 0, 0, 0], isMasked: false) },
        Violation(testDescription: "a reserved bit", code: 1002) { try $0.send([0x03, 0], first: 0xC2) },
        Violation(testDescription: "a reserved opcode", code: 1002) { try $0.send([], first: 0x83) },
        Violation(testDescription: "a text message", code: 1003) { try $0.send(Array("hello".utf8), first: 0x81) },
        Violation(testDescription: "a ping of 126 bytes", code: 1002) { try $0.send(Array(repeating: 0, count: 126), first: 0x89) },
        Violation(testDescription: "a fragmented ping", code: 1002) { try $0.send([], first: 0x09) },
        Violation(testDescription: "a continuation of nothing", code: 1002) { try $0.send([1], first: 0x80) },
        Violation(testDescription: "an empty message", code: 4400) { try $0.send([]) },
        Violation(testDescription: "a frame type that must be understood", code: 4400) { try $0.send([0x40, 1, 2, 3]) },
        Violation(testDescription: "DATA for a stream never opened", code: 4400) { try $0.send([0x22, 0x08, 1, 2, 3]) },
        Violation(testDescription: "a RESET of a stream never opened", code: 4400) { try $0.send([0x24, 0x08, 0]) },
        Violation(testDescription: "an OPEN with a stream number of the server's", code: 4400) { try $0.send([0x20, 0x02, 0]) },
        Violation(testDescription: "an ACK of what was never sent", code: 4400) { try $0.send([0x03, 0x3F]) },
        Violation(testDescription: "HELLO twice", code: 4400) { try $0.send(RawWebSocket.hello) },
        Violation(testDescription: "WELCOME from a client", code: 4400) { try $0.send([0x02]) },
        Violation(testDescription: "LISTEN cut short", code: 4400) { try $0.send([0x10]) },
        Violation(testDescription: "a parameter longer than its frame", code: 4400) { try $0.send([0x10, 0, 0, 0x12, 0x3F, 1]) },
        Violation(testDescription: "a frame before the greeting", code: 4400, greets: false) { try $0.send([0x10, 0, 0]) },
        Violation(testDescription: "HELLO without its terms", code: 4400, greets: false) { try $0.send([0x01]) },
        Violation(testDescription: "a control frame longer than any", code: 4400) {
            try $0.send([0x10, 0, 0, 0x12, 0x7F, 0xFF] + Array(repeating: 65, count: 20_000))
        },
    ]

    @Test(arguments: violations)
    func `a broken rule ends its connection with a code and a line in the log`(violation: Violation) throws {
        try self.besideATunnel("--plain") { stage, server in
            let mark = server.program.mark
            let stranger = try RawWebSocket(to: server, on: stage, greets: violation.greets)
            try violation.send(stranger)
            #expect(try stranger.closeCode() == violation.code)
            try server.program.line(containing: "notice", "the peer broke the protocol", since: mark)
            #expect(stranger.connection.awaitEnd(within: 5) != .none)
        }
    }

    @Test func `a client that vanishes inside a frame is noticed at once`() throws {
        try self.besideATunnel("--plain") { stage, server in
            let mark = server.program.mark
            let stranger = try RawWebSocket(to: server, on: stage)
            try stranger.send([0x10, 0, 0], length: 100)
            stranger.connection.reset()
            try server.program.line(containing: "lost a connection", "reason=", since: mark)
        }
    }

    @Test func `frames that a later version may send are passed over`() throws {
        try self.besideATunnel("--plain") { stage, server in
            let stranger = try RawWebSocket(to: server, on: stage)
            for type in [0x0F, 0x1F, 0x3F] as [UInt8] { try stranger.send([type, 1, 2, 3]) }
            // PING is still answered, with its own eight bytes.
            try stranger.send([0x04, 1, 2, 3, 4, 5, 6, 7, 8])
            #expect(try stranger.message(0x05) == [0x05, 1, 2, 3, 4, 5, 6, 7, 8])
        }
    }

    @Test func `a greeting split into single bytes is understood`() throws {
        try self.besideATunnel("--plain") { stage, server in
            let stranger = try RawWebSocket(to: server, on: stage, greets: false)
            for byte in [0x82, 0x88, 0, 0, 0, 0] + RawWebSocket.hello { try stranger.connection.send([byte]) }
            #expect(try stranger.message(0x02).first == 0x02)
        }
    }

    @Test func `a tunnel given up and asked for again in one breath leaves no port behind`() throws {
        try self.besideATunnel("--plain", "--resume-window", "0s") { stage, server in
            let before = try server.program.descriptors()
            for _ in 1...5 {
                let mark = server.program.mark
                let stranger = try RawWebSocket(to: server, on: stage)
                // LISTEN, UNLISTEN, LISTEN, for tunnel 0, while its first port may not be open yet.
                try stranger.send(messages: [[0x10, 0, 0], [0x13, 0], [0x10, 0, 0]])
                try server.program.event("tunnel", since: mark)
                stranger.connection.close()
                try server.program.line(containing: "client disconnected", since: mark)
            }
            try eventually("\((try? server.program.descriptors()) ?? 0) descriptors are open, \(before) were") {
                try server.program.descriptors() <= before
            }
        }
    }
}
