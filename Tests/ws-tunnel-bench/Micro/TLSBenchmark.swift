import NIOCore
import OpenSSL

/// TLS between two connections in memory: what one core encrypts and decrypts.
enum TLSBenchmark {
    private static let bytes = 64 * 1024

    static func figures(_ meter: Meter) throws -> [MicroFigure] {
        let (certificate, key) = try SelfSignedCertificate.make(names: ["localhost"])
        let server = try TLSConnection(
            context: TLSContext(server: .pem(certificateChain: certificate, privateKey: key)), role: .server)
        let client = try TLSConnection(context: TLSContext(client: .unverified), role: .client(host: "localhost"))
        try Self.handshake(client, server)
        guard let negotiated = client.negotiated else { throw Failure("the TLS handshake was not completed") }

        let block = Block(count: Self.bytes)
        var plaintext = ByteBuffer()
        var spare = ByteBuffer()
        let both = try meter.rate {
            try client.encrypt(UnsafeRawBufferPointer(block.bytes))
            var ciphertext = client.takeOutbound(leaving: spare)
            plaintext.clear()
            _ = try server.receive(&ciphertext, into: &plaintext, limit: .max)
            spare = ciphertext
            return plaintext.readableBytes
        }
        let encryption = try meter.rate {
            try client.encrypt(UnsafeRawBufferPointer(block.bytes))
            client.outbound.clear()
            return Self.bytes
        }
        return [
            .speed("tlsEncrypt", "\(negotiated.version) \(negotiated.cipher), encrypting", encryption),
            .speed("tlsBoth", "\(negotiated.version) \(negotiated.cipher), encrypting and decrypting", both),
        ]
    }

    private static func handshake(_ client: TLSConnection, _ server: TLSConnection) throws {
        try client.start()
        var nothing = ByteBuffer()
        while client.outbound.readableBytes + server.outbound.readableBytes > 0 {
            var ciphertext = client.takeOutbound()
            _ = try server.receive(&ciphertext, into: &nothing, limit: Self.bytes)
            ciphertext = server.takeOutbound()
            _ = try client.receive(&ciphertext, into: &nothing, limit: Self.bytes)
        }
    }
}
