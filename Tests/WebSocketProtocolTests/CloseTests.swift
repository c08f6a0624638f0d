import Testing
import WebSocketProtocol

import struct NIOCore.ByteBuffer

/// The closing handshake, RFC 6455 §7.
@Suite struct CloseTests {
    private static func key(_ role: WebSocketConnection.Role) -> MaskingKey? {
        role == .client ? MaskingKey(0x0102_0304) : nil
    }

    private static func close(
        _ connection: inout WebSocketConnection, _ code: CloseCode?, reason: String = ""
    ) -> ByteBuffer? {
        var bytes = ByteBuffer()
        let key = self.key(connection.role)
        guard connection.encodeClose(code, reason: reason, maskingKey: key, into: &bytes) else {
            #expect(bytes.readableBytes == 0)
            return nil
        }
        return bytes
    }

    @Test(arguments: [WebSocketConnection.Role.client, .server])
    func `one end closes and the other answers with the same code`(role: WebSocketConnection.Role) throws {
        var first = WebSocketConnection(role: role)
        var second = WebSocketConnection(role: role == .client ? .server : .client)
        try second.receive(try #require(Self.close(&first, .goingAway, reason: "bye")))
        #expect(!first.canSend)
        #expect(!first.isClosed)
        #expect(second.nextEvent() == .closed(.goingAway, reason: "bye"))
        #expect(second.canSend)
        #expect(!second.isClosed)
        try first.receive(try #require(Self.close(&second, .goingAway)))
        #expect(second.isClosed)
        #expect(first.nextEvent() == .closed(.goingAway, reason: ""))
        #expect(first.isClosed)
        #expect(Self.close(&first, .goingAway) == nil)
    }

    @Test func `both ends close at once`() throws {
        var client = WebSocketConnection(role: .client)
        var server = WebSocketConnection(role: .server)
        let fromClient = try #require(Self.close(&client, .normalClosure))
        let fromServer = try #require(Self.close(&server, .goingAway))
        try client.receive(fromServer)
        try server.receive(fromClient)
        #expect(client.isClosed)
        #expect(server.isClosed)
        #expect(Self.close(&client, .goingAway) == nil, "ours was first")
        #expect(Self.close(&server, .normalClosure) == nil, "ours was first")
    }

    @Test func `after our Close the peer is still heard, and its pings are not answered`() throws {
        var server = WebSocketConnection(role: .server)
        _ = Self.close(&server, .goingAway)
        try server.receive(ByteBuffer(bytes: hex("82 81 00000000 61  89 81 00000000 70")))
        #expect(
            server.nextEvent()
                == .payload(MessagePart(kind: .binary, bytes: ByteBuffer(string: "a"), isFirst: true, isLast: true)))
        #expect(server.nextEvent() == .ping(ByteBuffer(string: "p")))
        var bytes = ByteBuffer()
        server.encodePong(ByteBuffer(string: "p"), maskingKey: nil, into: &bytes)
        server.encodePing(ByteBuffer(), maskingKey: nil, into: &bytes)
        #expect(bytes.readableBytes == 0)
    }

    @Test func `a violation is answered with its code, and ends the connection at once`() throws {
        var server = WebSocketConnection(role: .server)
        var bytes = ByteBuffer()
        do throws(WebSocketViolation) {
            try server.receive(ByteBuffer(bytes: hex("82 01 61")))
            Issue.record("nothing was thrown")
        } catch {
            #expect(error == WebSocketViolation(.protocolError, "a client's frame is not masked"))
            #expect(!server.isClosed)
            server.encodeClose(error, maskingKey: nil, into: &bytes)
        }
        #expect(bytes.bytes == hex("88 20 03 ea") + Array("a client's frame is not masked".utf8))
        #expect(server.isClosed)
        try server.receive(ByteBuffer(bytes: hex("83 00")))
    }

    @Test func `a violation after our Close ends the connection`() {
        var server = WebSocketConnection(role: .server)
        _ = Self.close(&server, .goingAway)
        #expect(throws: WebSocketViolation.self) { try server.receive(ByteBuffer(bytes: hex("83 00"))) }
        #expect(server.isClosed)
        #expect(Self.close(&server, .protocolError) == nil)
    }

    @Test func `a message that was begun may be finished after the peer's Close`() throws {
        var server = WebSocketConnection(role: .server)
        var bytes = ByteBuffer()
        server.encode(.binary, ByteBuffer(string: "a"), isLast: false, maskingKey: nil, into: &bytes)
        try server.receive(ByteBuffer(bytes: hex("88 80 00000000")))
        server.encode(.binary, ByteBuffer(string: "b"), maskingKey: nil, into: &bytes)
        server.encodeClose(nil, maskingKey: nil, into: &bytes)
        #expect(bytes.bytes == hex("02 01 61  80 01 62  88 00"))
        #expect(server.isClosed)
    }

    @Test func `a long reason is cut between two characters`() throws {
        var client = WebSocketConnection(role: .client)
        var server = WebSocketConnection(role: .server)
        let bytes = try #require(
            Self.close(&server, .internalServerError, reason: "a" + String(repeating: "€", count: 50)))
        #expect(bytes.readableBytes == 2 + 2 + 1 + 40 * 3)
        try client.receive(bytes)
        let reason = "a" + String(repeating: "€", count: 40)
        #expect(client.nextEvent() == .closed(.internalServerError, reason: reason))
    }

    @Test func `the frames of a message are a first one and continuations`() {
        var client = WebSocketConnection(role: .client)
        let key = MaskingKey(0x0102_0304)
        let first = client.header(for: .binary, length: 1, isLast: false, maskingKey: key)
        #expect(first.opcode == .binary)
        let second = client.header(for: .binary, length: 1, isLast: false, maskingKey: key)
        #expect(second.opcode == .continuation)
        var bytes = ByteBuffer()
        client.encodePing(ByteBuffer(), maskingKey: key, into: &bytes)
        let last = client.header(for: .binary, length: 1, maskingKey: key)
        #expect(last.opcode == .continuation)
        #expect(last.isFinal)
        let next = client.header(for: .text, length: 1, maskingKey: key)
        #expect(next.opcode == .text)
    }
}
