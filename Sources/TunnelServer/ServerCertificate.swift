internal import OpenSSL
internal import TunnelTransport

/// What the server proves itself with: the operator's files, or a certificate of its own.
struct ServerCertificate {
    /// `nil` without TLS.
    let context: TLSContext?
    /// Of a self-signed certificate, for `--fingerprint`.
    let fingerprint: String?

    init(_ configuration: ServerConfiguration) throws(OperatorError) {
        do {
            switch configuration.security {
            case .plain:
                (self.context, self.fingerprint) = (nil, nil)
            case .certificate(let chain, let key):
                self.context = try TLSContext(server: .files(certificateChain: chain, privateKey: key))
                self.fingerprint = nil
            case .selfSigned:
                let (certificate, key) = try Self.own(configuration)
                self.context = try TLSContext(server: .pem(certificateChain: certificate, privateKey: key))
                self.fingerprint = try CertificateFingerprint(pem: certificate).description
            }
        } catch let error as OperatorError {
            throw error
        } catch {
            throw OperatorError(.badConfiguration, "\(error)", remedy: "Check --tls-cert and --tls-key.")
        }
    }

    /// The server's own certificate, made on first use.
    private static func own(_ configuration: ServerConfiguration) throws -> (certificate: String, key: String) {
        let folder = configuration.stateFolder
        if let certificate = try folder.read(StateFiles.serverCertificate), let key = try folder.read(StateFiles.serverKey) {
            return (certificate, key)
        }
        var names = ["localhost", "127.0.0.1", "::1"]
        if !names.contains(configuration.publicHost) { names.insert(configuration.publicHost, at: 0) }
        let made = try SelfSignedCertificate.make(names: names)
        // The key first: a certificate without its key would be taken for whole.
        try folder.write(made.privateKeyPEM, to: StateFiles.serverKey, isPrivate: true)
        try folder.write(made.certificatePEM, to: StateFiles.serverCertificate, isPrivate: false)
        return (made.certificatePEM, made.privateKeyPEM)
    }
}
