import Testing

@testable import OpenSSL

@Suite struct FingerprintTests {
    private let digits = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"

    @Test func `a fingerprint prints as it was read`() throws {
        let fingerprint = try #require(CertificateFingerprint("sha256:\(self.digits)"))
        #expect(fingerprint.description == "sha256:\(self.digits)")
        #expect(fingerprint.bytes.prefix(3) == [0x00, 0x11, 0x22])
    }

    @Test func `capitals and colons do not matter`() throws {
        let pairs = stride(from: 0, to: 64, by: 2).map { String(self.digits.dropFirst($0).prefix(2)) }
        let written = "SHA256:" + pairs.joined(separator: ":").uppercased()
        #expect(CertificateFingerprint(written) == CertificateFingerprint("sha256:\(self.digits)"))
    }

    @Test(arguments: [
        "", "sha256:", "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff",
        "sha1:00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff",
        "sha256:00112233445566778899aabbccddeeff00112233445566778899aabbccddeef",  // a digit short
        "sha256:00112233445566778899aabbccddeeff00112233445566778899aabbccddeefff",  // a digit long
        "sha256:00112233445566778899aabbccddeeff00112233445566778899aabbccddeefg",  // no digit
        "sha256:00:112233445566778899aabbccddeeff00112233445566778899aabbccddeeff",  // a colon in one place only
        "sha256:00-11-22-33-44-55-66-77-88-99-aa-bb-cc-dd-ee-ff-00-11-22-33-44-55-66-77-88-99-aa-bb-cc-dd-ee-ff",
        "sha256:000112233445566778899aabbccddeeff00112233445566778899aabbccddé",
    ])
    func `what is not a fingerprint is refused`(text: String) {
        #expect(CertificateFingerprint(text) == nil)
    }

    @Test func `a PEM has the fingerprint of its first certificate`() throws {
        let (one, _) = try SelfSignedCertificate.make(names: ["one.example"])
        let (other, _) = try SelfSignedCertificate.make(names: ["other.example"])
        let fingerprint = try CertificateFingerprint(pem: one)
        #expect(try CertificateFingerprint(pem: one + other) == fingerprint)
        #expect(try CertificateFingerprint(pem: other) != fingerprint)
        let file = try TemporaryFile(one)
        #expect(try CertificateFingerprint(pemFile: file.path) == fingerprint)
    }

    @Test func `a PEM without a certificate has none`() throws {
        let (_, key) = try SelfSignedCertificate.make(names: ["one.example"])
        #expect(
            throws: TLSConfigurationError("the certificate PEM holds no PEM certificate (-----BEGIN CERTIFICATE-----)")
        ) {
            try CertificateFingerprint(pem: key)
        }
        #expect(throws: TLSConfigurationError("cannot read /nowhere/a.pem: No such file or directory")) {
            try CertificateFingerprint(pemFile: "/nowhere/a.pem")
        }
    }
}

@Suite struct SelfSignedCertificateTests {
    @Test func `it names its hosts and addresses, and signs for itself`() throws {
        let names = ["localhost", "127.0.0.1", "::1", "*.example.org"]
        let (certificate, key) = try SelfSignedCertificate.make(names: names)
        #expect(certificate.hasPrefix("-----BEGIN CERTIFICATE-----\n"))
        #expect(key.hasPrefix("-----BEGIN PRIVATE KEY-----\n"))
        let context = try TLSContext(server: .pem(certificateChain: certificate, privateKey: key))
        let summary = try #require(context.certificate)
        #expect(summary.names == names)
        #expect(summary.subject == "CN=localhost")
        #expect(summary.issuer == "CN=localhost")
        #expect(try summary.fingerprint == CertificateFingerprint(pem: certificate))
    }

    @Test func `two of them differ in everything`() throws {
        let (one, oneKey) = try SelfSignedCertificate.make(names: ["localhost"])
        let (other, otherKey) = try SelfSignedCertificate.make(names: ["localhost"])
        #expect(one != other)
        #expect(oneKey != otherKey)
    }

    @Test(arguments: ["", "a b", "a,DNS:evil.example", "ü.example", "*", "a..b", "a\nb", "nul\0", ".example.org"])
    func `what is neither a host nor an address is refused`(name: String) {
        #expect(throws: TLSConfigurationError("\"\(name)\" is neither a host name nor an address")) {
            try SelfSignedCertificate.make(names: [name])
        }
    }

    @Test func `a name too long for a subject is still in the certificate`() throws {
        let name = String(repeating: "a", count: 60) + ".tunnel.example.org"
        let (certificate, key) = try SelfSignedCertificate.make(names: [name])
        let context = try TLSContext(server: .pem(certificateChain: certificate, privateKey: key))
        #expect(context.certificate?.names == [name])
        #expect(context.certificate?.subject == "CN=ws-tunnel")
    }
}

@Test(arguments: [
    ("example.com", ServerIdentity.name("example.com")), ("example.com.", .name("example.com")),
    ("192.0.2.1", .address("192.0.2.1")), ("::1", .address("::1")), ("[2001:db8::1]", .address("2001:db8::1")),
    ("fe80::1%eth0", .address("fe80::1")), ("localhost", .name("localhost")), ("a_b.example", .name("a_b.example")),
])
func `a host is a name or an address`(host: String, identity: ServerIdentity) throws {
    #expect(try ServerIdentity(host: host) == identity)
}

@Test(arguments: ["", ".", ".example.com", "example..com", "exa mple", "*.example.com", "a\0b", "ü.example", "[::1"])
func `a host that could match more or other than meant is refused`(host: String) {
    #expect(throws: TLSConfigurationError("\"\(host)\" is not a host name or an address")) {
        try ServerIdentity(host: host)
    }
}
