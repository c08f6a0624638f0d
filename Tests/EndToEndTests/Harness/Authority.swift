import Foundation

/// A certificate authority of the test's own, made with the openssl command.
struct Authority {
    enum Validity {
        case now, lastYear, nextYear
    }

    let certificate: String
    let key: String
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
    ///   - isExpired: Whether it was valid last year only.
    func issue(_ names: String, isExpired: Bool = false) throws -> (certificate: String, key: String) {
        try self.issue(names, validFor: isExpired ? .lastYear : .now)
    }

    /// - Parameter usage: `serverAuth`, or `clientAuth` for a client's.
    func issue(
        _ names: String, validFor validity: Validity, usage: String = "serverAuth"
    ) throws -> (certificate: String, key: String) {
        let folder = "\(self.stage.folder)/issued-\(UInt32.random(in: .min ... .max))"
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        try self.stage.run(
            "openssl", "req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=server",
            "-keyout", "\(folder)/key.pem", "-out", "\(folder)/request.pem")
        try "".write(toFile: "\(folder)/index", atomically: true, encoding: .utf8)
        try """
            [ca]
            default_ca = test
            [test]
            database = \(folder)/index
            new_certs_dir = \(folder)
            rand_serial = yes
            default_md = sha256
            policy = any
            x509_extensions = extensions
            [any]
            commonName = supplied
            [extensions]
            subjectAltName = \(names)
            extendedKeyUsage = \(usage)

            """.write(toFile: "\(folder)/ca.conf", atomically: true, encoding: .utf8)
        let year = Calendar(identifier: .gregorian).component(.year, from: Date())
        let (start, end) =
            switch validity {
            case .now: (year - 1, year + 1)
            case .lastYear: (year - 2, year - 1)
            case .nextYear: (year + 1, year + 2)
            }
        // `openssl ca`, since it is the one that takes dates in every version.
        try self.stage.run(
            "openssl", "ca", "-batch", "-notext", "-config", "\(folder)/ca.conf", "-cert", self.certificate,
            "-keyfile", self.key, "-startdate", "\(start)0101000000Z", "-enddate", "\(end)0101000000Z",
            "-in", "\(folder)/request.pem", "-out", "\(folder)/certificate.pem")
        return ("\(folder)/certificate.pem", "\(folder)/key.pem")
    }
}
