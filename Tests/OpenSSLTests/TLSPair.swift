import Foundation
import NIOCore
import Testing

import COpenSSL
@testable import OpenSSL

/// A generator that replays from its seed.
struct SplitMix64: RandomNumberGenerator {
    var state: UInt64

    init(seed: UInt64) {
        self.state = seed
    }

    mutating func next() -> UInt64 {
        self.state &+= 0x9e37_79b9_7f4a_7c15
        var value = self.state
        value = (value ^ (value >> 30)) &* 0xbf58_476d_1ce4_e5b9
        value = (value ^ (value >> 27)) &* 0x94d0_49bb_1331_11eb
        return value ^ (value >> 31)
    }

    /// Eight at a time: in a debug build this is what the tests would otherwise spend their time on.
    mutating func bytes(_ count: Int) -> [UInt8] {
        [UInt8](unsafeUninitializedCapacity: count + 8) { buffer, initialized in
            let raw = UnsafeMutableRawBufferPointer(buffer)
            for offset in stride(from: 0, to: count, by: 8) {
                raw.storeBytes(of: self.next(), toByteOffset: offset, as: UInt64.self)
            }
            initialized = count
        }
    }
}

/// A file that lives as long as this value.
final class TemporaryFile {
    let path: String

    init(_ text: String) throws {
        self.path = FileManager.default.temporaryDirectory.appendingPathComponent(UUID().uuidString + ".pem").path
        try Data(text.utf8).write(to: URL(fileURLWithPath: self.path))
    }

    deinit {
        try? FileManager.default.removeItem(atPath: self.path)
    }
}

/// One end of a connection, what it has received, and how it ended.
final class End {
    let connection: TLSConnection
    /// Ciphertext on its way here.
    var inbox = ByteBuffer()
    var plaintext = ByteBuffer()
    var failure: TLSFailure?
    var isClosed = false
    var limit = 65_536

    init(_ connection: TLSConnection) {
        self.connection = connection
    }

    /// Takes up to `count` bytes out of the inbox.
    func receive(_ count: Int) {
        guard var part = self.inbox.readSlice(length: min(count, self.inbox.readableBytes)) else { return }
        guard self.failure == nil else { return }
        do throws(TLSFailure) {
            while true {
                let before = self.plaintext.readableBytes
                let progress = try self.connection.receive(&part, into: &self.plaintext, limit: self.limit)
                #expect(self.plaintext.readableBytes - before <= self.limit)
                switch progress {
                case .limitReached: continue
                case .closed: self.isClosed = true
                case .wantsMore: break
                }
                #expect(part.readableBytes == 0)
                return
            }
        } catch {
            self.failure = error
        }
    }
}

/// A client and a server joined by two buffers.
final class TLSPair {
    let client: End
    let server: End

    init(client: TLSContext, server: TLSContext, host: String) throws {
        self.client = End(try TLSConnection(context: client, role: .client(host: host)))
        self.server = End(try TLSConnection(context: server, role: .server))
    }

    /// A pair that trusts and works.
    convenience init(_ version: TLSVersion = .tls13) throws {
        let (certificate, key) = try SelfSignedCertificate.make(names: ["localhost"])
        try self.init(
            client: TLSContext(client: .fingerprint(CertificateFingerprint(pem: certificate))),
            server: TLSContext(server: .pem(certificateChain: certificate, privateKey: key), maximumVersion: version),
            host: "localhost")
    }

    /// Carries ciphertext until both are quiet, in parts of the size that `part` says.
    func settle(_ part: () -> Int = { .max }) {
        while true {
            self.collect()
            guard self.client.inbox.readableBytes + self.server.inbox.readableBytes > 0 else { return }
            self.server.receive(part())
            self.collect()
            self.client.receive(part())
        }
    }

    func collect() {
        var sent = self.client.connection.takeOutbound()
        self.server.inbox.writeBuffer(&sent)
        sent = self.server.connection.takeOutbound()
        self.client.inbox.writeBuffer(&sent)
    }

    func handshake(_ part: () -> Int = { .max }) throws {
        try self.client.connection.start()
        self.settle(part)
        #expect(self.client.failure == nil)
        #expect(self.server.failure == nil)
        try #require(self.client.connection.isHandshakeComplete && self.server.connection.isHandshakeComplete)
    }
}

extension TLSConnection {
    func encrypt(_ bytes: [UInt8]) throws(TLSFailure) {
        let result = bytes.withUnsafeBytes { buffer in
            Result { () throws(TLSFailure) in try self.encrypt(buffer) }
        }
        try result.get()
    }
}

/// A private authority and what it issues.
struct Authority {
    let certificate: IssuedCertificate

    init(_ name: String = "authority.test", validFrom: Int = -1, validUntil: Int = 10) throws {
        let profile = CertificateProfile(
            names: [name], validFrom: validFrom, validUntil: validUntil, isAuthority: true)
        self.certificate = try IssuedCertificate(profile, key: .p256())
    }

    func server(
        _ names: [String], validFrom: Int = -1, validUntil: Int = 10, key: PrivateKey = .p256()
    ) throws -> TLSContext {
        let profile = CertificateProfile(names: names, validFrom: validFrom, validUntil: validUntil)
        let issued = try IssuedCertificate(profile, key: key, signedBy: self.certificate)
        return try TLSContext(server: .pem(certificateChain: issued.pem, privateKey: key.pem))
    }

    /// A client that trusts this authority.
    func client() throws -> TLSContext {
        let file = try TemporaryFile(self.certificate.pem)
        return try TLSContext(client: .authorities(extra: [file.path]))
    }
}

extension PrivateKey {
    static func rsa2048() -> PrivateKey {
        PrivateKey(shim_EVP_RSA_gen(2_048))
    }

    func encryptedPEM(passphrase: String) -> String {
        let bytes = Array(passphrase.utf8)
        return PEM.text {
            PEM_write_bio_PrivateKey($0, self.pointer, EVP_aes_256_cbc(), bytes, Int32(bytes.count), nil, nil)
        }
    }
}
