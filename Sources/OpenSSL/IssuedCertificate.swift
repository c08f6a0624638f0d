internal import COpenSSL

/// What a certificate to be issued says.
struct CertificateProfile {
    var names: [String]
    /// In days from now. One day back: another machine's clock may be behind ours.
    var validFrom = -1
    var validUntil: Int
    /// Whether it may sign others.
    var isAuthority = false
    /// Whether it is for a client, not for a server.
    var isClient = false

    init(names: [String], validFrom: Int = -1, validUntil: Int = 3_650, isAuthority: Bool = false) {
        self.names = names
        self.validFrom = validFrom
        self.validUntil = validUntil
        self.isAuthority = isAuthority
    }
}

/// A certificate made here, signed by itself or by another one.
final class IssuedCertificate {
    let pointer: OpaquePointer
    let key: PrivateKey

    init(
        _ profile: CertificateProfile, key: PrivateKey, signedBy issuer: IssuedCertificate? = nil
    ) throws(TLSConfigurationError) {
        guard let first = profile.names.first else { throw TLSConfigurationError("a certificate needs a name") }
        for name in profile.names where IPLiteral.bytes(name) == nil {
            guard HostName.isValid(name, allowingWildcard: true) else {
                throw TLSConfigurationError("\"\(name)\" is neither a host name nor an address")
            }
        }
        guard let certificate = X509_new() else { preconditionFailure("out of memory") }
        self.pointer = certificate
        self.key = key

        require(X509_set_version(certificate, 2), "the version")  // X.509 v3 is written as 2 (RFC 5280 §4.1.2.1).
        Self.setRandomSerial(of: certificate)
        let (from, until) = (X509_getm_notBefore(certificate), X509_getm_notAfter(certificate))
        require(X509_time_adj_ex(from, Int32(profile.validFrom), 0, nil) != nil, "notBefore")
        require(X509_time_adj_ex(until, Int32(profile.validUntil), 0, nil) != nil, "notAfter")
        require(X509_set_pubkey(certificate, key.pointer), "the public key")

        // RFC 5280's upper bound for a common name is 64 characters; the name itself stands in the extension below.
        let common = Array((first.utf8.count <= 64 ? first : "ws-tunnel").utf8)
        let subject = X509_get_subject_name(certificate)
        require(
            X509_NAME_add_entry_by_NID(subject, NID_commonName, MBSTRING_UTF8, common, Int32(common.count), -1, 0),
            "the subject")
        let issuerPointer = issuer?.pointer ?? certificate
        require(X509_set_issuer_name(certificate, X509_get_subject_name(issuerPointer)), "the issuer")

        if profile.isAuthority {
            self.add(NID_basic_constraints, "critical,CA:TRUE", issuerPointer)
            self.add(NID_key_usage, "critical,keyCertSign", issuerPointer)
        } else {
            self.add(NID_basic_constraints, "critical,CA:FALSE", issuerPointer)
            self.add(NID_key_usage, "critical,digitalSignature", issuerPointer)
            self.add(NID_ext_key_usage, profile.isClient ? "clientAuth" : "serverAuth", issuerPointer)
        }
        self.add(NID_subject_key_identifier, "hash", issuerPointer)
        // With key identifiers, an older certificate of the same name in someone's file is not taken for this one.
        self.add(NID_authority_key_identifier, "keyid", issuerPointer)
        self.addAlternativeNames(profile.names)

        require(X509_sign(certificate, (issuer?.key ?? key).pointer, EVP_sha256()), "signing")
    }

    deinit {
        X509_free(self.pointer)
    }

    var pem: String {
        PEM.text { PEM_write_bio_X509($0, self.pointer) }
    }

    /// 128 random bits: unguessable (CA/Browser Forum asks for 64) and within RFC 5280's 20 octets.
    private static func setRandomSerial(of certificate: OpaquePointer) {
        var bytes = Randomness.bytes(16)
        bytes[0] = bytes[0] & 0x7f | 0x40  // Positive, and never zero.
        guard let number = BN_bin2bn(bytes, Int32(bytes.count), nil) else { preconditionFailure("out of memory") }
        defer { BN_free(number) }
        require(BN_to_ASN1_INTEGER(number, X509_get_serialNumber(certificate)) != nil, "the serial number")
    }

    private func add(_ extensionID: Int32, _ value: String, _ issuer: OpaquePointer) {
        var context = X509V3_CTX()
        X509V3_set_ctx(&context, issuer, self.pointer, nil, nil, 0)
        let made = X509V3_EXT_conf_nid(nil, &context, extensionID, value)
        defer { X509_EXTENSION_free(made) }
        require(made != nil && X509_add_ext(self.pointer, made, -1) == 1, "extension \(value)")
    }

    /// Built entry by entry, not from OpenSSL's "DNS:…,IP:…" notation, in which a name could smuggle in another.
    private func addAlternativeNames(_ names: [String]) {
        let list = shim_sk_GENERAL_NAME_new_null()
        defer { GENERAL_NAMES_free(list) }
        for name in names {
            let address = IPLiteral.bytes(name)
            let bytes = address ?? Array(name.utf8)
            let value = address == nil ? ASN1_IA5STRING_new() : ASN1_OCTET_STRING_new()
            require(ASN1_STRING_set(value, bytes, Int32(bytes.count)), "a name")
            let entry = GENERAL_NAME_new()
            GENERAL_NAME_set0_value(entry, address == nil ? GEN_DNS : GEN_IPADD, value)
            require(shim_sk_GENERAL_NAME_push(list, entry), "a name")
        }
        require(X509_add1_ext_i2d(self.pointer, NID_subject_alt_name, UnsafeMutableRawPointer(list), 0, 0), "the names")
    }
}
