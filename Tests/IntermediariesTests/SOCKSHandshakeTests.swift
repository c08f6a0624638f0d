import Intermediaries
import struct NIOCore.ByteBuffer
import Testing
import TunnelProtocol

@Suite struct SOCKSHandshakeTests {
    private let credentials = ProxyCredentials(user: "user", password: "p@ss:w0rd")

    private func handshake(
        _ destination: SOCKSHandshake.Destination = .name("tunnel.example.com"), _ credentials: ProxyCredentials? = nil
    ) throws -> SOCKSHandshake {
        try #require(SOCKSHandshake(destination: destination, port: 443, credentials: credentials))
    }

    private func feed(_ handshake: inout SOCKSHandshake, _ bytes: [UInt8]) throws -> ProxyProgress {
        var buffer = ByteBuffer(bytes: bytes)
        let progress = try handshake.receive(&buffer)
        #expect(buffer.readableBytes == 0)
        return progress
    }

    private static let request: [UInt8] = [5, 1, 0, 3, 18] + Array("tunnel.example.com".utf8) + [0x01, 0xBB]
    private static let reply: [UInt8] = [5, 0, 0, 1, 0, 0, 0, 0, 0, 0]

    @Test func `without credentials only no authentication is offered, and the proxy gets the name`() throws {
        var handshake = try self.handshake()
        #expect(handshake.start() == ByteBuffer(bytes: [5, 1, 0]))
        #expect(try self.feed(&handshake, [5, 0]) == .send(ByteBuffer(bytes: Self.request)))
        #expect(try self.feed(&handshake, Self.reply + [1, 2, 3]) == .established)
    }

    @Test func `with credentials the proxy chooses whether it wants them`() throws {
        var handshake = try self.handshake(.name("tunnel.example.com"), self.credentials)
        #expect(handshake.start() == ByteBuffer(bytes: [5, 2, 0, 2]))
        let login = [1, 4] + Array("user".utf8) + [9] + Array("p@ss:w0rd".utf8)
        #expect(try self.feed(&handshake, [5, 2]) == .send(ByteBuffer(bytes: login)))
        #expect(try self.feed(&handshake, [1, 0]) == .send(ByteBuffer(bytes: Self.request)))
        var open = try self.handshake(.name("tunnel.example.com"), self.credentials)
        #expect(try self.feed(&open, [5, 0]) == .send(ByteBuffer(bytes: Self.request)))
    }

    @Test func `addresses go as addresses`() throws {
        var four = try self.handshake(.address(.v4(0xC000_0207)))
        #expect(try self.feed(&four, [5, 0]) == .send(ByteBuffer(bytes: [5, 1, 0, 1, 192, 0, 2, 7, 1, 0xBB])))
        var six = try self.handshake(.address(.v6(Opaque16(high: 0x2001_0DB8 << 32, low: 7))))
        let address: [UInt8] = [0x20, 0x01, 0x0D, 0xB8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 7]
        #expect(try self.feed(&six, [5, 0]) == .send(ByteBuffer(bytes: [5, 1, 0, 4] + address + [1, 0xBB])))
    }

    @Test func `a name has 1 to 255 bytes`() {
        #expect(SOCKSHandshake(destination: .name(""), port: 1, credentials: nil) == nil)
        #expect(SOCKSHandshake(destination: .name(String(repeating: "a", count: 255)), port: 1, credentials: nil) != nil)
        #expect(SOCKSHandshake(destination: .name(String(repeating: "a", count: 256)), port: 1, credentials: nil) == nil)
    }

    @Test(arguments: [
        [5, 0, 0, 1, 1, 2, 3, 4, 5, 6], [5, 0, 0, 3, 0, 1, 2], [5, 0, 0, 3, 3, 97, 98, 99, 1, 2],
        [5, 0, 0, 4, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 1, 2],
    ] as [[UInt8]])
    func `a reply of every address type is read to its end, byte by byte`(reply: [UInt8]) throws {
        var handshake = try self.handshake()
        #expect(try self.feed(&handshake, [5]) == .wantsMore)
        #expect(try self.feed(&handshake, [0]) == .send(ByteBuffer(bytes: Self.request)))
        for byte in reply.dropLast() { #expect(try self.feed(&handshake, [byte]) == .wantsMore) }
        #expect(try self.feed(&handshake, [reply[reply.count - 1]]) == .established)
    }

    @Test func `every reply code has words, and a refusal needs no rest`() throws {
        let codes: [(UInt8, SOCKSReply)] = [
            (1, .generalFailure), (2, .notAllowed), (3, .networkUnreachable), (4, .hostUnreachable), (5, .connectionRefused),
            (6, .timeToLiveExpired), (7, .commandNotSupported), (8, .addressTypeNotSupported), (9, .other(9)), (255, .other(255)),
        ]
        for (code, reply) in codes {
            var handshake = try self.handshake()
            _ = try self.feed(&handshake, [5, 0])
            #expect(throws: ProxyRefusal.reply(reply)) { try self.feed(&handshake, [5, code]) }
            #expect(throws: ProxyRefusal.reply(reply)) { try self.feed(&handshake, Self.reply) }
            #expect(!reply.sentence.isEmpty)
        }
        #expect(!SOCKSReply.notAllowed.mayPass && SOCKSReply.connectionRefused.mayPass)
    }

    @Test func `what is refused, or not SOCKS 5, is told apart`() throws {
        func failure(_ answers: [[UInt8]], _ credentials: ProxyCredentials? = nil) throws -> ProxyRefusal? {
            var handshake = try self.handshake(.name("a"), credentials)
            do {
                for answer in answers { _ = try self.feed(&handshake, answer) }
                return nil
            } catch let error as ProxyRefusal {
                return error
            }
        }
        #expect(try failure([Array("HTTP/1.1 400".utf8)]) == .notSOCKS)
        #expect(try failure([[5, 0xFF]]) == .noAcceptableMethod)
        // What was not offered is not accepted.
        #expect(try failure([[5, 2]]) == .noAcceptableMethod)
        #expect(try failure([[5, 2], [1, 1]], self.credentials) == .wrongCredentials)
        #expect(try failure([[5, 0], [4, 0]]) == .notSOCKS)
        #expect(try failure([[5, 0], [5, 0, 0, 2, 0]]) == .notSOCKS)
    }
}
