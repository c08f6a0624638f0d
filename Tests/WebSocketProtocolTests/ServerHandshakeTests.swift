import Testing
import WebSocketProtocol

import struct NIOCore.ByteBuffer

@Suite struct ServerHandshakeTests {
    /// RFC 6455 §1.3, with the field of §1.9.
    private static let lines = [
        "GET /chat HTTP/1.1", "Host: server.example.com", "Upgrade: websocket", "Connection: Upgrade",
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==", "Origin: http://example.com",
        "Sec-WebSocket-Protocol: chat, superchat", "Sec-WebSocket-Version: 13",
    ]

    private static func upgrade(_ lines: [String]) throws -> WebSocketUpgrade {
        var handshake = ServerHandshake()
        var bytes = ByteBuffer(string: lines.joined(separator: "\r\n") + "\r\n\r\n")
        return try WebSocketUpgrade(try #require(try handshake.receive(&bytes)))
    }

    /// The sample with one line replaced, removed or added.
    private static func sample(_ line: String, _ replacement: String?...) -> [String] {
        let index = self.lines.firstIndex { $0.hasPrefix(line) }!
        return Array(self.lines[..<index]) + replacement.compactMap(\.self) + Array(self.lines[(index + 1)...])
    }

    @Test func `the sample request of RFC 6455 is accepted as in the RFC`() throws {
        let upgrade = try Self.upgrade(Self.lines)
        #expect(upgrade.path == "/chat")
        #expect(upgrade.authority.host == "server.example.com")
        #expect(upgrade.subprotocols == ["chat", "superchat"])
        var answer = ByteBuffer()
        try upgrade.encodeAcceptance(subprotocol: "chat", into: &answer)
        #expect(
            answer.text == """
                HTTP/1.1 101 Switching Protocols\r
                Upgrade: websocket\r
                Connection: Upgrade\r
                Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r
                Sec-WebSocket-Protocol: chat\r
                \r

                """)
    }

    @Test(arguments: [
        ("GET", "GET http://SERVER.example.com/chat HTTP/1.1"), ("GET", "GET /chat HTTP/1.2"),
        ("Upgrade", "upgrade: h2c, WebSocket"), ("Connection", "connection: keep-alive, UPGRADE"),
        ("Connection", "Connection: keep-alive\r\nConnection: upgrade"), ("Origin", "Content-Length: 0"),
        ("Sec-WebSocket-Protocol", "Sec-WebSocket-Protocol: chat\r\nSec-WebSocket-Protocol: superchat"),
    ])
    func `what the RFCs allow is accepted`(line: String, replacement: String) throws {
        let upgrade = try Self.upgrade(Self.sample(line, replacement))
        #expect(upgrade.path == "/chat")
        #expect(upgrade.authority == Authority("server.example.com"))
        #expect(upgrade.subprotocols == ["chat", "superchat"])
    }

    @Test(
        arguments: [
            ("GET", "POST /chat HTTP/1.1", UpgradeRefusal.method), ("GET", "get /chat HTTP/1.1", .method),
            ("GET", "GET /chat HTTP/1.0", .httpVersion), ("GET", "GET * HTTP/1.1", .target),
            ("GET", "GET chat HTTP/1.1", .target), ("GET", "GET ftp://server.example.com/ HTTP/1.1", .target),
            ("GET", "GET http://other.example.com/chat HTTP/1.1", .host), ("GET", "GET http:///chat HTTP/1.1", .host),
            ("Host", nil, .host), ("Host", "Host:", .host), ("Host", "Host: a\r\nHost: a", .host),
            ("Host", "Host: a, b", .host), ("Host", "Host: user@a", .host), ("Host", "Host: a:+1", .host),
            ("Host", "Host: a:65536", .host), ("Host", "Host: a/b", .host),
            ("Origin", "Content-Length: 1", .body), ("Origin", "Content-Length: 0, 0", .body),
            ("Origin", "Content-Length: 00", .body), ("Origin", "Transfer-Encoding: chunked", .body),
            ("Origin", "Transfer-Encoding: identity", .body),
            ("Upgrade", nil, .upgrade), ("Upgrade", "Upgrade: h2c", .upgrade),
            ("Upgrade", "Upgrade: websockets", .upgrade),
            ("Connection", nil, .connection), ("Connection", "Connection: close", .connection),
            ("Connection", "Connection: no-upgrade", .connection),
            ("Sec-WebSocket-Version", nil, .version), ("Sec-WebSocket-Version", "Sec-WebSocket-Version: 8", .version),
            ("Sec-WebSocket-Version", "Sec-WebSocket-Version: 13, 8", .version),
            ("Sec-WebSocket-Version", "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Version: 13", .version),
            ("Sec-WebSocket-Key", nil, .key), ("Sec-WebSocket-Key", "Sec-WebSocket-Key: AAAA", .key),
            (
                "Sec-WebSocket-Key",
                "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==", .key
            ),
            ("Sec-WebSocket-Protocol", "Sec-WebSocket-Protocol: a, a", .subprotocols),
            ("Sec-WebSocket-Protocol", "Sec-WebSocket-Protocol: a b", .subprotocols),
        ] as [(String, String?, UpgradeRefusal)])
    func `what the RFCs forbid is refused for its own reason`(
        line: String, replacement: String?, refusal: UpgradeRefusal
    ) {
        #expect(throws: refusal) { try Self.upgrade(Self.sample(line, replacement)) }
    }

    @Test func `a refusal for the version says which one is spoken`() throws {
        var answer = ByteBuffer()
        try UpgradeRefusal.version.response.encode(into: &answer)
        #expect(
            answer.text == """
                HTTP/1.1 426 Upgrade Required\r
                Upgrade: websocket\r
                Sec-WebSocket-Version: 13\r
                Content-Type: text/plain; charset=utf-8\r
                Connection: close, Upgrade\r
                Content-Length: 44\r
                \r
                only version 13 of WebSocket is spoken here

                """)
    }

    @Test(arguments: [
        UpgradeRefusal.method, .httpVersion, .host, .target, .body, .upgrade, .connection, .version, .key,
        .subprotocols,
    ])
    func `every refusal can be read by a client`(refusal: UpgradeRefusal) throws {
        var answer = ByteBuffer()
        try refusal.response.encode(into: &answer)
        var parser = HeadParser<ResponseHead>()
        let head = try #require(try parser.receive(&answer))
        #expect(head.status == refusal.response.status)
        #expect(head.fields.list("Connection", contains: "close"))
        #expect(head.fields.only("Content-Length") == String(answer.readableBytes))
        #expect(answer.text == refusal.sentence + "\n")
    }

    @Test(arguments: [
        ("A", "b\r\nC: d"), ("A", "b\rc"), ("A", "b\nc"), ("A", "b\u{0}"), ("A", " b"), ("A", "b "), ("A", "\u{7F}"),
    ])
    func `a value that would become another field is not written`(name: String, value: String) throws {
        var answer = ByteBuffer()
        let response = Response(status: 400, reason: "Bad Request", fields: ["Ok": "ok", "\(name)": "\(value)"])
        #expect(throws: UnwritableField(name: "A", part: .value)) { try response.encode(into: &answer) }
        let upgrade = try Self.upgrade(Self.lines)
        #expect(throws: UnwritableField(name: "A", part: .value)) {
            try upgrade.encodeAcceptance(subprotocol: nil, fields: ["\(name)": "\(value)"], into: &answer)
        }
        #expect(answer.readableBytes == 0)
    }

    @Test(arguments: ["", "A B", "A:", "A\r\n", "Ä", "A\u{0}"])
    func `a name that is not a token is not written`(name: String) {
        var answer = ByteBuffer()
        let response = Response(status: 400, reason: "Bad Request", fields: ["\(name)": "b"])
        #expect(throws: UnwritableField.self) { try response.encode(into: &answer) }
        #expect(answer.readableBytes == 0)
    }

    @Test func `a reason that would become a field is not written`() {
        var answer = ByteBuffer()
        let response = Response(status: 400, reason: "Bad\r\nA: b")
        #expect(throws: UnwritableField.self) { try response.encode(into: &answer) }
    }

    @Test(
        arguments: [
            ("a", "a", nil), ("A.Example", "a.example", nil), ("a:", "a", nil), ("a:80", "a", 80),
            ("[::1]", "::1", nil),
            ("[FE80::1]:8443", "fe80::1", 8443), ("127.0.0.1:65535", "127.0.0.1", 65535),
        ] as [(String, String, UInt16?)])
    func `an authority is a host and perhaps a port`(text: String, host: String, port: UInt16?) {
        let authority = Authority(text)
        #expect(authority?.host == host)
        #expect(authority?.port == port)
    }

    @Test(arguments: [
        "", ":80", "[::1", "[]", "[1]", "[::1]80", "[::1]:x", "a:b", "a:-1", "a:99999", "a b", "a@b", "::1", "ä", "a,b",
    ])
    func `anything else is no authority`(text: String) {
        #expect(Authority(text) == nil)
    }

    @Test(arguments: 0..<2000 as Range<UInt64>)
    func `a damaged request never traps, and whatever it gets can be written`(seed: UInt64) throws {
        var random = SplitMix64(seed: seed)
        var text = Array((Self.lines.joined(separator: "\r\n") + "\r\n\r\n").utf8)
        for _ in 0..<Int.random(in: 1...3, using: &random) {
            let at = Int.random(in: text.indices, using: &random)
            if Bool.random(using: &random) {
                text[at] = UInt8.random(in: 0x20...0x7E, using: &random)
            } else {
                text.insert("[]:,/ %@=0".utf8.randomElement(using: &random)!, at: at)
            }
        }
        var handshake = ServerHandshake()
        var bytes = ByteBuffer(bytes: text)
        var answer = ByteBuffer()
        do throws(HeadError) {
            guard let request = try handshake.receive(&bytes) else { return }
            do throws(UpgradeRefusal) {
                let upgrade = try WebSocketUpgrade(request)
                _ = try? upgrade.encodeAcceptance(subprotocol: upgrade.subprotocols.first, into: &answer)
            } catch {
                try? error.response.encode(into: &answer)
            }
        } catch {
            try? Response(error).encode(into: &answer)
        }
        #expect(answer.text.hasPrefix("HTTP/1.1 "), "seed \(seed)")
    }
}
