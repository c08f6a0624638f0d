import Foundation

/// A certificate authority of the test's own, made with the openssl command.
struct Authority {
    let certificate: String
    private let key: String
    private let stage: Stage

    init(_ name: String, on stage: Stage) throws {
        self.stage = stage
        self.certificate = "\(stage.folder)/\(name).pem"
        self.key = "\(stage.folder)/\(name).key"
        try stage.run(
            "openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "30",
            "-subj", "/CN=\(name)", "-keyout", self.key, "-out", self.certificate)
    }

    /// A server's certificate and key.
    ///
    /// - Parameters:
    ///   - names: `DNS:localhost,IP:127.0.0.1`.
    ///   - days: How long it is valid from now; negative for one that has expired.
    func issue(_ names: String, days: Int = 30) throws -> (certificate: String, key: String) {
        let stem = "\(self.stage.folder)/issued-\(UInt32.random(in: .min ... .max))"
        try self.stage.run(
            "openssl", "req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=server",
            "-addext", "subjectAltName=\(names)", "-keyout", "\(stem).key", "-out", "\(stem).request")
        // `openssl x509` signs certificates that have expired already, which `openssl ca` alone does otherwise.
        let extensions = try self.stage.file(
            "extensions-\(UInt32.random(in: .min ... .max))", "subjectAltName=\(names)\nextendedKeyUsage=serverAuth\n")
        try self.stage.run(
            "openssl", "x509", "-req", "-in", "\(stem).request", "-CA", self.certificate, "-CAkey", self.key,
            "-CAcreateserial", "-days", "\(days)", "-extfile", extensions, "-out", "\(stem).pem")
        return ("\(stem).pem", "\(stem).key")
    }
}
