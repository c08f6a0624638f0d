internal import Logging
internal import OpenSSL
internal import TunnelTransport

/// Notices that the files of the client's certificate have changed, so that one that is renewed serves the next connection.
struct OwnCertificate: Sendable {
    private let configuration: ClientConfiguration
    private let logger: Logger
    /// When they were read last.
    private var facts: [FileFacts?]

    /// To be made before the files are read for the first time: what changes meanwhile is read again.
    init(_ configuration: ClientConfiguration, logger: Logger) {
        self.configuration = configuration
        self.logger = logger
        self.facts = Self.facts(configuration)
    }

    /// What to secure the next connection with; `nil`: as before. Reads files, and only when they have changed.
    mutating func renewed() -> TLSContext? {
        let facts = Self.facts(self.configuration)
        guard facts != self.facts else { return nil }
        do {
            let context = try self.configuration.makeContext()
            self.facts = facts
            self.logger.info("the next connection presents the certificate that is in --client-cert now")
            return context
        } catch {
            let reason = (error as? OperatorError)?.message ?? "\(error)"
            self.logger.warning(
                "the new --client-cert cannot be used, the old one stays: \(reason)",
                metadata: ["remedy": "Check --client-cert and --client-key. They are read again for the next connection."])
            return nil
        }
    }

    private static func facts(_ configuration: ClientConfiguration) -> [FileFacts?] {
        configuration.certificate.map { [FileFacts($0.chainFile), FileFacts($0.keyFile)] } ?? []
    }
}
