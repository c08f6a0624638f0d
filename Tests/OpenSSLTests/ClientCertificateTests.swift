import Testing

@testable import OpenSSL

/// Both versions of TLS, and who presents what to a server that asks.
@Suite struct ClientCertificateTests {
    private let authority: Authority
    private let serverPEM: (certificatePEM: String, privateKeyPEM: String)

    init() throws {
        self.authority = try Authority("clients.test")
        self.serverPEM = try SelfSignedCertificate.make(names: ["localhost"])
    }

    /// After the handshake, as far as it goes, and one message of the client's where it can send one.
    private func meet(_ identity: TLSIdentity?, _ version: TLSVersion, asks: Bool = true) throws -> TLSPair {
        let file = try TemporaryFile(self.authority.certificate.pem)
        let server = try TLSContext(
            server: .pem(certificateChain: self.serverPEM.certificatePEM, privateKey: self.serverPEM.privateKeyPEM),
            clientAuthorities: asks ? file.path : nil, maximumVersion: version)
        let client = try TLSContext(client: .unverified, identity: identity)
        let pair = try TLSPair(client: client, server: server, host: "localhost")
        try pair.client.connection.start()
        pair.settle()
        if pair.client.failure == nil { try pair.client.connection.encrypt(Array("key".utf8)) }
        pair.settle()
        return pair
    }

    private func issued(
        by authority: Authority, validUntil: Int = 10, isServer: Bool = false
    ) throws -> TLSIdentity {
        let key = PrivateKey.p256()
        var profile = CertificateProfile(names: ["client.test"], validFrom: -10, validUntil: validUntil)
        profile.isClient = !isServer
        let certificate = try IssuedCertificate(profile, key: key, signedBy: authority.certificate)
        return .pem(certificateChain: certificate.pem, privateKey: key.pem)
    }

    @Test(arguments: [TLSVersion.tls12, .tls13])
    func `a certificate of the authority is accepted, and known to the server`(version: TLSVersion) throws {
        let pair = try self.meet(self.issued(by: self.authority), version)
        #expect(pair.server.failure == nil && pair.client.failure == nil)
        #expect(pair.server.plaintext.readableBytes == 3)
        #expect(pair.server.connection.peerCertificate?.subject == "CN=client.test")
        #expect(pair.client.connection.isAskedForCertificate)
    }

    @Test(arguments: [TLSVersion.tls12, .tls13])
    func `no certificate is refused before a byte counts, and the client knows why`(version: TLSVersion) throws {
        let pair = try self.meet(nil, version)
        #expect(pair.server.failure == .noCertificate)
        #expect(pair.server.plaintext.readableBytes == 0)
        // handshake_failure in TLS 1.2, certificate_required in TLS 1.3.
        #expect(pair.client.failure == .ownCertificate(TLSAlert(code: version == .tls12 ? 40 : 116)))
    }

    @Test(arguments: [TLSVersion.tls12, .tls13])
    func `a certificate of somebody else is refused with its reason`(version: TLSVersion) throws {
        let cases: [(identity: TLSIdentity, reason: VerificationFailure.Reason)] = [
            (try self.issued(by: Authority("strangers.test")), .unknownAuthority),
            (try self.issued(by: Authority("clients.test")), .unknownAuthority),
            (try self.issued(by: self.authority, validUntil: -1), .expired),
            (.pem(certificateChain: self.serverPEM.certificatePEM, privateKey: self.serverPEM.privateKeyPEM), .selfSigned),
        ]
        for (identity, reason) in cases {
            let pair = try self.meet(identity, version)
            guard case .certificate(let failure) = pair.server.failure else {
                Issue.record("the server ended with \(String(describing: pair.server.failure))")
                continue
            }
            #expect(failure.reason == reason)
            #expect(pair.server.plaintext.readableBytes == 0)
            guard case .ownCertificate = pair.client.failure else {
                Issue.record("the client ended with \(String(describing: pair.client.failure))")
                continue
            }
        }
    }

    @Test func `a server's certificate is none for a client`() throws {
        let pair = try self.meet(self.issued(by: self.authority, isServer: true), .tls13)
        guard case .certificate(let failure) = pair.server.failure, case .other(let words) = failure.reason else {
            Issue.record("the server ended with \(String(describing: pair.server.failure))")
            return
        }
        #expect(words.contains("purpose"))
    }

    @Test func `who is not asked presents nothing`() throws {
        let pair = try self.meet(self.issued(by: self.authority), .tls13, asks: false)
        #expect(pair.server.plaintext.readableBytes == 3)
        #expect(pair.server.connection.peerCertificate == nil)
        #expect(!pair.client.connection.isAskedForCertificate)
    }

    @Test func `an authority file that cannot be used is named`() throws {
        let identity = TLSIdentity.pem(
            certificateChain: self.serverPEM.certificatePEM, privateKey: self.serverPEM.privateKeyPEM)
        #expect(throws: TLSConfigurationError("cannot read /nowhere/ca.pem: No such file or directory")) {
            try TLSContext(server: identity, clientAuthorities: "/nowhere/ca.pem")
        }
        // The first is whole, the second is not: nothing is taken from half a file.
        let half = try TemporaryFile(self.authority.certificate.pem + self.serverPEM.certificatePEM.prefix(200))
        #expect(throws: TLSConfigurationError.self) { try TLSContext(server: identity, clientAuthorities: half.path) }
    }
}
