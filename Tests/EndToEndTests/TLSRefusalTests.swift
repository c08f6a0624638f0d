import Foundation
import Testing

/// Servers that the client must not talk to, played by Python's ssl module, which tells how much it was sent.
@Suite struct TLSRefusalTests {
    /// The client ends with 69 and a line that contains `words`; the server has decrypted nothing.
    private func refuses(
        _ stage: Stage, _ identity: (certificate: String, key: String), _ options: [String] = [],
        arguments: [String] = [], words: String...
    ) throws {
        let server = try stage.start("python3", [Toolchain.peer("counter.py"), identity.certificate, identity.key] + options)
        let port = try #require(server.line(containing: "port ").split(separator: " ").last)
        let client = try stage.client(["--server", "wss://localhost:\(port)", "--expose", "8000"] + arguments)
        #expect(try client.ended() == .code(69))
        let log = client.log().joined(separator: "\n")
        for word in words { #expect(log.contains(word), "\(word) is not in:\n\(log)") }
        try server.line(containing: "decrypted 0 bytes")
    }

    @Test func `a certificate for another host gets not one byte, and its issuer is named`() throws {
        try Stage.run { stage in
            let authority = try Authority("Our Authority", on: stage)
            try self.refuses(
                stage, authority.issue("DNS:other.example.org"), arguments: ["--ca-file", authority.certificate],
                words: "localhost presented a certificate for other.example.org, issued by CN=Our Authority")
        }
    }

    @Test func `a certificate that has expired, or is not valid yet, gets not one byte`() throws {
        try Stage.run { stage in
            let authority = try Authority("Our Authority", on: stage)
            try self.refuses(
                stage, authority.issue("DNS:localhost", isExpired: true), arguments: ["--ca-file", authority.certificate],
                words: "CN=server expired on 20", "issued by CN=Our Authority")
            try self.refuses(
                stage, authority.issue("DNS:localhost", validFor: .nextYear), arguments: ["--ca-file", authority.certificate],
                words: "CN=server is not valid before 20", "issued by CN=Our Authority", "check the clocks")
        }
    }

    @Test func `a self-signed certificate, or one of an unknown authority, gets not one byte`() throws {
        try Stage.run { stage in
            let proxy = try Authority("Corporate Inspection", on: stage)
            try self.refuses(stage, (proxy.certificate, proxy.key), words: "a self-signed certificate (CN=Corporate Inspection)")
            try self.refuses(
                stage, proxy.issue("DNS:localhost"),
                words: "localhost presented a certificate of an unknown authority: CN=Corporate Inspection", "--ca-file")
        }
    }

    @Test func `another certificate than the one of --fingerprint gets not one byte`() throws {
        try Stage.run { stage in
            let proxy = try Authority("Corporate Inspection", on: stage)
            try self.refuses(
                stage, proxy.issue("DNS:localhost"),
                arguments: ["--fingerprint", "sha256:" + String(repeating: "ab", count: 32)],
                words: "another certificate than the one of --fingerprint", "issued by CN=Corporate Inspection")
        }
    }

    @Test func `a server of TLS 1.1 gets not one byte`() throws {
        try Stage.run { stage in
            let authority = try Authority("Our Authority", on: stage)
            try self.refuses(
                stage, authority.issue("DNS:localhost"), ["tls1.1"], arguments: ["--ca-file", authority.certificate],
                words: "speaks only versions of TLS below 1.2", "Allow TLS 1.2 or 1.3 on the server")
        }
    }

    @Test func `SSL_CERT_FILE and SSL_CERT_DIR replace the system's authorities, --ca-file adds to them`() throws {
        try Stage.run { stage in
            let echo = try stage.echo()
            let (one, other) = (try Authority("One", on: stage), try Authority("Other", on: stage))
            let identity = try one.issue("DNS:localhost")
            let server = try stage.server("--tls-cert", identity.certificate, "--tls-key", identity.key)
            let folder = "\(stage.folder)/authorities"
            try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
            try FileManager.default.copyItem(atPath: one.certificate, toPath: "\(folder)/one.pem")
            try stage.run("openssl", "rehash", folder)

            func client(_ environment: [String: String], _ arguments: [String] = []) throws -> Program {
                try stage.client(
                    ["--server", server.url, "--expose", "\(echo.port)"] + arguments,
                    environment: environment.merging(["SOCKETS_API_KEY": stage.key]) { $1 })
            }
            for (environment, arguments) in [
                (["SSL_CERT_FILE": one.certificate], []), (["SSL_CERT_DIR": folder], []),
                (["SSL_CERT_FILE": other.certificate], ["--ca-file", one.certificate]),
                (["SSL_CERT_FILE": one.certificate], ["--ca-file", other.certificate]),
            ] {
                try client(environment, arguments).event("tunnel")
            }
            #expect(try client(["SSL_CERT_FILE": other.certificate]).ended() == .code(69))
        }
    }
}
