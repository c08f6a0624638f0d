import Testing
import WebSocketProtocol

import struct NIOCore.ByteBuffer

/// How permessage-deflate is agreed on (RFC 7692 §5 and §7.1), as both ends of the opening handshake write it.
@Suite struct CompressionHandshakeTests {
    // MARK: The server

    /// What a server answers to an offer, as the whole field, and what it then holds.
    private static func answer(
        _ offers: [String], wanted: PermessageDeflate? = PermessageDeflate()
    ) throws -> (field: String?, agreed: PermessageDeflate?) {
        let lines = [
            "GET / HTTP/1.1", "Host: a", "Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Version: 13",
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
        ]
        let head = lines + offers.map { "Sec-WebSocket-Extensions: \($0)" }
        var bytes = ByteBuffer(string: head.joined(separator: "\r\n") + "\r\n\r\n")
        var handshake = ServerHandshake()
        let request = try #require(try handshake.receive(&bytes))
        let upgrade = try WebSocketUpgrade(request)
        var answer = ByteBuffer()
        let agreed = try upgrade.encodeAcceptance(subprotocol: nil, compression: wanted, into: &answer)
        let field = answer.text.split(separator: "\r\n").first { $0.hasPrefix("Sec-WebSocket-Extensions: ") }
        return (field.map { String($0.dropFirst(26)) }, agreed)
    }

    @Test(arguments: [
        ("permessage-deflate", "permessage-deflate"),
        ("permessage-deflate; client_max_window_bits", "permessage-deflate"),
        ("permessage-deflate; client_max_window_bits=10", "permessage-deflate; client_max_window_bits=10"),
        ("permessage-deflate; client_max_window_bits=\"10\"", "permessage-deflate; client_max_window_bits=10"),
        ("permessage-deflate; client_max_window_bits=\"1\\0\"", "permessage-deflate; client_max_window_bits=10"),
        ("permessage-deflate;server_max_window_bits=9", "permessage-deflate; server_max_window_bits=9"),
        ("permessage-deflate;server_max_window_bits=8", "permessage-deflate; server_max_window_bits=8"),
        ("permessage-deflate; server_max_window_bits=15", "permessage-deflate; server_max_window_bits=15"),
        ("permessage-deflate ; server_no_context_takeover", "permessage-deflate; server_no_context_takeover"),
        (
            "permessage-deflate; client_no_context_takeover; server_no_context_takeover",
            "permessage-deflate; server_no_context_takeover; client_no_context_takeover"
        ),
        // The first offer that can be accepted.
        ("permessage-deflate; unknown, permessage-deflate", "permessage-deflate"),
        (
            "x-webkit-deflate-frame, permessage-deflate; server_max_window_bits=10, permessage-deflate",
            "permessage-deflate; server_max_window_bits=10"
        ),
        (", ,permessage-deflate,", "permessage-deflate"),
    ])
    func `an offer is accepted`(offer: String, answer: String) throws {
        let (field, agreed) = try Self.answer([offer])
        #expect(field == answer)
        #expect(agreed != nil)
    }

    @Test(arguments: [
        "permessage-bzip2", "Permessage-Deflate", "permessage-deflate; unknown", "permessage-deflate; unknown=1",
        "permessage-deflate; server_no_context_takeover=1",
        "permessage-deflate; server_no_context_takeover; server_no_context_takeover",
        "permessage-deflate; client_no_context_takeover=true", "permessage-deflate; server_max_window_bits",
        "permessage-deflate; server_max_window_bits=7", "permessage-deflate; server_max_window_bits=16",
        "permessage-deflate; server_max_window_bits=09", "permessage-deflate; server_max_window_bits=+9",
        "permessage-deflate; server_max_window_bits=10; server_max_window_bits=10",
        "permessage-deflate; client_max_window_bits; client_max_window_bits=9",
        "permessage-deflate; client_max_window_bits=0", "permessage-deflate; client_max_window_bits=99999999999999999999",
    ])
    func `an offer is declined`(offer: String) throws {
        let (field, agreed) = try Self.answer([offer])
        #expect(field == nil)
        #expect(agreed == nil)
    }

    @Test func `offers over several fields are one list`() throws {
        let (field, _) = try Self.answer(["permessage-deflate; unknown", "permessage-deflate; server_max_window_bits=12"])
        #expect(field == "permessage-deflate; server_max_window_bits=12")
    }

    @Test(arguments: [
        "permessage-deflate;", "permessage-deflate; ;", "permessage-deflate; a=", "permessage-deflate; a=\"", ";a",
        "permessage-deflate; a=\"b c\"", "permessage-deflate; a=\"\"", "permessage-deflate a", "permessage-deflate; =1",
        "permessage-deflate; a=\"b\"c", "permessage-deflate; a=\"b\\", "\"permessage-deflate\"",
    ])
    func `a field that does not follow the grammar fails the handshake`(offer: String) {
        #expect(throws: UpgradeRefusal.extensions) { try Self.answer([offer]) }
        #expect(throws: UpgradeRefusal.extensions) { try Self.answer([offer], wanted: nil) }
    }

    @Test func `a server without compression declines`() throws {
        let (field, agreed) = try Self.answer(["permessage-deflate"], wanted: nil)
        #expect(field == nil)
        #expect(agreed == nil)
    }

    @Test func `a server asks for what it wants, as far as the client knows it`() throws {
        let wanted = PermessageDeflate(
            server: .init(noContextTakeover: true, maxWindowBits: 12),
            client: .init(noContextTakeover: true, maxWindowBits: 11))
        let (field, agreed) = try Self.answer(["permessage-deflate; client_max_window_bits"], wanted: wanted)
        #expect(
            field == "permessage-deflate; server_no_context_takeover; client_no_context_takeover"
                + "; server_max_window_bits=12; client_max_window_bits=11")
        #expect(agreed == wanted)

        let (_, without) = try Self.answer(["permessage-deflate; server_max_window_bits=10"], wanted: wanted)
        #expect(without?.client.maxWindowBits == 15, "RFC 7692 §7.1.2.2: it was not offered")
        #expect(without?.server.maxWindowBits == 10)
    }

    // MARK: The client

    private static func handshake(_ compression: PermessageDeflate?) throws -> ClientHandshake {
        try ClientHandshake(host: "a", path: "/", compression: compression, nonce: Array("the sample nonce".utf8))
    }

    /// What a client makes of a server's answer.
    private static func accepted(_ answers: [String], offered: PermessageDeflate?) throws -> PermessageDeflate? {
        var handshake = try self.handshake(offered)
        let lines = [
            "HTTP/1.1 101 Switching Protocols", "Upgrade: websocket", "Connection: Upgrade",
            "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=",
        ]
        let head = lines + answers.map { "Sec-WebSocket-Extensions: \($0)" }
        var bytes = ByteBuffer(string: head.joined(separator: "\r\n") + "\r\n\r\n")
        return try #require(try handshake.receive(&bytes)).compression
    }

    @Test func `an offer says what the client wants`() throws {
        let request = try Self.handshake(PermessageDeflate()).request.text
        #expect(request.contains("Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n"))
        let narrow = PermessageDeflate(
            server: .init(noContextTakeover: true, maxWindowBits: 10),
            client: .init(noContextTakeover: true, maxWindowBits: 9))
        #expect(
            try Self.handshake(narrow).request.text.contains(
                "Sec-WebSocket-Extensions: permessage-deflate; server_no_context_takeover; client_no_context_takeover"
                    + "; server_max_window_bits=10; client_max_window_bits=9\r\n"))
        #expect(try !Self.handshake(nil).request.text.contains("Sec-WebSocket-Extensions"))
    }

    @Test func `an answer within the offer is accepted`() throws {
        #expect(try Self.accepted([], offered: PermessageDeflate()) == nil)
        #expect(try Self.accepted(["permessage-deflate"], offered: PermessageDeflate()) == PermessageDeflate())
        let agreed = try Self.accepted(
            ["permessage-deflate; server_no_context_takeover; server_max_window_bits=9; client_max_window_bits=8"],
            offered: PermessageDeflate(
                server: .init(noContextTakeover: true, maxWindowBits: 10), client: .init(noContextTakeover: true)))
        #expect(
            agreed == PermessageDeflate(
                server: .init(noContextTakeover: true, maxWindowBits: 9),
                client: .init(noContextTakeover: true, maxWindowBits: 8)))
    }

    @Test(arguments: [
        ([""], .extensionNotOffered), (["permessage-bzip2"], .extensionNotOffered),
        (["permessage-deflate, permessage-deflate"], .extensionNotOffered),
        (["permessage-deflate", "permessage-deflate"], .extensionNotOffered),
        (["permessage-deflate; a=\""], .extensionNotOffered), (["permessage-deflate; unknown"], .compression),
        (["permessage-deflate; client_max_window_bits"], .compression),
        (["permessage-deflate; client_max_window_bits=16"], .compression),
        (["permessage-deflate; server_no_context_takeover; server_no_context_takeover"], .compression),
    ] as [([String], ClientHandshakeError)])
    func `an answer beyond the offer is refused`(answers: [String], reason: ClientHandshakeError) {
        #expect(throws: reason) { try Self.accepted(answers, offered: PermessageDeflate()) }
    }

    @Test(arguments: ["permessage-deflate", "permessage-deflate; server_max_window_bits=11"])
    func `a server that does not grant what was asked of it is refused`(answer: String) {
        let narrow = PermessageDeflate(server: .init(maxWindowBits: 10))
        #expect(throws: ClientHandshakeError.compression) { try Self.accepted([answer], offered: narrow) }
        let alone = PermessageDeflate(server: .init(noContextTakeover: true))
        #expect(throws: ClientHandshakeError.compression) { try Self.accepted([answer], offered: alone) }
    }
}
