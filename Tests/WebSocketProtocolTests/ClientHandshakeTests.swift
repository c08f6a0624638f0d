import Testing
import WebSocketProtocol

import struct NIOCore.ByteBuffer

@Suite struct ClientHandshakeTests {
    private static let nonce = Array("the sample nonce".utf8)
    private static let lines = [
        "HTTP/1.1 101 Switching Protocols", "Upgrade: websocket", "Connection: Upgrade",
        "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=", "Sec-WebSocket-Protocol: chat",
    ]

    private static func handshake(
        subprotocols: [String] = ["chat", "superchat"], requiresSubprotocol: Bool = true
    ) throws -> ClientHandshake {
        try ClientHandshake(
            host: "server.example.com", path: "/chat", subprotocols: subprotocols, nonce: self.nonce,
            requiresSubprotocol: requiresSubprotocol)
    }

    private static func sample(_ line: String, _ replacement: String?) -> String {
        let lines = self.lines.flatMap { $0.hasPrefix(line) ? [replacement].compactMap(\.self) : [$0] }
        return lines.joined(separator: "\r\n") + "\r\n\r\n"
    }

    @Test func `the request is that of RFC 6455`() throws {
        let handshake = try ClientHandshake(
            host: "server.example.com", path: "/chat", subprotocols: ["chat", "superchat"],
            extraFields: ["Authorization": "Bearer secret"], nonce: Self.nonce)
        #expect(
            handshake.request.text == """
                GET /chat HTTP/1.1\r
                Host: server.example.com\r
                Upgrade: websocket\r
                Connection: Upgrade\r
                Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r
                Sec-WebSocket-Version: 13\r
                Sec-WebSocket-Protocol: chat, superchat\r
                Authorization: Bearer secret\r
                \r

                """)
    }

    @Test func `the sample answer is accepted wherever it is cut, and the first frames are left`() throws {
        let answer = Array(Self.sample("none", nil).utf8)
        for pieces in everySplit(answer) where !pieces[pieces.count - 1].isEmpty {
            var handshake = try Self.handshake()
            for piece in pieces.dropLast() {
                var bytes = ByteBuffer(bytes: piece)
                #expect(try handshake.receive(&bytes) == nil)
                #expect(bytes.readableBytes == 0)
            }
            var bytes = ByteBuffer(bytes: pieces[pieces.count - 1] + [0x82, 0x00])
            #expect(try handshake.receive(&bytes)?.subprotocol == "chat")
            #expect(bytes.bytes == [0x82, 0x00])
        }
    }

    @Test(
        arguments: [
            ("HTTP", "HTTP/1.0 101 Switching Protocols", ClientHandshakeError.httpVersion), ("Upgrade", nil, .upgrade),
            ("HTTP", "SSH-2.0", .malformed(.malformedStartLine)),
            ("Upgrade", "Upgrade: websocket\r\nUpgrade: websocket", .upgrade), ("Upgrade", "Upgrade: h2c", .upgrade),
            ("Connection", nil, .connection), ("Connection", "Connection: close", .connection),
            ("Sec-WebSocket-Accept", nil, .acceptKey),
            ("Sec-WebSocket-Accept", "Sec-WebSocket-Accept: dGhlIHNhbXBsZSBub25jZQ==", .acceptKey),
            ("Sec-WebSocket-Accept", "Sec-WebSocket-Accept: S3PPLMBiTxaQ9kYGzzhZRbK+xOo=", .acceptKey),
            ("Sec-WebSocket-Protocol", nil, .noSubprotocol),
            ("Sec-WebSocket-Protocol", "Sec-WebSocket-Protocol: Chat", .subprotocolNotOffered("Chat")),
            (
                "Sec-WebSocket-Protocol", "Sec-WebSocket-Protocol: chat, superchat",
                .subprotocolNotOffered("chat, superchat")
            ),
            (
                "Sec-WebSocket-Protocol", "Sec-WebSocket-Protocol: chat\r\nSec-WebSocket-Protocol: chat",
                .subprotocolNotOffered("chat, chat")
            ),
            ("Connection", "Connection: Upgrade\r\nSec-WebSocket-Extensions: permessage-deflate", .extensionNotOffered),
        ] as [(String, String?, ClientHandshakeError)])
    func `an answer that breaks a rule is refused for its own reason`(
        line: String, replacement: String?, reason: ClientHandshakeError
    ) throws {
        var handshake = try Self.handshake()
        var bytes = ByteBuffer(string: Self.sample(line, replacement))
        #expect(throws: reason) { try handshake.receive(&bytes) }
    }

    @Test func `no subprotocol is accepted where none is required`() throws {
        var handshake = try Self.handshake(requiresSubprotocol: false)
        var bytes = ByteBuffer(string: Self.sample("Sec-WebSocket-Protocol", nil))
        let accepted = try #require(try handshake.receive(&bytes))
        #expect(accepted.subprotocol == nil)
    }

    @Test func `interim responses are read past, up to a limit`() throws {
        let interim = "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"
        var handshake = try Self.handshake()
        var bytes = ByteBuffer(string: String(repeating: interim, count: 8) + Self.sample("none", nil))
        #expect(try handshake.receive(&bytes) != nil)

        var other = try Self.handshake()
        bytes = ByteBuffer(string: String(repeating: interim, count: 9))
        #expect(throws: ClientHandshakeError.tooManyInterimResponses) { try other.receive(&bytes) }
    }

    private func refusal(_ text: String) throws -> RefusedUpgrade? {
        var handshake = try Self.handshake()
        var bytes = ByteBuffer(string: text)
        do throws(ClientHandshakeError) {
            _ = try handshake.receive(&bytes)
        } catch {
            if case .refused(let refusal) = error { return refusal }
        }
        return nil
    }

    @Test func `another status tells who answered, and what, without terminal escapes`() throws {
        let answer = """
            HTTP/1.1 503 Service Unavailable\r
            Server: nginx/1.22.1\r
            Retry-After: 120\r
            Set-Cookie: secret=1\r
            Content-Type: text/html\r
            \r
            <h1>503\u{1B}[31m\r
              Down\u{202E}</h1>\u{7}
            """
        let refusal = try #require(try self.refusal(answer))
        #expect(refusal.status == 503)
        #expect(refusal.reason == "Service Unavailable")
        #expect(refusal.fields == ["Server": "nginx/1.22.1", "Retry-After": "120"])
        #expect(refusal.body == "<h1>503[31m Down</h1>")
        #expect(refusal.sentence == "refused by nginx/1.22.1 with status 503 (Service Unavailable)")
    }

    @Test func `a refusal with fields longer than any request's is read to its end`() throws {
        let long = String(repeating: "x", count: 40_000)
        let refusal = try #require(try self.refusal(
            "HTTP/1.1 302 Found\r\nContent-Security-Policy: \(long)\r\nLocation: https://login.example.com/\r\nX: \(long)\r\n\r\n"))
        #expect(refusal.status == 302)
        #expect(refusal.fields == ["Location": "https://login.example.com/"])
    }

    @Test(arguments: [
        ("Content-Type: text/plain\r\n", "hello", "hello"), ("", "hello", "hello"),
        ("Content-Type: application/problem+json; charset=utf-8\r\n", "{}", "{}"),
        ("Content-Type:\r\n", "hello", ""), ("Content-Type: ;\r\n", "hello", ""),
        ("Content-Type: image/png\r\n", "hello", ""), ("Content-Encoding: gzip\r\n", "hello", ""),
        ("Transfer-Encoding: chunked\r\n", "5\r\nhello\r\n0\r\n\r\n", "hello 0"),
        ("", String(repeating: "x", count: 1000), String(repeating: "x", count: 512)),
        ("", String(repeating: "x", count: 511) + "é", String(repeating: "x", count: 511)),
    ])
    func `a text body is shown, its start`(fields: String, body: String, shown: String) throws {
        let refusal = try #require(try self.refusal("HTTP/1.1 403 Forbidden\r\n\(fields)\r\n\(body)"))
        #expect(refusal.body == shown)
    }

    @Test(
        arguments: [
            ("a b", "/", ["a"], [:], .host), ("a\r\nB: c", "/", [], [:], .host),
            ("user@a", "/", [], [:], .host), ("", "/", [], [:], .host), ("a", "", [], [:], .path),
            ("a", "b", [], [:], .path),
            ("a", "/b c", [], [:], .path), ("a", "/\r\nB: c", [], [:], .path), ("a", "/#b", [], [:], .path),
            ("a", "/", ["b c"], [:], .subprotocol), ("a", "/", ["b", "b"], [:], .subprotocol),
            ("a", "/", [""], [:], .subprotocol), ("a", "/", [], ["hOST": "b"], .ownField(name: "hOST")),
            ("a", "/", [], ["Sec-WebSocket-Foo": "b"], .ownField(name: "Sec-WebSocket-Foo")),
            (
                "a", "/", [], ["Authorization": "Bearer key\n"],
                .field(UnwritableField(name: "Authorization", part: .value))
            ),
            ("a", "/", [], ["A\r\nB": "c"], .field(UnwritableField(name: "A\r\nB", part: .name))),
        ] as [(String, String, [String], HTTPFields, UnwritableRequest)])
    func `what cannot be written is refused before anything is`(
        _ host: String, _ path: String, _ subprotocols: [String], _ fields: HTTPFields, _ reason: UnwritableRequest
    ) {
        #expect(throws: reason) {
            try ClientHandshake(
                host: host, path: path, subprotocols: subprotocols, extraFields: fields, nonce: Self.nonce)
        }
    }

    @Test func `an error about a value does not repeat it`() {
        let error = UnwritableRequest.field(UnwritableField(name: "Authorization", part: .value))
        #expect(error.sentence == "the value of Authorization has a control character in it, or a blank at one end")
    }

    @Test func `what a client asks, a server understands`() throws {
        let client = try Self.handshake()
        var server = ServerHandshake()
        var request = client.request
        let upgrade = try WebSocketUpgrade(try #require(try server.receive(&request)))
        var answer = ByteBuffer()
        try upgrade.encodeAcceptance(subprotocol: "superchat", fields: ["X-Node": "a"], into: &answer)
        var handshake = client
        let accepted = try #require(try handshake.receive(&answer))
        #expect(accepted.subprotocol == "superchat")
        #expect(accepted.fields.only("x-node") == "a")
    }

    @Test(arguments: 0..<2000 as Range<UInt64>)
    func `a damaged answer never traps`(seed: UInt64) throws {
        var random = SplitMix64(seed: seed)
        let samples = [
            Self.sample("none", nil), "HTTP/1.1 403 No\r\nServer: x\r\nContent-Type: text/plain\r\n\r\nbody",
        ]
        var bytes = Array(samples.randomElement(using: &random)!.utf8)
        for _ in 0..<Int.random(in: 1...4, using: &random) {
            bytes[Int.random(in: bytes.indices, using: &random)] = UInt8.random(in: .min ... .max, using: &random)
        }
        var handshake = try Self.handshake()
        for piece in randomPieces(bytes, longest: 40, using: &random) {
            var piece = ByteBuffer(bytes: piece)
            do throws(ClientHandshakeError) {
                if try handshake.receive(&piece) != nil { break }
            } catch {
                #expect(!error.sentence.isEmpty)
                break
            }
        }
    }
}
