internal import COpenSSL

/// Which certificates of the other side are accepted.
package enum PeerVerification: Equatable, Sendable {
    /// A chain to an authority of the system's store (`SSL_CERT_FILE` and `SSL_CERT_DIR` replace it) or of these PEM
    /// files, within its dates, for the very host that was dialled.
    case authorities(extra: [String] = [])
    /// As above; or exactly the certificate of this fingerprint, whatever its chain, dates and names. For the
    /// certificate that this user's own server made on the same machine.
    case authoritiesOr(fingerprint: CertificateFingerprint, extra: [String] = [])
    /// Exactly the certificate of this fingerprint and no other, whatever its chain, dates and names.
    case fingerprint(CertificateFingerprint)
    /// A chain to an authority of this PEM file and no other, within its dates: for a server's clients, which have no host to be
    /// asked for.
    case onlyAuthorities(String)
    /// Any certificate at all: encrypted, and open to whoever sits in between.
    case unverified

    /// The one certificate that needs no authority.
    var pinned: CertificateFingerprint? {
        switch self {
        case .authorities, .onlyAuthorities, .unverified: nil
        case .authoritiesOr(let fingerprint, _), .fingerprint(let fingerprint): fingerprint
        }
    }

    /// Fills the store of trust of `context`.
    ///
    /// - Returns: The system's authorities, where they are trusted.
    func install(in context: OpaquePointer) throws(TLSConfigurationError) -> SystemAuthorities? {
        let system: SystemAuthorities?
        switch self {
        case .unverified, .fingerprint:
            return nil
        case .onlyAuthorities(let file):
            system = nil
            // The name is what clients with several certificates choose by (RFC 8446 §4.2.4).
            try Self.add(file, to: context) { SSL_CTX_add_client_CA(context, $0) == 1 }
        case .authorities(let files), .authoritiesOr(_, let files):
            system = SystemAuthorities(in: context)
            for file in files { try Self.add(file, to: context) { _ in true } }
        }
        // Whatever the operator put into a file is trusted as it stands: an intermediate or a server's own
        // certificate too, not only a root.
        X509_VERIFY_PARAM_set_flags(SSL_CTX_get0_param(context), UInt(X509_V_FLAG_PARTIAL_CHAIN))
        return system
    }

    /// Every certificate of `file`, which is read once: it may be a pipe.
    private static func add(
        _ file: String, to context: OpaquePointer, _ announce: (OpaquePointer) -> Bool
    ) throws(TLSConfigurationError) {
        let source = try PEM(file: file)
        var next: OpaquePointer? = try source.firstCertificate()
        while let authority = next {
            defer { X509_free(authority) }
            ERR_clear_error()
            guard X509_STORE_add_cert(SSL_CTX_get_cert_store(context), authority) == 1, announce(authority) else {
                throw TLSConfigurationError("cannot use the authorities in \(file): \(OpenSSLError.drain())")
            }
            next = try source.nextCertificate()
        }
    }
}
