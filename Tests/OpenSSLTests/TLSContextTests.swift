import Testing

@testable import OpenSSL

@Suite struct TLSContextTests {
    private let identity: (certificatePEM: String, privateKeyPEM: String)

    init() throws {
        self.identity = try SelfSignedCertificate.make(names: ["localhost"])
    }

    @Test func `an identity is read from files, also when one file holds both`() throws {
        let certificate = try TemporaryFile(self.identity.certificatePEM)
        let key = try TemporaryFile(self.identity.privateKeyPEM)
        let both = try TemporaryFile(self.identity.privateKeyPEM + self.identity.certificatePEM)
        _ = try TLSContext(server: .files(certificateChain: certificate.path, privateKey: key.path))
        _ = try TLSContext(server: .files(certificateChain: both.path, privateKey: both.path))
    }

    @Test func `a missing file is named with the system's reason`() throws {
        let certificate = try TemporaryFile(self.identity.certificatePEM)
        #expect(throws: TLSConfigurationError("cannot read /nowhere/c.pem: No such file or directory")) {
            try TLSContext(server: .files(certificateChain: "/nowhere/c.pem", privateKey: certificate.path))
        }
        #expect(throws: TLSConfigurationError("cannot read /nowhere/k.pem: No such file or directory")) {
            try TLSContext(server: .files(certificateChain: certificate.path, privateKey: "/nowhere/k.pem"))
        }
        #expect(throws: TLSConfigurationError("cannot read /tmp: Is a directory")) {
            try TLSContext(server: .files(certificateChain: "/tmp", privateKey: certificate.path))
        }
    }

    @Test func `a file that is not PEM is named`() throws {
        let certificate = try TemporaryFile(self.identity.certificatePEM)
        let other = try TemporaryFile("not a certificate\n")
        let empty = try TemporaryFile("")
        for file in [other, empty] {
            #expect(
                throws: TLSConfigurationError("\(file.path) holds no PEM certificate (-----BEGIN CERTIFICATE-----)")
            ) {
                try TLSContext(server: .files(certificateChain: file.path, privateKey: certificate.path))
            }
            #expect(
                throws: TLSConfigurationError("\(file.path) holds no PEM private key (-----BEGIN PRIVATE KEY-----)")
            ) {
                try TLSContext(server: .files(certificateChain: certificate.path, privateKey: file.path))
            }
            #expect(
                throws: TLSConfigurationError("\(file.path) holds no PEM certificate (-----BEGIN CERTIFICATE-----)")
            ) {
                try TLSContext(client: .authorities(extra: [file.path]))
            }
        }
    }

    @Test func `a damaged certificate is called damaged`() throws {
        let lines = self.identity.certificatePEM.split(separator: "\n")
        let damaged = ([lines[0], "AAAA"] + lines.dropFirst(2)).joined(separator: "\n") + "\n"
        let error = #expect(throws: TLSConfigurationError.self) {
            try TLSContext(server: .pem(certificateChain: damaged, privateKey: self.identity.privateKeyPEM))
        }
        #expect(error?.description.hasPrefix("the certificate PEM holds a damaged PEM certificate: ") == true)
    }

    @Test func `a key of another certificate is refused, of the same kind or another`() throws {
        for key in [PrivateKey.p256(), .rsa2048()] {
            #expect(
                throws: TLSConfigurationError(
                    "the private key PEM is not the private key of the certificate in the certificate PEM")
            ) {
                try TLSContext(server: .pem(certificateChain: self.identity.certificatePEM, privateKey: key.pem))
            }
        }
    }

    @Test func `an encrypted key is refused and nobody is asked for its passphrase`() throws {
        let key = PrivateKey.p256()
        let certificate = try IssuedCertificate(CertificateProfile(names: ["localhost"]), key: key)
        let file = try TemporaryFile(key.encryptedPEM(passphrase: "secret"))
        let chain = try TemporaryFile(certificate.pem)
        #expect(
            throws: TLSConfigurationError("\(file.path) is encrypted: a private key without a passphrase is needed")
        ) {
            try TLSContext(server: .files(certificateChain: chain.path, privateKey: file.path))
        }
    }

    @Test func `a missing file of authorities is named`() {
        #expect(throws: TLSConfigurationError("cannot read /nowhere/ca.pem: No such file or directory")) {
            try TLSContext(client: .authorities(extra: ["/nowhere/ca.pem"]))
        }
    }
}
