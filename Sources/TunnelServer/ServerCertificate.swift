internal import Logging
internal import NIOConcurrencyHelpers
internal import OpenSSL
internal import TunnelProtocol
internal import TunnelTransport

/// What the server proves itself with, and whom it asks to do the same: the operator's files, read again when they change, or a
/// certificate of its own. A connection keeps what it began with.
actor ServerCertificate {
    /// What new connections are secured with; `nil` without TLS. To be asked from any thread.
    nonisolated var context: TLSContext? { self.latest.withLockedValue { $0 } }
    /// Of a self-signed certificate, for `--fingerprint`.
    nonisolated let fingerprint: String?

    /// Between two looks at the files. Each asks the system for the facts of three of them at most, and whoever renews a
    /// certificate does so days before the old one ends.
    private static let lookInterval = Duration.seconds(1)

    private let latest: NIOLockedValueBox<TLSContext?>
    private let security: ServerConfiguration.Security
    /// PEM texts of the server's own certificate.
    private let own: (certificate: String, key: String)?
    private let clientAuthorities: String?
    private let logger: Logger
    private var watch: FileWatch<[FileFacts?]>

    init(_ configuration: ServerConfiguration, logger: Logger) throws(OperatorError) {
        self.security = configuration.security
        self.clientAuthorities = configuration.clientAuthorities
        self.logger = logger
        // Before they are read: what changes meanwhile is read again.
        self.watch = FileWatch(Self.facts(configuration.security, configuration.clientAuthorities))
        do {
            if case .selfSigned = configuration.security {
                let own = try Self.own(configuration)
                self.own = own
                self.fingerprint = try Self.checked(own, configuration.stateFolder).description
            } else {
                self.own = nil
                self.fingerprint = nil
            }
            self.latest = NIOLockedValueBox(try Self.read(self.security, self.own, self.clientAuthorities))
        } catch let error as OperatorError {
            throw error
        } catch {
            throw OperatorError(.badConfiguration, "\(error)", remedy: Self.remedy(configuration.clientAuthorities))
        }
        if self.own != nil, configuration.stateFolder.isTemporary {
            logger.warning(
                "the server's own certificate lies in \(configuration.stateFolder.path), and may be another one after a restart of the machine",
                metadata: ["remedy": "Name a folder that stays with --state-dir."])
        }
    }

    /// Looks at the files from time to time, until the task is cancelled. Never on an event loop: a disk may be slow.
    func watchFiles() async {
        guard !self.facts.isEmpty else { return }
        while (try? await Task.sleep(for: Self.lookInterval)) != nil {
            let facts = self.facts
            if self.watch.look(facts) { self.reload(facts, isAsked: false) }
        }
    }

    /// Reads the files now, changed or not.
    func reload() {
        let facts = self.facts
        guard !facts.isEmpty else {
            return self.logger.info("nothing to read again: the server was given no certificate files")
        }
        self.reload(facts, isAsked: true)
    }

    private func reload(_ facts: [FileFacts?], isAsked: Bool) {
        do {
            let context = try Self.read(self.security, self.own, self.clientAuthorities)
            self.latest.withLockedValue { $0 = context }
            self.watch.succeeded(facts)
            guard let certificate = context?.certificate else { return }
            self.logger.info(
                "new connections use the certificate of \(certificate.subject)",
                metadata: ["fingerprint": "\(certificate.fingerprint)", "expires": "\(certificate.validUntil)"])
        } catch {
            guard self.watch.failed(facts, now: .now, isAsked: isAsked) else { return }
            self.logger.warning(
                "the new certificate files cannot be used, the old certificate stays: \(error)",
                metadata: [
                    "remedy": "\(Self.remedy(self.clientAuthorities)) They are read again when they change, and on SIGHUP."
                ])
        }
    }

    private static func remedy(_ clientAuthorities: String?) -> String {
        clientAuthorities == nil ? "Check --tls-cert and --tls-key." : "Check --tls-cert, --tls-key and --client-ca."
    }

    private var facts: [FileFacts?] { Self.facts(self.security, self.clientAuthorities) }

    private static func facts(_ security: ServerConfiguration.Security, _ clientAuthorities: String?) -> [FileFacts?] {
        var paths = clientAuthorities.map { [$0] } ?? []
        if case .certificate(let chain, let key) = security { paths += [chain, key] }
        return paths.map { FileFacts($0) }
    }

    private static func read(
        _ security: ServerConfiguration.Security, _ own: (certificate: String, key: String)?, _ clientAuthorities: String?
    ) throws(TLSConfigurationError) -> TLSContext? {
        switch security {
        case .plain: nil
        case .certificate(let chain, let key):
            try TLSContext(server: .files(certificateChain: chain, privateKey: key), clientAuthorities: clientAuthorities)
        case .selfSigned:
            try own.map { own throws(TLSConfigurationError) in
                try TLSContext(
                    server: .pem(certificateChain: own.certificate, privateKey: own.key), clientAuthorities: clientAuthorities)
            }
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

    /// - Throws: `OperatorError` for files that were damaged: nobody named them, so the words are about them and not about options.
    private static func checked(_ own: (certificate: String, key: String), _ folder: StateFolder) throws(OperatorError) -> CertificateFingerprint {
        do {
            _ = try TLSContext(server: .pem(certificateChain: own.certificate, privateKey: own.key))
            return try CertificateFingerprint(pem: own.certificate)
        } catch {
            let (certificate, key) = (folder.file(StateFiles.serverCertificate), folder.file(StateFiles.serverKey))
            throw OperatorError(
                .badConfiguration, "the server's own certificate in \(folder.path) cannot be used: \(error)",
                remedy: "Remove \(certificate) and \(key): the server makes new ones.")
        }
    }
}
