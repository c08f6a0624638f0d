import Foundation
import Testing

/// The client behind a company's forward proxy: the real ones, and some that misbehave.
///
/// Loopback never is behind a proxy, so the server listens on this machine's own address.
@Suite(
    .enabled(
        if: ForwardProxy.machineAddress != nil,
        "this machine has no address beyond loopback, and loopback never goes through a proxy"))
struct ForwardProxyTests {
    private let address = ForwardProxy.machineAddress ?? ""

    private func server(_ stage: Stage, _ arguments: String...) throws -> Server {
        try stage.server(["--listen", "\(self.address):0"] + arguments)
    }

    private func arguments(_ server: Server, to port: UInt16, host: String? = nil) throws -> [String] {
        [
            "--server", "wss://\(host ?? self.address):\(server.port)", "--expose", "127.0.0.1:\(port)",
            "--fingerprint", try #require(server.fingerprint),
        ]
    }

    /// A client that reaches its server through a proxy, and that says nothing of its password.
    private func works(
        _ stage: Stage, _ server: Server, proxy: String? = nil, _ more: [String] = [], environment: [String: String] = [:],
        host: String? = nil, secret: String = ForwardProxy.password
    ) throws {
        let echo = try stage.echo()
        let client = try stage.client(
            self.arguments(server, to: echo.port, host: host) + (proxy.map { ["--proxy", $0] } ?? [])
                + more + ["--log-level", "trace"],
            environment: ["SOCKETS_API_KEY": stage.key].merging(environment) { $1 })
        let visitor = try stage.visit(client.event("tunnel").port("url"))
        try exchange(visitor)
        try exchange(visitor, String(repeating: "0123456789abcdef", count: 16_384))
        try client.line(containing: "connected", "proxy=")
        visitor.close()
        client.signal(SIGTERM)
        #expect(try client.ended() == .code(0))
        #expect(client.count(ofLinesContaining: secret) == 0)
        #expect(client.count(ofLinesContaining: stage.key) == 0)
    }

    /// A client that gives up at once.
    @discardableResult
    private func refused(
        _ stage: Stage, _ server: Server, proxy: String, _ more: [String] = [], says words: String..., code: Int32 = 69
    ) throws -> Program {
        let client = try stage.client(self.arguments(server, to: 8000) + ["--proxy", proxy, "--log-level", "trace"] + more)
        #expect(try client.ended() == .code(code))
        let message = try #require(try client.event("error")["message"])
        for word in words { #expect(message.contains(word), "\(message)") }
        // Said once, and without the secrets.
        #expect(client.count(ofLinesContaining: "error: \(message)") <= 1)
        for secret in [stage.key, ForwardProxy.password, "p%40ss", "wr0ng"] {
            #expect(client.count(ofLinesContaining: secret) == 0)
        }
        return client
    }

    // MARK: Real proxies

    @Test func `through squid, with the password in the address, in the environment or in a file`() throws {
        try Stage.run { stage in
            let server = try self.server(stage)
            let squid = try ForwardProxy.squid(on: stage, to: server.port)
            let url = "http://user:p%40ss%3Aw0rd@\(squid.authority)"
            try self.works(stage, server, proxy: url)
            try self.works(stage, server, environment: ["HTTPS_PROXY": url])
            let file = try stage.file("proxy-password", "user:\(ForwardProxy.password)\n")
            try self.works(stage, server, ["--proxy-auth-file", file], environment: ["all_proxy": squid.authority])
            // It notes a tunnel when that has ended.
            try eventually("squid has not noted three tunnels") {
                let log = try String(contentsOfFile: "\(stage.folder)/squid-access.log", encoding: .utf8)
                return log.components(separatedBy: "CONNECT \(self.address):\(server.port) user").count > 3
            }
        }
    }

    @Test func `squid's refusals: no password, a wrong one, a port that it does not allow`() throws {
        try Stage.run { stage in
            let server = try self.server(stage)
            let squid = try ForwardProxy.squid(on: stage, to: server.port)
            let open = try self.refused(
                stage, server, proxy: "http://\(squid.authority)", says: squid.authority, "407", "it wants a user name and a password")
            try open.line(containing: "--proxy-auth-file")
            try self.refused(
                stage, server, proxy: "http://user:wr0ng@\(squid.authority)", says: squid.authority, "407",
                "it refused the user name or the password")
            let other = try self.server(stage)
            let closed = try self.refused(
                stage, other, proxy: "http://user:p%40ss%3Aw0rd@\(squid.authority)",
                says: squid.authority, "(squid/", "answered 403 (Forbidden) to CONNECT \(self.address):\(other.port)")
            try closed.line(containing: "allow CONNECT to port 443 only")
        }
    }

    @Test func `through tinyproxy, which answers in HTTP 1.0`() throws {
        try Stage.run { stage in
            let server = try self.server(stage)
            let tinyproxy = try ForwardProxy.tinyproxy(on: stage, to: server.port)
            try self.works(stage, server, proxy: "user:passw0rd@\(tinyproxy.authority)", secret: "passw0rd")
            try self.refused(
                stage, server, proxy: "http://user:wr0ng@\(tinyproxy.authority)", says: tinyproxy.authority, "answered 401",
                "it refused the user name or the password")
            try self.refused(stage, server, proxy: tinyproxy.authority, says: tinyproxy.authority, "(tinyproxy/", "answered 407")
        }
    }

    @Test func `through Apache`() throws {
        try Stage.run { stage in
            let server = try self.server(stage)
            let apache = try ForwardProxy.apache(on: stage, to: server.port)
            try self.works(stage, server, proxy: "http://user:p%40ss%3Aw0rd@\(apache.authority)")
            try self.refused(stage, server, proxy: "http://user:wr0ng@\(apache.authority)", says: apache.authority, "407", "Apache")
        }
    }

    @Test func `through dante without a login, the address resolved here or there`() throws {
        try Stage.run { stage in
            let server = try self.server(stage)
            let dante = try ForwardProxy.dante(on: stage, to: server.port)
            for scheme in ["socks5", "socks5h"] { try self.works(stage, server, proxy: "\(scheme)://\(dante.authority)") }
            let other = try self.server(stage)
            try self.refused(
                stage, other, proxy: "socks5h://\(dante.authority)",
                says: dante.authority, "\(self.address):\(other.port)", "connection not allowed by ruleset")
        }
    }

    @Test(.enabled(if: ForwardProxy.mayMount, "dante's users are the system's, and this user may not make a mount namespace"))
    func `through dante with a login; none and a wrong one are refused`() throws {
        try Stage.run { stage in
            let server = try self.server(stage)
            let dante = try ForwardProxy.danteWithLogin(on: stage, to: server.port)
            for scheme in ["socks5", "socks5h"] {
                try self.works(stage, server, proxy: "\(scheme)://user:p%40ss%3Aw0rd@\(dante.authority)")
            }
            try self.refused(
                stage, server, proxy: "socks5h://\(dante.authority)", says: dante.authority, "wants a user name and a password")
            try self.refused(
                stage, server, proxy: "socks5h://user:wr0ng@\(dante.authority)",
                says: dante.authority, "refused the user name or the password")
        }
    }

    @Test func `through an https proxy, whose certificate is verified by itself`() throws {
        try Stage.run { stage in
            let authority = try Authority("Our Authority", on: stage)
            let server = try self.server(stage)
            let squid = try ForwardProxy.squid(on: stage, to: server.port)
            let secured = try squid.secured(on: stage, authority.issue("DNS:localhost"))
            let url = "https://user:p%40ss%3Aw0rd@localhost:\(secured.port)"
            // The server's certificate goes by its fingerprint, the proxy's by its authority.
            try self.works(stage, server, proxy: url, environment: ["SSL_CERT_FILE": authority.certificate])
            try self.refused(
                stage, server, proxy: url, says: "localhost:\(secured.port)", "unknown authority", "Our Authority")
            // What is said of the server holds for the server alone.
            let insecure = try stage.client([
                "--server", "wss://\(self.address):\(server.port)", "--expose", "8000", "--insecure", "--proxy", url,
            ])
            #expect(try insecure.ended() == .code(69))
            try insecure.line(containing: "localhost:\(secured.port)", "unknown authority")
            try self.refused(
                stage, server, proxy: "https://\(squid.authority)", says: squid.authority, "does not speak TLS")
        }
    }

    @Test func `bulk through TLS in TLS arrives whole`() throws {
        try Stage.run { stage in
            let authority = try Authority("Our Authority", on: stage)
            let server = try self.server(stage)
            let squid = try ForwardProxy.squid(on: stage, to: server.port)
            let secured = try squid.secured(on: stage, authority.issue("DNS:localhost"))
            let service = try stage.start("python3", [Toolchain.peer("bulk.py"), "serve"])
            let port = try #require(try service.line(containing: "port ").split(separator: " ").last.flatMap { UInt16($0) })
            let client = try stage.client(
                self.arguments(server, to: port) + ["--proxy", "https://user:p%40ss%3Aw0rd@localhost:\(secured.port)"],
                environment: ["SOCKETS_API_KEY": stage.key, "SSL_CERT_FILE": authority.certificate])
            let visitor = try stage.start(
                "python3", [Toolchain.peer("bulk.py"), "visit", "\(client.event("tunnel").port("url"))", "16", "2"])
            #expect(try visitor.ended(within: Patience.long) == .code(0))
            #expect(visitor.log() == ["intact", "intact"])
            #expect(try client.pauses().isEmpty)
        }
    }

    @Test func `a proxy that restarts costs a pause, and no byte`() throws {
        try Stage.run { stage in
            let echo = try stage.echo()
            let server = try self.server(stage)
            let proxy = try ForwardProxy(on: stage, peer: "connect", "")
            let client = try stage.client(self.arguments(server, to: echo.port) + ["--proxy", proxy.authority])
            let visitor = try stage.visit(client.event("tunnel").port("url"))
            try exchange(visitor)
            proxy.program.end()
            try visitor.send("while it is away\n")
            _ = try ForwardProxy(on: stage, peer: "connect", "", port: proxy.port)
            #expect(try visitor.receiveText(17) == "while it is away\n")
            try client.event("resumed")
        }
    }

    // MARK: Misbehaving ones

    @Test func `the proxy resolves the server's name, and what comes with its 200 is discarded`() throws {
        try Stage.run { stage in
            let server = try self.server(stage)
            let proxy = try ForwardProxy(on: stage, peer: "connect", "HTTP/1.1 101 Switching Protocols\\r\\n\\r\\njunk")
            try self.works(stage, server, proxy: proxy.authority, host: "tunnel.test")
            try proxy.program.line(containing: "asked for tunnel.test:\(server.port)")
        }
    }

    @Test func `a WebSocket without TLS goes through CONNECT too`() throws {
        try Stage.run { stage in
            let echo = try stage.echo()
            let server = try self.server(stage, "--plain")
            let proxy = try ForwardProxy(on: stage, peer: "connect", "")
            let client = try stage.client(
                ["--server", "ws://tunnel.test:\(server.port)", "--expose", "\(echo.port)", "--allow-plain-text-key"],
                environment: ["SOCKETS_API_KEY": stage.key, "http_proxy": proxy.authority])
            try exchange(stage.visit(client.event("tunnel").port("url")))
            try proxy.program.line(containing: "asked for tunnel.test:\(server.port)")
        }
    }

    @Test func `SOCKS with a user and a password; socks5h leaves the name to the proxy`() throws {
        try Stage.run { stage in
            let server = try self.server(stage)
            let proxy = try ForwardProxy(on: stage, peer: "socks", "user", ForwardProxy.password)
            try self.works(stage, server, proxy: "socks5h://user:p%40ss%3Aw0rd@\(proxy.authority)", host: "tunnel.test")
            try proxy.program.line(containing: "asked for tunnel.test:\(server.port)")
            try self.refused(
                stage, server, proxy: "socks5h://user:wr0ng@\(proxy.authority)",
                says: proxy.authority, "refused the user name or the password")
        }
    }

    @Test func `a proxy that accepts NTLM and Negotiate only is named with the usual remedy`() throws {
        try Stage.run { stage in
            let server = try self.server(stage)
            let proxy = try ForwardProxy(
                on: stage, peer: "answer",
                "HTTP/1.1 407 Denied\\r\\nProxy-Authenticate: NTLM\\r\\nProxy-Authenticate: Negotiate\\r\\nContent-Length: 0\\r\\n\\r\\n")
            let client = try self.refused(
                stage, server, proxy: "http://user:p%40ss%3Aw0rd@\(proxy.authority)",
                says: proxy.authority, "407", "it accepts only NTLM, Negotiate")
            try client.line(containing: "such as px or cntlm")
            try proxy.program.line(containing: "asked for")
            #expect(proxy.program.count(ofLinesContaining: "asked for") == 1)
        }
    }

    @Test func `credentials that were good once are tried again seldom`() throws {
        try Stage.run { stage in
            let echo = try stage.echo()
            let server = try self.server(stage)
            let proxy = try ForwardProxy(on: stage, peer: "connect", "")
            let client = try stage.client(
                self.arguments(server, to: echo.port) + ["--proxy", "http://user:wr0ng@\(proxy.authority)"])
            let visitor = try stage.visit(client.event("tunnel").port("url"))
            try exchange(visitor)
            proxy.program.end()
            let strict = try ForwardProxy(
                on: stage, peer: "answer", "HTTP/1.1 407 Denied\\r\\nProxy-Authenticate: Basic realm=x\\r\\n\\r\\n", port: proxy.port)
            let paused = try client.event("paused", within: Patience.long) { $0["message"]?.contains("answered 407") == true }
            #expect(try #require(paused.number("retryInMilliseconds")) >= 30_000)
            #expect(strict.program.count(ofLinesContaining: "asked for") <= 1)
            #expect(client.isRunning)
        }
    }

    @Test func `what a proxy may do wrong is told apart`() throws {
        try Stage.run { stage in
            let server = try self.server(stage)
            let last = ["--max-retries", "0"]
            let closing = try ForwardProxy(on: stage, peer: "close", "-")
            try self.refused(stage, server, proxy: closing.authority, last, says: closing.authority, "closed the connection")
            let ssh = try ForwardProxy(on: stage, peer: "answer", "SSH-2.0-OpenSSH\\r\\n")
            try self.refused(stage, server, proxy: ssh.authority, says: ssh.authority, "not an HTTP proxy")
            let unreached = try ForwardProxy(on: stage, peer: "answer", "HTTP/1.1 503 Service Unavailable\\r\\n\\r\\n")
            try self.refused(stage, server, proxy: unreached.authority, last, says: unreached.authority, "answered 503")
            let refusing = try ForwardProxy(on: stage, peer: "reply", "5")
            try self.refused(
                stage, server, proxy: "socks5h://\(refusing.authority)", last, says: refusing.authority, "connection refused")
            let free = try stage.freePort()
            try self.refused(stage, server, proxy: "127.0.0.1:\(free)", last, says: "127.0.0.1:\(free)", "connection refused")
            try self.refused(
                stage, server, proxy: "http://no-such-proxy.invalid:3128", last,
                says: "no-such-proxy.invalid:3128", "does not resolve")
        }
    }

    @Test func `who answers the upgrade in the server's place is named, and the proxy with it`() throws {
        try Stage.run { stage in
            let portal = try stage.service { connection in
                _ = try connection.receiveSome(atMost: 4_096)
                try connection.send("HTTP/1.1 302 Found\r\nServer: portal\r\nLocation: http://login.example.com/\r\n\r\n")
                connection.finish()
            }
            let proxy = try ForwardProxy(on: stage, peer: "connect", "")
            let relay = try stage.client(
                [
                    "--server", "ws://localhost:\(portal.port)", "--expose", "8000",
                ])
            #expect(try relay.ended() == .code(69))
            try relay.line(containing: "(portal) answered 302 to the upgrade")
            try relay.line(containing: "It points to http://login.example.com/")
            let server = try self.server(stage, "--plain")
            let wrong = try stage.client(
                [
                    "--server", "wss://tunnel.test:\(server.port)", "--expose", "8000", "--max-retries", "0",
                    "--proxy", proxy.authority,
                ])
            #expect(try wrong.ended() == .code(69))
            try wrong.line(containing: "tunnel.test:\(server.port) through the proxy \(proxy.authority)")
        }
    }

    // MARK: Without one

    @Test func `loopback and NO_PROXY are reached without the proxy`() throws {
        try Stage.run { stage in
            let echo = try stage.echo()
            let nowhere = "http://127.0.0.1:\(try stage.freePort())"
            let local = try stage.client(
                ["--server", stage.server().url, "--expose", "\(echo.port)", "--proxy", nowhere])
            try exchange(stage.visit(local.event("tunnel").port("url")))
            try local.line(containing: "without the proxy of --proxy", "loopback")
            let server = try self.server(stage)
            let listed = try stage.client(
                self.arguments(server, to: echo.port),
                environment: ["SOCKETS_API_KEY": stage.key, "HTTPS_PROXY": nowhere, "NO_PROXY": "example.com, \(self.address)/32"])
            try exchange(stage.visit(listed.event("tunnel").port("url")))
            let none = try stage.client(
                self.arguments(server, to: echo.port) + ["--proxy", "none"],
                environment: ["SOCKETS_API_KEY": stage.key, "HTTPS_PROXY": nowhere])
            try exchange(stage.visit(none.event("tunnel").port("url")))
        }
    }

    @Test func `a proxy's address that cannot be used ends with 78 and is not repeated`() throws {
        try Stage.run { stage in
            let server = try self.server(stage)
            for url in ["ftp://user:wr0ng@proxy", "http://user:wr0ng@pro xy", "http://user:wr0ng%zz@proxy", "user:wr0ng"] {
                try self.refused(stage, server, proxy: url, says: "--proxy cannot be used", code: 78)
            }
            let file = try stage.file("no-colon", "wr0ng\n")
            try self.refused(
                stage, server, proxy: "proxy:3128", ["--proxy-auth-file", file], says: "a colon and a password", code: 78)
            let alone = try stage.client(self.arguments(server, to: 8000) + ["--proxy-auth-file", file])
            #expect(try alone.ended() == .code(78))
            try alone.line(containing: "there is --proxy-auth-file, and no proxy")
        }
    }
}
