import COpenSSL
import NIOCore
import Testing

@testable import OpenSSL

@Suite struct TLSConnectionTests {
    @Test(arguments: [
        (TLSVersion.tls12, "TLSv1.2", "ECDHE-ECDSA-AES128-GCM-SHA256"),
        (.tls13, "TLSv1.3", "TLS_AES_128_GCM_SHA256"),
    ])
    func `both ends agree on the version, AES-128 and HTTP/1.1`(
        version: TLSVersion, name: String, cipher: String
    ) throws {
        let pair = try TLSPair(version)
        #expect(pair.client.connection.negotiated == nil)
        try pair.handshake()
        for end in [pair.client, pair.server] {
            #expect(end.connection.negotiated?.version == name)
            #expect(end.connection.negotiated?.cipher == cipher)
            #expect(end.connection.applicationProtocol == "http/1.1")
        }
        #expect(pair.client.connection.peerCertificate?.subject == "CN=localhost")
        #expect(pair.server.connection.peerCertificate == nil)
        #expect(pair.server.connection.requestedServerName == "localhost")
    }

    @Test func `a certificate with an RSA key serves too`() throws {
        let authority = try Authority()
        let pair = try TLSPair(
            client: authority.client(), server: authority.server(["localhost"], key: .rsa2048()), host: "localhost")
        try pair.handshake()
    }

    @Test(arguments: 0..<24 as Range<UInt64>)
    func `megabytes arrive whole however the ciphertext is split and the limit is set`(seed: UInt64) throws {
        var random = SplitMix64(seed: seed)
        let pair = try TLSPair(seed % 2 == 0 ? .tls13 : .tls12)
        try pair.handshake { Int.random(in: 1...1_000, using: &random) }
        pair.server.limit = [1_000, 16_384, 20_000, 65_536][Int(seed / 2 % 4)]
        pair.client.limit = Int.random(in: 1...40_000, using: &random)

        var (up, down) = (ByteBuffer(), ByteBuffer())
        while up.readableBytes < 1 << 20 {
            let message = random.bytes(Int.random(in: 1...100_000, using: &random))
            try pair.client.connection.encrypt(message)
            up.writeBytes(message)
            let answer = random.bytes(Int.random(in: 0...message.count, using: &random))
            try pair.server.connection.encrypt(answer)
            down.writeBytes(answer)
            pair.settle { Int.random(in: 1...50_000, using: &random) }
        }
        #expect(pair.server.plaintext == up, "seed \(seed)")
        #expect(pair.client.plaintext == down, "seed \(seed)")
        #expect(pair.client.failure == nil && pair.server.failure == nil, "seed \(seed)")
    }

    @Test(arguments: [TLSVersion.tls12, .tls13])
    func `one byte at a time is enough`(version: TLSVersion) throws {
        let pair = try TLSPair(version)
        try pair.handshake { 1 }
        try pair.client.connection.encrypt(Array("ping".utf8))
        pair.settle { 1 }
        try pair.server.connection.encrypt(Array("pong".utf8))
        pair.settle { 1 }
        #expect(String(buffer: pair.server.plaintext) == "ping")
        #expect(String(buffer: pair.client.plaintext) == "pong")
    }

    @Test func `at the limit the rest is kept, in the ciphertext and in the engine`() throws {
        let pair = try TLSPair()
        try pair.handshake()
        let sent = (0..<40_000).map { UInt8(truncatingIfNeeded: $0 / 7) }
        try pair.client.connection.encrypt(sent)
        var ciphertext = pair.client.connection.takeOutbound()
        var plaintext = ByteBuffer()
        let server = pair.server.connection

        // 40,000 bytes are records of 16,384, 16,384 and 7,232.
        #expect(try server.receive(&ciphertext, into: &plaintext, limit: 20_000) == .limitReached)
        #expect(plaintext.readableBytes == 20_000)
        #expect(ciphertext.readableBytes > 7_232)
        #expect(try server.receive(&ciphertext, into: &plaintext, limit: 19_000) == .limitReached)
        #expect(ciphertext.readableBytes == 0)
        // Nothing but what the engine holds is left.
        #expect(try server.receive(&ciphertext, into: &plaintext, limit: 999) == .limitReached)
        #expect(try server.receive(&ciphertext, into: &plaintext, limit: 999) == .wantsMore)
        #expect(plaintext.readableBytesView.elementsEqual(sent))
    }

    @Test func `reaching the limit with the last byte is no reason to call again`() throws {
        let pair = try TLSPair()
        try pair.handshake()
        try pair.client.connection.encrypt([UInt8](repeating: 7, count: 65_536))
        var ciphertext = pair.client.connection.takeOutbound()
        var plaintext = ByteBuffer()
        #expect(try pair.server.connection.receive(&ciphertext, into: &plaintext, limit: 65_536) == .wantsMore)
        #expect(plaintext.readableBytes == 65_536)
    }

    @Test func `a recycled buffer with enough room is not reallocated`() throws {
        let pair = try TLSPair()
        try pair.handshake()
        var recycled = ByteBufferAllocator().buffer(capacity: 131_072)
        recycled.writeString("left over")
        _ = pair.client.connection.takeOutbound(leaving: recycled)
        #expect(pair.client.connection.outbound.readableBytes == 0)
        #expect(pair.client.connection.outbound.capacity == 131_072)
    }

    @Test(arguments: [TLSVersion.tls12, .tls13])
    func `closing one direction leaves the other open`(version: TLSVersion) throws {
        let pair = try TLSPair(version)
        try pair.handshake()
        try pair.client.connection.encrypt(Array("last words".utf8))
        pair.client.connection.close()
        pair.client.connection.close()
        pair.settle()
        #expect(pair.server.isClosed)
        #expect(String(buffer: pair.server.plaintext) == "last words")
        guard version == .tls13 else { return }  // TLS 1.2 answers a close at once (RFC 5246 §7.2.1).

        try pair.server.connection.encrypt(Array("an answer".utf8))
        pair.server.connection.close()
        pair.settle()
        #expect(String(buffer: pair.client.plaintext) == "an answer")
        #expect(pair.client.isClosed)
    }

    @Test func `what follows a close_notify is discarded`() throws {
        let pair = try TLSPair()
        try pair.handshake()
        pair.client.connection.close()
        pair.collect()
        pair.server.inbox.writeString("trailing bytes that are no TLS")
        pair.settle()
        #expect(pair.server.isClosed)
        #expect(pair.server.failure == nil)
    }

    @Test func `sending keys are replaced after enough records, in both directions`() throws {
        let pair = try TLSPair()
        try pair.handshake()
        for end in [pair.client, pair.server] { end.connection.recordsPerKey = 8 }
        let (fromClient, fromServer) = (KeyUpdates(sentBy: pair.client), KeyUpdates(sentBy: pair.server))
        let block = [UInt8](repeating: 42, count: 65_536)
        for _ in 0..<10 {
            try pair.client.connection.encrypt(block)
            try pair.server.connection.encrypt(block)
            pair.settle()
        }
        #expect(pair.client.failure == nil && pair.server.failure == nil)
        #expect(pair.client.plaintext.readableBytes == 655_360)
        #expect(pair.server.plaintext.readableBytes == 655_360)
        // Ten blocks of four records, two blocks to a key: a new one before the third, fifth, seventh and ninth.
        #expect(fromClient.count == 4)
        #expect(fromServer.count == 4)
    }

    @Test func `a request for new keys is answered`() throws {
        let pair = try TLSPair()
        try pair.handshake()
        let answers = KeyUpdates(sentBy: pair.server)
        #expect(SSL_key_update(pair.client.connection.ssl, SSL_KEY_UPDATE_REQUESTED) == 1)
        for _ in 0..<3 {
            try pair.client.connection.encrypt([1, 2, 3])
            pair.settle()
            try pair.server.connection.encrypt([4, 5, 6])
            pair.settle()
        }
        #expect(answers.count == 1)
        #expect(pair.server.plaintext.readableBytesView.elementsEqual([1, 2, 3, 1, 2, 3, 1, 2, 3]))
        #expect(pair.client.plaintext.readableBytesView.elementsEqual([4, 5, 6, 4, 5, 6, 4, 5, 6]))
        #expect(pair.client.failure == nil && pair.server.failure == nil)
    }

    /// Each asks for an answer, and nobody reads those.
    @Test func `who asks for new keys without end is cut`() throws {
        let pair = try TLSPair()
        try pair.handshake()
        let client = pair.client.connection
        for _ in 0..<50_000 where pair.server.failure == nil {
            #expect(SSL_key_update(client.ssl, SSL_KEY_UPDATE_REQUESTED) == 1)
            try client.encrypt([1])
            var records = client.takeOutbound()
            pair.server.inbox.writeBuffer(&records)
            pair.server.receive(.max)
        }
        #expect(pair.server.failure == .other("the other side asks for answers without end"))
        #expect(pair.server.connection.outbound.readableBytes <= (1 << 20) + 100)
    }

    @Test func `nothing is resumable`() throws {
        for version in [TLSVersion.tls12, .tls13] {
            let pair = try TLSPair(version)
            try pair.handshake()
            let session = SSL_get_session(pair.client.connection.ssl)
            #expect(SSL_SESSION_has_ticket(session) == 0)
        }
    }

    @Test func `encrypting nothing sends nothing`() throws {
        let pair = try TLSPair()
        try pair.handshake()
        try pair.client.connection.encrypt([])
        #expect(pair.client.connection.outbound.readableBytes == 0)
    }
}

/// Counts the KeyUpdate messages (RFC 8446 §4.6.3) that one end sends from now on.
private final class KeyUpdates {
    private(set) var count = 0
    private let end: End

    init(sentBy end: End) {
        self.end = end
        let ssl = end.connection.ssl
        SSL_set_msg_callback(ssl) { isSent, _, contentType, message, length, _, counter in
            let keyUpdate: UInt8 = 24
            guard isSent == 1, contentType == SSL3_RT_HANDSHAKE, length > 0, let message, let counter,
                message.load(as: UInt8.self) == keyUpdate
            else { return }
            Unmanaged<KeyUpdates>.fromOpaque(counter).takeUnretainedValue().count += 1
        }
        SSL_ctrl(ssl, SSL_CTRL_SET_MSG_CALLBACK_ARG, 0, Unmanaged.passUnretained(self).toOpaque())
    }

    deinit {
        SSL_set_msg_callback(self.end.connection.ssl, nil)
    }
}
