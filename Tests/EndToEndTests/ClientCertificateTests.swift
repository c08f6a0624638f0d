import Foundation
import Testing

/// Servers that ask clients for certificates (mTLS).
@Suite struct ClientCertificateTests {
    private static let versions = ["-tls1_2", "-tls1_3"]

    @Test func `a certificate of --client-ca lets a client in, and the key is required all the same`() throws {
        try Stage.run { stage in
            let echo = try stage.echo()
            let authority = try Authority("Client Authority", on: stage)
            let server = try stage.server("--client-ca", authority.certificate)
            let own = try authority.issue("DNS:client", validFor: .now, usage: "clientAuth")
            let arguments = ["--client-cert", own.certificate, "--client-key", own.key]
            let tunnel = try stage.tunnel(server, to: [echo.port], arguments: arguments)
            try exchange(stage.visit(tunnel.port))

            let stranger = try stage.client(
                ["--server", server.url, "--expose", "8000"] + arguments, environment: ["SOCKETS_API_KEY": "wrong"])
            #expect(try stranger.ended() == .code(77))
        }
    }

    @Test func `a client without a certificate is told that one is required, and how to pass it`() throws {
        try Stage.run { stage in
            let authority = try Authority("Client Authority", on: stage)
            let server = try stage.server("--client-ca", authority.certificate)
            let client = try stage.client(["--server", server.url, "--expose", "8000"])
            #expect(try client.ended() == .code(69))
            try client.line(containing: "\(server.url) requires a client certificate")
            try client.line(containing: "Pass --client-cert and --client-key")
            try server.program.line(containing: "the other side presented no certificate")
            #expect(server.program.count(ofLinesContaining: "API key") == 0)
        }
    }

    @Test func `a certificate of another authority, an expired one or a server's is refused, and both sides say why`() throws {
        try Stage.run { stage in
            let authority = try Authority("Client Authority", on: stage)
            let server = try stage.server("--client-ca", authority.certificate)
            let cases = [
                (try Authority("Another Authority", on: stage).issue("DNS:client", validFor: .now, usage: "clientAuth"), "CN=Another Authority"),
                (try authority.issue("DNS:client", validFor: .lastYear, usage: "clientAuth"), "expired on"),
                (try authority.issue("DNS:client", validFor: .now), "purpose"),
            ]
            for (own, reason) in cases {
                let mark = server.program.mark
                let client = try stage.client([
                    "--server", server.url, "--expose", "8000", "--client-cert", own.certificate, "--client-key", own.key,
                ])
                #expect(try client.ended() == .code(69))
                try client.line(containing: "refused the client certificate in \(own.certificate)")
                try server.program.line(containing: "CN=server", reason, since: mark)
            }
        }
    }

    @Test func `a renewed certificate serves the next connection, and one that cannot be used does not`() throws {
        try Stage.run { stage in
            let (one, other) = (try Authority("One", on: stage), try Authority("Other", on: stage))
            let (certificate, key) = ("\(stage.folder)/own.pem", "\(stage.folder)/own.key")
            func place(_ issued: (certificate: String, key: String)) throws {
                for (from, to) in [(issued.certificate, certificate), (issued.key, key)] {
                    try String(contentsOfFile: from, encoding: .utf8).write(toFile: to, atomically: true, encoding: .utf8)
                }
            }
            try place(one.issue("DNS:client", validFor: .now, usage: "clientAuth"))
            let first = try stage.server("--client-ca", one.certificate)
            let client = try stage.client([
                "--server", first.url, "--expose", "8000", "--client-cert", certificate, "--client-key", key,
            ])
            try client.event("tunnel")

            try "half".write(toFile: certificate, atomically: true, encoding: .utf8)
            first.program.end()
            try client.line(containing: "the new --client-cert cannot be used, the old one stays", "holds no PEM certificate")
            try place(other.issue("DNS:client", validFor: .now, usage: "clientAuth"))
            let mark = client.mark
            _ = try stage.server(["--client-ca", other.certificate], port: first.port)
            try client.event("tunnel", since: mark, within: Patience.long)
        }
    }

    @Test(arguments: Self.versions)
    func `another program's handshake needs the certificate in either version of TLS`(version: String) throws {
        try Stage.run { stage in
            let authority = try Authority("Client Authority", on: stage)
            let server = try stage.server("--client-ca", authority.certificate)
            let own = try authority.issue("DNS:client", validFor: .now, usage: "clientAuth")
            // An answer to a request proves the certificate; in TLS 1.3 the handshake alone would look complete.
            func request(_ arguments: [String]) throws -> String {
                let curl = try stage.start(
                    "curl",
                    ["-sk", "-o", "-", "-w", "status %{http_code}\n", version == "-tls1_2" ? "--tls-max" : "--tlsv1.3"]
                        + (version == "-tls1_2" ? ["1.2"] : []) + arguments + ["https://127.0.0.1:\(server.port)/"])
                _ = try curl.ended()
                return curl.log().joined(separator: "\n")
            }
            #expect(try request(["--cert", own.certificate, "--key", own.key]).contains("status 4"))
            #expect(try request([]).contains("status 000"))
        }
    }

    @Test func `a foreign server's refusal is explained too, with an alert or without`() throws {
        try Stage.run { stage in
            let authority = try Authority("Our Authority", on: stage)
            let identity = try authority.issue("DNS:localhost")
            for options in [[], ["silent"]] {
                let server = try stage.start(
                    "python3",
                    [Toolchain.peer("counter.py"), identity.certificate, identity.key, "client-ca=\(authority.certificate)"] + options)
                let port = try #require(server.line(containing: "port ").split(separator: " ").last)
                let client = try stage.client([
                    "--server", "wss://localhost:\(port)", "--expose", "8000", "--ca-file", authority.certificate, "--max-retries", "0",
                ])
                #expect(try client.ended() == .code(69))
                try client.line(containing: "requires a client certificate")
            }
        }
    }

    @Test func `files that cannot be used end either program with 78, and halves with 64`() throws {
        try Stage.run { stage in
            let authority = try Authority("Our Authority", on: stage)
            let (one, other) = (try authority.issue("DNS:a"), try authority.issue("DNS:b"))
            let absent = "\(stage.folder)/absent"
            for (arguments, words) in [
                (["--client-cert", absent, "--client-key", one.key], "cannot read \(absent)"),
                (["--client-cert", one.certificate, "--client-key", other.key], "is not the private key of the certificate"),
                (["--server", "ws://localhost:1", "--client-cert", one.certificate, "--client-key", one.key], "without TLS"),
            ] {
                let client = try stage.client(["--expose", "8000"] + arguments)
                #expect(try client.ended() == .code(78))
                try client.line(containing: words)
            }
            for (file, words) in [(absent, "cannot read \(absent)"), (one.key, "holds no PEM certificate")] {
                let server = try self.start(stage, ["--client-ca", file])
                #expect(try server.ended() == .code(78))
                try server.line(containing: words)
            }
            #expect(try self.start(stage, ["--plain", "--client-ca", authority.certificate]).ended() == .code(64))
            #expect(try stage.client(["--expose", "8000", "--client-cert", one.certificate]).ended() == .code(64))
        }
    }

    private func start(_ stage: Stage, _ arguments: [String]) throws -> Program {
        try stage.start(
            "\(Toolchain.programs)/ws-tunnel-server", ["--listen", "127.0.0.1:0"] + arguments,
            environment: ["SOCKETS_API_KEY": stage.key])
    }
}
