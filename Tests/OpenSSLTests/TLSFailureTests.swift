import COpenSSL
import NIOCore
import Testing

@testable import OpenSSL

@Suite struct TLSFailureTests {
    /// A ClientHello that offers TLS 1.1 at most, as a client of 2010 would send it.
    private let clientHello11: [UInt8] =
        [
            0x16, 0x03, 0x01, 0x00, 0x2f,  // record: handshake, 47 bytes
            0x01, 0x00, 0x00, 0x2b,  // ClientHello, 43 bytes
            0x03, 0x02,  // TLS 1.1
        ] + [UInt8](repeating: 0x5a, count: 32) + [  // random
            0x00,  // no session
            0x00, 0x04, 0xc0, 0x09, 0xc0, 0x13,  // ECDHE with AES-128-CBC and SHA-1, ECDSA and RSA
            0x01, 0x00,  // no compression
        ]

    /// The answer of a server that knows TLS 1.1 at most.
    private let serverHello11: [UInt8] =
        [
            0x16, 0x03, 0x02, 0x00, 0x2a,  // record: handshake, 42 bytes
            0x02, 0x00, 0x00, 0x26,  // ServerHello, 38 bytes
            0x03, 0x02,  // TLS 1.1
        ] + [UInt8](repeating: 0x5a, count: 32) + [  // random
            0x00,  // no session
            0xc0, 0x09,  // ECDHE-ECDSA-AES128-SHA
            0x00,  // no compression
        ]

    @Test func `a server refuses TLS 1.1 with an alert`() throws {
        let pair = try TLSPair()
        pair.server.inbox.writeBytes(self.clientHello11)
        pair.server.receive(.max)
        #expect(pair.server.failure == .protocolVersion)
        // Alert record: fatal (2), protocol_version (70).
        #expect(pair.server.connection.outbound.readableBytesView.suffix(4).elementsEqual([0x00, 0x02, 0x02, 0x46]))
    }

    @Test func `a client refuses a server of TLS 1.1 with an alert`() throws {
        let pair = try TLSPair()
        try pair.client.connection.start()
        _ = pair.client.connection.takeOutbound()
        pair.client.inbox.writeBytes(self.serverHello11)
        pair.client.receive(.max)
        #expect(pair.client.failure == .protocolVersion)
        #expect(pair.client.connection.outbound.readableBytesView.suffix(4).elementsEqual([0x00, 0x02, 0x02, 0x46]))
    }

    @Test func `a client that is told of an unsupported version passes the words on`() throws {
        let pair = try TLSPair()
        try pair.client.connection.start()
        pair.client.inbox.writeBytes([0x15, 0x03, 0x01, 0x00, 0x02, 0x02, 0x46])
        pair.client.receive(.max)
        #expect(pair.client.failure == .peerAlert(TLSAlert(code: 70)))
        #expect(pair.client.failure?.description == "the other side refused: unsupported protocol version")
    }

    @Test(arguments: [
        "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n", "POST / HTTP/1.1\r\n\r\n", "CONNECT a:443 HTTP/1.1\r\n\r\n",
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "SSH-2.0-OpenSSH_9.2\r\n", "PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n",
    ])
    func `a server tells another protocol from TLS`(greeting: String) throws {
        let pair = try TLSPair()
        pair.server.inbox.writeString(greeting)
        pair.server.receive(.max)
        #expect(pair.server.failure == .notTLS)
    }

    @Test(arguments: ["HTTP/1.1 400 Bad Request\r\n\r\n", "SSH-2.0-OpenSSH_9.2\r\n", "220 mail.example.org ESMTP\r\n"])
    func `a client tells another protocol from TLS`(greeting: String) throws {
        let pair = try TLSPair()
        try pair.client.connection.start()
        pair.client.inbox.writeString(greeting)
        pair.client.receive(.max)
        #expect(pair.client.failure == .notTLS)
    }

    @Test func `a close in the middle of the handshake is named so`() throws {
        let pair = try TLSPair()
        try pair.client.connection.start()
        pair.client.inbox.writeBytes([0x15, 0x03, 0x01, 0x00, 0x02, 0x01, 0x00])  // warning, close_notify
        pair.client.receive(.max)
        #expect(pair.client.failure == .closedDuringHandshake)
    }

    @Test func `damage to an established connection is not taken for another protocol`() throws {
        let pair = try TLSPair()
        try pair.handshake()
        pair.server.inbox.writeString("HTTP/1.1 400 Bad Request\r\n\r\n")
        pair.server.receive(.max)
        guard case .other = pair.server.failure else {
            Issue.record("\(String(describing: pair.server.failure))")
            return
        }
    }

    @Test func `a flipped bit ends the connection on both sides and stays the reason`() throws {
        let pair = try TLSPair()
        try pair.handshake()
        try pair.client.connection.encrypt(Array("precious".utf8))
        pair.collect()
        let last = pair.server.inbox.writerIndex - 1
        let byte = try #require(pair.server.inbox.getInteger(at: last, as: UInt8.self))
        pair.server.inbox.setInteger(byte ^ 1, at: last)
        pair.settle()
        let failure = try #require(pair.server.failure)
        #expect(pair.server.plaintext.readableBytes == 0)
        #expect(pair.client.failure == .peerAlert(TLSAlert(code: 20)))
        #expect(throws: failure) { try pair.server.connection.encrypt([1]) }
        var nothing = ByteBuffer()
        var plaintext = ByteBuffer()
        #expect(throws: failure) { try pair.server.connection.receive(&nothing, into: &plaintext, limit: 1) }
    }

    @Test func `a client that offers only another application protocol is refused`() throws {
        let pair = try TLSPair()
        #expect(SSL_set_alpn_protos(pair.client.connection.ssl, [2, 0x68, 0x32], 3) == 0)  // "h2"
        try pair.client.connection.start()
        pair.settle()
        #expect(pair.client.failure == .peerAlert(TLSAlert(code: 120)))
        #expect(pair.client.failure?.description == "the other side refused: no common application protocol")
    }

    @Test func `HTTP/1.1 is found behind other offers, and a client without ALPN is served`() throws {
        let several = try TLSPair()
        let offer: [UInt8] = [2, 0x68, 0x32, 8] + Array("http/1.1".utf8)
        #expect(SSL_set_alpn_protos(several.client.connection.ssl, offer, UInt32(offer.count)) == 0)
        try several.handshake()
        #expect(several.server.connection.applicationProtocol == "http/1.1")

        let none = try TLSPair()
        #expect(SSL_set_alpn_protos(none.client.connection.ssl, nil, 0) == 0)
        try none.handshake()
        #expect(none.server.connection.applicationProtocol == nil)
    }

    @Test(arguments: 0..<400 as Range<UInt64>)
    func `garbage is refused or waited out, never trapped on`(seed: UInt64) throws {
        var random = SplitMix64(seed: seed)
        let pair = try TLSPair(seed % 2 == 0 ? .tls13 : .tls12)
        try pair.client.connection.start()
        // Some rounds are honest; then one flight is mutated, or replaced by noise that begins like a record.
        for round in 0..<6 {
            pair.collect()
            for end in [pair.server, pair.client] where Int.random(in: 0..<3, using: &random) == 0 || round == 5 {
                if Bool.random(using: &random), end.inbox.readableBytes > 0 {
                    for _ in 0..<Int.random(in: 1...4, using: &random) {
                        let index = end.inbox.readerIndex + Int.random(in: 0..<end.inbox.readableBytes, using: &random)
                        end.inbox.setInteger(UInt8.random(in: 0...255, using: &random), at: index)
                    }
                } else {
                    end.inbox.writeBytes([[0x16, 0x14, 0x15, 0x17].randomElement(using: &random) ?? 0x16, 0x03, 0x03])
                    end.inbox.writeBytes(random.bytes(Int.random(in: 0...20_000, using: &random)))
                }
            }
            pair.server.receive(.max)
            pair.collect()
            pair.client.receive(.max)
        }
        #expect(pair.server.plaintext.readableBytes == 0, "seed \(seed)")
        #expect(pair.client.plaintext.readableBytes == 0, "seed \(seed)")
    }
}
