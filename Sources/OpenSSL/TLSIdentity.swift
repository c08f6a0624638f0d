internal import COpenSSL

/// Who one side is: its certificate, the intermediate ones that lead to its authority, and the private key.
package enum TLSIdentity: Sendable {
    /// Paths of PEM files; the chain begins with the side's own certificate. One file may hold both.
    case files(certificateChain: String, privateKey: String)
    /// The PEM texts themselves.
    case pem(certificateChain: String, privateKey: String)

    /// Gives the identity to `context`, and tells what its certificate says.
    func install(in context: OpaquePointer) throws(TLSConfigurationError) -> CertificateSummary {
        let (chain, keySource) = try self.sources()
        let certificate = try chain.firstCertificate()
        defer { X509_free(certificate) }
        let key = PrivateKey(try keySource.privateKey())

        // Asked before OpenSSL stores them: it keeps keys by kind, so a key of another kind would not even be noticed.
        ERR_clear_error()
        guard X509_check_private_key(certificate, key.pointer) == 1 else {
            ERR_clear_error()
            throw TLSConfigurationError("\(keySource.name) is not the private key of the certificate in \(chain.name)")
        }
        guard SSL_CTX_use_certificate(context, certificate) == 1, SSL_CTX_use_PrivateKey(context, key.pointer) == 1
        else {
            throw TLSConfigurationError("cannot use the certificate in \(chain.name): \(OpenSSLError.drain())")
        }
        while let intermediate = try chain.nextCertificate() {
            guard shim_SSL_CTX_add0_chain_cert(context, intermediate) == 1 else {
                X509_free(intermediate)
                throw TLSConfigurationError("cannot use the chain in \(chain.name): \(OpenSSLError.drain())")
            }
        }
        return CertificateSummary(certificate: certificate)
    }

    private func sources() throws(TLSConfigurationError) -> (chain: PEM, key: PEM) {
        switch self {
        case .files(let certificateChain, let privateKey):
            (try PEM(file: certificateChain), try PEM(file: privateKey))
        case .pem(let certificateChain, let privateKey):
            (
                PEM(text: certificateChain, name: "the certificate PEM"),
                PEM(text: privateKey, name: "the private key PEM")
            )
        }
    }
}
