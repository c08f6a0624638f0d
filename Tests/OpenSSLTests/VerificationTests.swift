import Foundation
import NIOCore
import Testing

@testable import OpenSSL

@Suite struct VerificationTests {
    private let authority: Authority

    init() throws {
        self.authority = try Authority()
    }

    @Test(arguments: [
        (["localhost"], "localhost"), (["LocalHost"], "localhost"), (["tunnel.example.org"], "tunnel.example.org."),
        (["*.example.org"], "tunnel.example.org"), (["192.0.2.1"], "192.0.2.1"), (["2001:db8::1"], "[2001:db8::1]"),
        (["other.example", "::1"], "0:0:0:0:0:0:0:1"),
    ])
    func `a certificate of a known authority for the host is accepted`(names: [String], host: String) throws {
        let pair = try TLSPair(client: self.authority.client(), server: self.authority.server(names), host: host)
        try pair.handshake()
    }

    @Test(arguments: [
        (["other.example"], "localhost"), (["*.example.org"], "example.org"), (["*.example.org"], "a.b.example.org"),
        (["tunnel.example.org"], "example.org"), (["192.0.2.1"], "192.0.2.2"), (["localhost"], "127.0.0.1"),
        (["127.0.0.1"], "localhost"), (["2001:db8::1"], "2001:db8::2"),
    ])
    func `a certificate for another host is refused, with its names`(names: [String], host: String) throws {
        let refusal = try refusal(client: self.authority.client(), server: self.authority.server(names), host: host)
        #expect(refusal.reason == .wrongHost(names: names))
        #expect(refusal.issuer == "CN=authority.test")
    }

    @Test func `a server name is asked for by name only`() throws {
        let pair = try TLSPair(
            client: self.authority.client(), server: self.authority.server(["127.0.0.1"]), host: "127.0.0.1")
        try pair.handshake()
        #expect(pair.server.connection.requestedServerName == nil)
    }

    @Test func `an expired certificate is refused, with its date`() throws {
        let server = try self.authority.server(["localhost"], validFrom: -10, validUntil: -1)
        let refusal = try refusal(client: self.authority.client(), server: server)
        #expect(refusal.reason == .expired)
        #expect(refusal.description == "the certificate of CN=localhost expired on \(refusal.certificate.validUntil)")
        #expect(refusal.certificate.validUntil.hasSuffix("Z"))
    }

    @Test func `a certificate that is not valid yet is refused`() throws {
        let server = try self.authority.server(["localhost"], validFrom: 1)
        #expect(try refusal(client: self.authority.client(), server: server).reason == .notYetValid)
    }

    @Test func `an expired authority is the one at fault`() throws {
        let authority = try Authority("old.authority.test", validFrom: -10, validUntil: -1)
        let server = try authority.server(["localhost"])
        let refusal = try refusal(client: authority.client(), server: server)
        #expect(refusal.reason == .expired)
        #expect(refusal.subject == "CN=old.authority.test")
        #expect(refusal.presented == server.certificate?.fingerprint)
    }

    @Test func `an unknown authority is refused`() throws {
        let client = try TLSContext(client: .authorities())
        let server = try self.authority.server(["localhost"])
        let refusal = try refusal(client: client, server: server)
        #expect(refusal.reason == .unknownAuthority)
        #expect(refusal.subject == "CN=localhost")
        #expect(refusal.issuer == "CN=authority.test")
    }

    @Test func `an authority of the same name and another key is unknown`() throws {
        let refusal = try refusal(client: Authority().client(), server: self.authority.server(["localhost"]))
        #expect(refusal.reason == .unknownAuthority)
    }

    @Test func `a certificate signed by one that is no authority is refused`() throws {
        let leafKey = PrivateKey.p256()
        let leaf = try IssuedCertificate(
            CertificateProfile(names: ["leaf.example"]), key: leafKey, signedBy: self.authority.certificate)
        let key = PrivateKey.p256()
        let forged = try IssuedCertificate(CertificateProfile(names: ["localhost"]), key: key, signedBy: leaf)
        let server = try TLSContext(server: .pem(certificateChain: forged.pem + leaf.pem, privateKey: key.pem))
        let refusal = try refusal(client: self.authority.client(), server: server)
        #expect(refusal.subject == "CN=leaf.example")
    }

    @Test func `an intermediate is sent along with the certificate`() throws {
        let profile = CertificateProfile(names: ["intermediate.test"], isAuthority: true)
        let intermediate = try IssuedCertificate(profile, key: .p256(), signedBy: self.authority.certificate)
        let key = PrivateKey.p256()
        let leaf = try IssuedCertificate(CertificateProfile(names: ["localhost"]), key: key, signedBy: intermediate)
        let server = try TLSContext(server: .pem(certificateChain: leaf.pem + intermediate.pem, privateKey: key.pem))
        try TLSPair(client: self.authority.client(), server: server, host: "localhost").handshake()

        let alone = try TLSContext(server: .pem(certificateChain: leaf.pem, privateKey: key.pem))
        #expect(try refusal(client: self.authority.client(), server: alone).reason == .unknownAuthority)
    }

    @Test func `a self-signed certificate is refused, and accepted as a file of authorities`() throws {
        let (certificate, key) = try SelfSignedCertificate.make(names: ["localhost"])
        let server = try TLSContext(server: .pem(certificateChain: certificate, privateKey: key))
        let refusal = try refusal(client: TLSContext(client: .authorities()), server: server)
        #expect(refusal.reason == .selfSigned)
        #expect(try refusal.presented == CertificateFingerprint(pem: certificate))

        let file = try TemporaryFile(certificate)
        let client = try TLSContext(client: .authorities(extra: [file.path]))
        try TLSPair(client: client, server: server, host: "localhost").handshake()
        // Trusted is not enough: it must be for this host.
        let wrongHost = try OpenSSLTests.refusal(client: client, server: server, host: "other.example")
        #expect(wrongHost.reason == .wrongHost(names: ["localhost"]))
    }

    @Test func `a fingerprint accepts its certificate whatever else is wrong with it`() throws {
        let server = try self.authority.server(["other.example"], validFrom: -10, validUntil: -1)
        let fingerprint = try #require(server.certificate?.fingerprint)
        let exact = try TLSContext(client: .fingerprint(fingerprint))
        try TLSPair(client: exact, server: server, host: "localhost").handshake()
        let lenient = try TLSContext(client: .authoritiesOr(fingerprint: fingerprint))
        try TLSPair(client: lenient, server: server, host: "localhost").handshake()
    }

    @Test func `a fingerprint refuses every other certificate, known authority or not`() throws {
        let wanted = try #require(self.authority.server(["localhost"]).certificate?.fingerprint)
        let server = try self.authority.server(["localhost"])
        let presented = try #require(server.certificate?.fingerprint)
        let refusal = try refusal(client: TLSContext(client: .fingerprint(wanted)), server: server)
        #expect(refusal.reason == .fingerprintMismatch(presented: presented))
        #expect(refusal.presented == presented)
    }

    @Test func `a fingerprint beside authorities leaves their rules for other certificates`() throws {
        let other = try #require(Authority().server(["localhost"]).certificate?.fingerprint)
        let file = try TemporaryFile(self.authority.certificate.pem)
        let client = try TLSContext(client: .authoritiesOr(fingerprint: other, extra: [file.path]))
        try TLSPair(client: client, server: self.authority.server(["localhost"]), host: "localhost").handshake()
        let refusal = try refusal(client: client, server: self.authority.server(["other.example"]))
        #expect(refusal.reason == .wrongHost(names: ["other.example"]))
    }

    /// As a shell gives it for `--ca-file <(command)`.
    @Test func `a file of authorities may be a pipe`() throws {
        let pipe = Pipe()
        try pipe.fileHandleForWriting.write(contentsOf: Data((Authority().certificate.pem + self.authority.certificate.pem).utf8))
        try pipe.fileHandleForWriting.close()
        let client = try TLSContext(client: .authorities(extra: ["/dev/fd/\(pipe.fileHandleForReading.fileDescriptor)"]))
        try TLSPair(client: client, server: self.authority.server(["localhost"]), host: "localhost").handshake()
    }

    /// In a process of its own: the environment is shared by all tests of this one.
    @Test func `SSL_CERT_FILE names the system's authorities`() async {
        await #expect(processExitsWith: .success) {
            let authority = try Authority()
            let file = try TemporaryFile(authority.certificate.pem)
            setenv("SSL_CERT_FILE", file.path, 1)
            let client = try TLSContext(client: .authorities())
            try TLSPair(client: client, server: authority.server(["localhost"]), host: "localhost").handshake()
        }
    }

    /// The system's file is read only when the other authorities do not suffice; then all of them count.
    @Test func `an authority of the same name in another file does not hide the system's`() async {
        await #expect(processExitsWith: .success) {
            let (authority, namesake) = (try Authority(), try Authority())
            let (file, extra) = (try TemporaryFile(authority.certificate.pem), try TemporaryFile(namesake.certificate.pem))
            setenv("SSL_CERT_FILE", file.path, 1)
            let client = try TLSContext(client: .authorities(extra: [extra.path]))
            for server in [namesake, authority, namesake] {
                try TLSPair(client: client, server: server.server(["localhost"]), host: "localhost").handshake()
            }
            let refused = try refusal(client: client, server: authority.server(["other.example"]))
            try #require(refused.reason == .wrongHost(names: ["other.example"]))
            try #require(refusal(client: client, server: Authority().server(["localhost"])).reason == .unknownAuthority)
        }
    }

    @Test func `unverified accepts anything`() throws {
        let server = try self.authority.server(["other.example"], validFrom: -10, validUntil: -1)
        try TLSPair(client: TLSContext(client: .unverified), server: server, host: "localhost").handshake()
    }
}

/// Runs a handshake that the client must refuse, in both versions, and checks that the server hears of it and not one
/// application byte was sent.
private func refusal(
    client: TLSContext, server: TLSContext, host: String = "localhost"
) throws -> VerificationFailure {
    let pair = try TLSPair(client: client, server: server, host: host)
    try pair.client.connection.start()
    pair.settle()
    guard case .certificate(let failure) = pair.client.failure else {
        Issue.record("the client ended with \(String(describing: pair.client.failure))")
        throw CancellationError()
    }

    guard case .peerAlert = pair.server.failure else {
        Issue.record("the server ended with \(String(describing: pair.server.failure))")
        throw failure
    }
    #expect(!pair.client.connection.isHandshakeComplete)
    #expect(!pair.server.connection.isHandshakeComplete)
    #expect(pair.server.plaintext.readableBytes == 0)
    #expect(throws: TLSFailure.certificate(failure)) { try pair.client.connection.encrypt(Array("key".utf8)) }
    #expect(pair.client.connection.outbound.readableBytes == 0)
    return failure
}
