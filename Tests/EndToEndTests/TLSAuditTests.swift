import Foundation
import Testing

/// What testssl.sh, the usual auditor of TLS servers, says of ours.
@Suite struct TLSAuditTests {
    /// Findings about the test's certificate and its name, not about the server: a private authority publishes no revocation
    /// lists, localhost has no CAA record, and the certificate ends with the year, which may be near.
    private static let ofTheCertificate: Set<String> = [
        "cert_revocation", "DNS_CAArecord", "cert_expirationStatus", "cert_notAfter",
    ]

    @Test(.enabled(if: (try? Toolchain.find("testssl")) != nil, "testssl is missing: sudo apt-get install testssl.sh"))
    func `testssl finds nothing wrong with protocols, ciphers, forward secrecy and known attacks`() throws {
        try Stage.run { stage in
            let authority = try Authority("authority.test", on: stage)
            let identity = try authority.issue("DNS:localhost")
            let server = try stage.server("--tls-cert", identity.certificate, "--tls-key", identity.key)
            let file = "\(stage.folder)/findings.json"
            // -p versions, -s ciphers by kind, -f forward secrecy, -P preferences, -S certificate, -U vulnerabilities.
            // Its exit code counts what it could not tell, such as which service this is.
            let audit = try stage.start(
                "testssl",
                [
                    "--quiet", "--warnings", "off", "--color", "0", "--ip", "one", "--jsonfile", file,
                    "--add-ca", authority.certificate, "-p", "-s", "-f", "-P", "-S", "-U", "localhost:\(server.port)",
                ])
            try audit.ended(within: Patience.long)
            let findings = try #require(
                JSONSerialization.jsonObject(with: Data(contentsOf: URL(fileURLWithPath: file))) as? [[String: Any]])
            func select(_ severities: Set<String>) -> [String: String] {
                let wanted = findings.filter { severities.contains($0["severity"] as? String ?? "") }
                return Dictionary(
                    wanted.map { ($0["id"] as? String ?? "", "\($0["severity"] ?? "") \($0["finding"] ?? "")") }, uniquingKeysWith: { $1 })
            }
            let bad = select(["LOW", "MEDIUM", "HIGH", "CRITICAL"]).filter { !Self.ofTheCertificate.contains($0.key) }
            #expect(bad.isEmpty, "\(bad)")
            // It did look: old versions, the chain, and attacks.
            let good = select(["OK"])
            for id in ["SSLv3", "TLS1_3", "cert_chain_of_trust", "heartbleed", "secure_client_renego", "BEAST"] {
                #expect(good[id] != nil, "\(id) was not found to be in order: \(findings.filter { $0["id"] as? String == id })")
            }
        }
    }
}
