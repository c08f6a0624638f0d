import Foundation
import Testing

/// Whom the client believes, and what it says when it does not.
@Suite struct TLSTests {
    /// A client that is to give up at the first refusal.
    private func refusal(_ stage: Stage, _ server: Server, _ arguments: [String] = []) throws -> Program {
        let client = try stage.client(["--server", server.url, "--expose", "8000"] + arguments)
        #expect(try client.ended() == .code(69))
        #expect(try client.event("error").number("code") == 69)
        // Not one byte of the request, and so no key, went to a server that was not verified.
        #expect(server.program.count(ofLinesContaining: "client connected") == 0)
        return client
    }

    private func server(_ stage: Stage, _ identity: (certificate: String, key: String)) throws -> Server {
        try stage.server("--tls-cert", identity.certificate, "--tls-key", identity.key)
    }

    @Test func `a certificate for another host is refused by naming it`() throws {
        try Stage.run { stage in
            let authority = try Authority("Our Authority", on: stage)
            let server = try self.server(stage, authority.issue("DNS:other.example.org,DNS:third.example.org"))
            let client = try self.refusal(stage, server, ["--ca-file", authority.certificate])
            try client.line(containing: "localhost presented a certificate for other.example.org, third.example.org")
            try client.line(containing: "Connect using a name on the certificate")
        }
    }

    @Test func `an expired certificate is refused with its date`() throws {
        try Stage.run { stage in
            let authority = try Authority("Our Authority", on: stage)
            let server = try self.server(stage, authority.issue("DNS:localhost", isExpired: true))
            let client = try self.refusal(stage, server, ["--ca-file", authority.certificate])
            try client.line(containing: "localhost", "expired on 20")
            try client.line(containing: "Renew the server's certificate")
        }
    }

    @Test func `a self-signed certificate from elsewhere is refused with the fingerprint to compare`() throws {
        try Stage.run { stage in
            let server = try stage.server("--state-dir", "\(stage.folder)/elsewhere")
            let client = try self.refusal(stage, server)
            try client.line(containing: "localhost presented a self-signed certificate")
            try client.line(containing: "--fingerprint \(try #require(server.fingerprint))")
        }
    }

    @Test func `an unknown authority is refused by naming it`() throws {
        try Stage.run { stage in
            let server = try self.server(stage, Authority("Nobody We Know", on: stage).issue("DNS:localhost"))
            let client = try self.refusal(stage, server)
            try client.line(containing: "localhost presented a certificate of an unknown authority", "Nobody We Know")
            try client.line(containing: "--ca-file")
        }
    }

    @Test func `an authority given with --ca-file is believed, another is not`() throws {
        try Stage.run { stage in
            let echo = try stage.echo()
            let authority = try Authority("Our Authority", on: stage)
            let other = try Authority("Another Authority", on: stage)
            let server = try self.server(stage, authority.issue("DNS:localhost"))
            let tunnel = try stage.tunnel(server, to: [echo.port], arguments: ["--ca-file", authority.certificate])
            try exchange(stage.visit(tunnel.port))
            let client = try stage.client(["--server", server.url, "--expose", "8000", "--ca-file", other.certificate])
            #expect(try client.ended() == .code(69))
        }
    }

    @Test func `the right fingerprint is believed, another is not`() throws {
        try Stage.run { stage in
            let echo = try stage.echo()
            let server = try stage.server("--state-dir", "\(stage.folder)/elsewhere")
            let fingerprint = try #require(server.fingerprint)
            let tunnel = try stage.tunnel(server, to: [echo.port], arguments: ["--fingerprint", fingerprint])
            try exchange(stage.visit(tunnel.port))

            let wrong = "sha256:" + String(repeating: "ab", count: 32)
            let client = try stage.client(["--server", server.url, "--expose", "8000", "--fingerprint", wrong])
            #expect(try client.ended() == .code(69))
            try client.line(containing: "presented another certificate than the one of --fingerprint", fingerprint)
        }
    }

    @Test func `--insecure believes anybody and warns`() throws {
        try Stage.run { stage in
            let echo = try stage.echo()
            let server = try self.server(stage, Authority("Nobody We Know", on: stage).issue("DNS:other.example.org"))
            let tunnel = try stage.tunnel(server, to: [echo.port], arguments: ["--insecure"])
            try exchange(stage.visit(tunnel.port))
            try tunnel.client.line(containing: "warning", "certificate")
        }
    }

    @Test func `a certificate that cannot be used stops the server with 78`() throws {
        try Stage.run { stage in
            let authority = try Authority("Our Authority", on: stage)
            let (one, other) = (try authority.issue("DNS:localhost"), try authority.issue("DNS:localhost"))
            for (certificate, key) in [(one.certificate, other.key), ("\(stage.folder)/absent", one.key)] {
                let server = try stage.start(
                    "\(Toolchain.programs)/ws-tunnel-server",
                    ["--listen", "127.0.0.1:0", "--tls-cert", certificate, "--tls-key", key],
                    environment: ["SOCKETS_API_KEY": stage.key])
                #expect(try server.ended() == .code(78))
            }
        }
    }

    @Test func `the server's own certificate and key are kept, and only the user reads the key`() throws {
        try Stage.run { stage in
            let first = try stage.server()
            first.program.signal(SIGTERM)
            #expect(try first.program.ended() == .code(0))
            let second = try stage.server()
            #expect(first.fingerprint != nil && first.fingerprint == second.fingerprint)
            let folder = "\(stage.folder)/state/ws-tunnel"
            func mode(_ path: String) throws -> Int? {
                try FileManager.default.attributesOfItem(atPath: path)[.posixPermissions] as? Int
            }
            #expect(try mode(folder) == 0o700)
            #expect(try mode("\(folder)/server-key.pem") == 0o600)
        }
    }

    @Test func `TLS 1.1 is refused, TLS 1.2 and 1.3 are spoken`() throws {
        try Stage.run { stage in
            let server = try stage.server()
            func handshake(_ version: String) throws -> String {
                // Security level 0: the client alone would refuse to try the old version otherwise.
                let tool = try stage.start(
                    "openssl",
                    ["s_client", "-connect", "127.0.0.1:\(server.port)", version, "-cipher", "ALL:@SECLEVEL=0"])
                _ = try tool.ended()
                return tool.log().joined(separator: "\n")
            }
            let old = try handshake("-tls1_1")
            #expect(old.contains("alert protocol version"), "\(old)")
            #expect(try handshake("-tls1_2").contains("TLSv1.2"))
            #expect(try handshake("-tls1_3").contains("TLSv1.3"))
            try server.program.line(containing: "a connection ended before it was a tunnel connection")
        }
    }

    @Test func `a client that speaks the other of wss and ws is told so`() throws {
        try Stage.run { stage in
            let plain = try stage.server("--plain")
            let secure = try stage.client(["--server", "wss://localhost:\(plain.port)", "--expose", "8000", "--max-retries", "0"])
            #expect(try secure.ended() == .code(69))
            try secure.line(containing: "--plain is reached with ws://")

            let server = try stage.server()
            let open = try stage.client(["--server", "ws://localhost:\(server.port)", "--expose", "8000", "--max-retries", "0"])
            #expect(try open.ended() == .code(69))
            try open.line(containing: "Then use wss://")
        }
    }
}
