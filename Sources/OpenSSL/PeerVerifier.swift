internal import COpenSSL

/// Judges one connection's peer certificate, inside the handshake: a refusal is an alert, and nothing else is sent.
final class PeerVerifier {
    private let verification: PeerVerification
    private let system: SystemAuthorities?
    /// Why the certificate was refused.
    private(set) var failure: VerificationFailure?
    /// In a client: whether the server has asked for a certificate of ours.
    fileprivate(set) var isAsked = false

    /// - Parameter system: The system's authorities in the connection's context, where they are trusted.
    init(_ verification: PeerVerification, _ system: SystemAuthorities?) {
        self.verification = verification
        self.system = system
    }

    /// Judges the peer of `ssl` from now on.
    func attach(to ssl: OpaquePointer) {
        SSL_set_ex_data(ssl, 0, Unmanaged.passUnretained(self).toOpaque())
    }

    /// Tells `ssl` whose certificate is wanted. Chain and host are separate checks in OpenSSL; both are set here.
    func attach(to ssl: OpaquePointer, expecting server: ServerIdentity) {
        self.attach(to: ssl)
        let parameters = SSL_get0_param(ssl)
        X509_VERIFY_PARAM_set_hostflags(parameters, UInt32(X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS))
        switch server {
        case .name(let name):
            require(X509_VERIFY_PARAM_set1_host(parameters, name, name.utf8.count), "host name \(name)")
            require(shim_SSL_set_tlsext_host_name(ssl, name), "server name \(name)")
        case .address(let address):
            require(X509_VERIFY_PARAM_set1_ip_asc(parameters, address), "address \(address)")
        }
    }

    /// Makes every connection of `context` ask its verifier instead of OpenSSL's default. A peer without a certificate is
    /// refused by OpenSSL itself.
    static func install(in context: OpaquePointer) {
        SSL_CTX_set_verify(context, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, nil)
        SSL_CTX_set_cert_verify_callback(context, verifyPeer, nil)
    }

    /// Makes every client's connection of `context` note whether it is asked for a certificate.
    static func noteRequests(in context: OpaquePointer) {
        shim_SSL_CTX_set_cert_cb(context, certificateRequested)
    }

    fileprivate static func of(_ ssl: OpaquePointer) -> PeerVerifier? {
        SSL_get_ex_data(ssl, 0).map { Unmanaged<PeerVerifier>.fromOpaque($0).takeUnretainedValue() }
    }

    fileprivate func accepts(_ chain: OpaquePointer, _ ssl: OpaquePointer) -> Bool {
        if case .unverified = self.verification { return true }
        guard let leaf = X509_STORE_CTX_get0_cert(chain) else { return false }
        let presented = CertificateFingerprint(certificate: leaf)
        if presented == self.verification.pinned { return true }

        if case .fingerprint = self.verification {
            self.failure = VerificationFailure(
                reason: .fingerprintMismatch(presented: presented), certificate: CertificateSummary(certificate: leaf),
                presented: presented)
            X509_STORE_CTX_set_error(chain, X509_V_ERR_CERT_REJECTED)
            return false
        }

        let isLast = self.system?.areComplete ?? true
        if X509_verify_cert(chain) == 1 { return true }
        guard !isLast, let context = SSL_get_SSL_CTX(ssl), self.system?.complete(in: context) == true,
            let again = Self.repeated(chain, leaf, context)
        else { return self.refuse(chain, leaf, presented) }
        defer { X509_STORE_CTX_free(again) }
        let isGood = X509_verify_cert(again) == 1
        X509_STORE_CTX_set_error(chain, X509_STORE_CTX_get_error(again))
        return isGood || self.refuse(again, leaf, presented)
    }

    /// The same chain under the same conditions, to be verified once more: that can be done once with each.
    private static func repeated(_ chain: OpaquePointer, _ leaf: OpaquePointer, _ context: OpaquePointer) -> OpaquePointer? {
        guard let again = X509_STORE_CTX_new() else { return nil }
        guard
            X509_STORE_CTX_init(again, SSL_CTX_get_cert_store(context), leaf, X509_STORE_CTX_get0_untrusted(chain)) == 1,
            X509_VERIFY_PARAM_set1(X509_STORE_CTX_get0_param(again), X509_STORE_CTX_get0_param(chain)) == 1
        else {
            X509_STORE_CTX_free(again)
            return nil
        }
        return again
    }

    /// Notes why.
    ///
    /// - Returns: `false`
    private func refuse(_ chain: OpaquePointer, _ leaf: OpaquePointer, _ presented: CertificateFingerprint) -> Bool {
        let atFault = X509_STORE_CTX_get_current_cert(chain) ?? leaf
        let certificate = CertificateSummary(certificate: atFault)
        self.failure = VerificationFailure(
            reason: Self.reason(X509_STORE_CTX_get_error(chain), names: CertificateSummary(certificate: leaf).names),
            certificate: certificate, presented: presented)
        return false
    }

    private static func reason(_ code: Int32, names: [String]) -> VerificationFailure.Reason {
        switch code {
        case X509_V_ERR_CERT_HAS_EXPIRED: .expired
        case X509_V_ERR_CERT_NOT_YET_VALID: .notYetValid
        case X509_V_ERR_HOSTNAME_MISMATCH, X509_V_ERR_IP_ADDRESS_MISMATCH: .wrongHost(names: names)
        case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT: .selfSigned
        case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN, X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY,
            X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT, X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
            .unknownAuthority
        default: .other(String(cString: X509_verify_cert_error_string(Int(code))))
        }
    }
}

/// Called by libssl with the chain it received; 1 accepts.
private func verifyPeer(_ chain: OpaquePointer?, _: UnsafeMutableRawPointer?) -> Int32 {
    let index = SSL_get_ex_data_X509_STORE_CTX_idx()
    guard let chain, let ssl = X509_STORE_CTX_get_ex_data(chain, index), let verifier = PeerVerifier.of(OpaquePointer(ssl))
    else { return 0 }
    // What looking for authorities leaves in the error queue would be taken for a failure of the handshake.
    ERR_set_mark()
    defer { ERR_pop_to_mark() }
    return verifier.accepts(chain, OpaquePointer(ssl)) ? 1 : 0
}

/// Called by libssl in a client that the server asks for a certificate; 1 goes on with the one there is, if any.
private func certificateRequested(_ ssl: OpaquePointer?, _: UnsafeMutableRawPointer?) -> Int32 {
    ssl.flatMap { PeerVerifier.of($0) }?.isAsked = true
    return 1
}
