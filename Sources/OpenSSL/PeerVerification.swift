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
    func install(in context: OpaquePointer) throws(TLSConfigurationError) {
        switch self {
        case .unverified, .fingerprint:
            return
        case .onlyAuthorities(let file):
            let source = try PEM(file: file)
            var next: OpaquePointer? = try source.firstCertificate()
            while let authority = next {
                defer { X509_free(authority) }
                ERR_clear_error()
                // The second is the name by which clients with several certificates choose (RFC 8446 §4.2.4).
                guard X509_STORE_add_cert(SSL_CTX_get_cert_store(context), authority) == 1,
                    SSL_CTX_add_client_CA(context, authority) == 1
                else { throw TLSConfigurationError("cannot use the authorities in \(file): \(OpenSSLError.drain())") }
                next = try source.nextCertificate()
            }
        case .authorities(let files), .authoritiesOr(_, let files):
            // No store on this machine is no error: the extra files may be all there is, and a chain fails by itself. Of the system's
            // directory one authority is read when a chain names it, and the file of all of them once that is not enough (see
            // `loadSystemFile`): 1.2 MB and 15 ms that most clients never need. It gets its place here, as a shared store must not grow one.
            SSL_CTX_set_default_verify_dir(context)
            X509_STORE_add_lookup(SSL_CTX_get_cert_store(context), X509_LOOKUP_file())
            for file in files {
                // Read by our own hand first, for a sentence that tells a missing file from one without PEM.
                X509_free(try PEM(file: file).firstCertificate())
                ERR_clear_error()
                guard SSL_CTX_load_verify_file(context, file) == 1 else {
                    throw TLSConfigurationError("cannot use the authorities in \(file): \(OpenSSLError.drain())")
                }
            }
        }
        // Whatever the operator put into a file is trusted as it stands: an intermediate or a server's own
        // certificate too, not only a root.
        X509_VERIFY_PARAM_set_flags(SSL_CTX_get0_param(context), UInt(X509_V_FLAG_PARTIAL_CHAIN))
    }

    /// Adds the system's file of authorities to the store of `context`, which other threads may use meanwhile: libcrypto locks it.
    ///
    /// - Returns: Whether such a file belongs to what is accepted at all.
    func loadSystemFile(in context: OpaquePointer) -> Bool {
        switch self {
        case .unverified, .fingerprint, .onlyAuthorities: return false
        case .authorities, .authoritiesOr: return SSL_CTX_set_default_verify_file(context) == 1
        }
    }
}
