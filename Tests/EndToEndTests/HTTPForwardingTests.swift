import Foundation
import Testing

/// What a request and an answer have on them when they arrive: whose they are, which host they are for, what was added or taken away.
@Suite struct HTTPForwardingTests {
    @Test func `the service learns who asked, by which scheme and which host, and nobody can lie about it`() throws {
        try Stage.run { stage in
            let tunnel = try stage.httpTunnel()
            let forged = """
                X-Forwarded-For: 203.0.113.7\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Host: bank.example\r\nX-Real-IP: 203.0.113.7\r
                Forwarded: for=203.0.113.7;proto=https;host=bank.example\r\nX-Request-Id: chosen\r\nX_Forwarded_For: 203.0.113.7\r\n
                """
            for (path, fields) in [("/echo/1", ""), ("/echo/2", forged)] {
                #expect(try tunnel.ask("GET", path, fields).status == 200)
                let request = try tunnel.origin.request(path)
                #expect(request["X-Forwarded-For"] == "127.0.0.1")
                #expect(request["X-Forwarded-Proto"] == "http")
                #expect(request["X-Forwarded-Host"] == tunnel.authority)
                #expect(request["X-Real-IP"] == nil || request["X-Real-IP"] == "127.0.0.1")
                let forwarded = request["Forwarded"] ?? ""
                #expect(forwarded.contains("127.0.0.1") && forwarded.contains("proto=http") && !forwarded.contains("203.0.113.7"))
                #expect(request["X-Request-Id"].map { $0.count >= 16 && $0 != "chosen" } == true)
                #expect(!request.head.contains("203.0.113.7") && !request.head.contains("bank.example"))
            }
        }
    }

    @Test func `a trusted proxy's word is passed on, and its address is not taken for the visitor's`() throws {
        try Stage.run { stage in
            let tunnel = try stage.httpTunnel(server: ["--trusted-proxies", "127.0.0.1"])
            let fields = """
                X-Forwarded-For: 198.51.100.1, 203.0.113.7\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Host: shop.example\r\nX-Request-Id: from-the-proxy-1\r\n
                """
            #expect(try tunnel.ask("GET", "/echo/1", fields).status == 200)
            let request = try tunnel.origin.request("/echo/1")
            #expect(request["X-Forwarded-For"]?.hasPrefix("198.51.100.1, 203.0.113.7") == true)
            #expect(request["X-Forwarded-Proto"] == "https" && request["X-Forwarded-Host"] == "shop.example")
            #expect(request["X-Request-Id"] == "from-the-proxy-1")
            // The one the client tells of is the visitor.
            try tunnel.client.event("request") { ($0["visitor"] ?? "").hasPrefix("203.0.113.7") }
        }
    }

    @Test func `each request has an id that the visitor, the service and the client's log share`() throws {
        try Stage.run { stage in
            let tunnel = try stage.httpTunnel()
            _ = try tunnel.ask("/echo/1")
            _ = try tunnel.ask("/echo/2")
            let ids = try ["/echo/1", "/echo/2"].map { try #require(tunnel.origin.request($0)["X-Request-Id"]) }
            #expect(ids[0] != ids[1])
            for id in ids { try tunnel.client.event("request") { $0["id"] == id } }
        }
    }

    @Test func `hop-by-hop fields end at the hop, and those that matter cannot be declared such`() throws {
        try Stage.run { stage in
            let tunnel = try stage.httpTunnel()
            let fields = """
                Connection: Hop, keep-alive\r\nHop: 1\r\nKeep-Alive: timeout=5\r\nProxy-Connection: keep-alive\r\nTE: trailers\r
                Proxy-Authorization: Basic eA==\r\nEnd: 1\r\n
                """
            #expect(try tunnel.ask("GET", "/echo/1", fields).status == 200)
            let request = try tunnel.origin.request("/echo/1")
            for name in ["Hop", "Keep-Alive", "Proxy-Connection"] { #expect(request[name] == nil, "\(name)") }
            #expect(request["End"] == "1")
            let attack = try tunnel.ask("GET", "/echo/2", "Connection: X-Forwarded-For, X-Forwarded-Proto, Host, X-Request-Id\r\n")
            if attack.status == 200 {
                let request = try tunnel.origin.request("/echo/2")
                #expect(request["X-Forwarded-For"] == "127.0.0.1" && request["Host"] == tunnel.authority)
                #expect(request["X-Forwarded-Proto"] == "http" && request["X-Request-Id"] != nil)
            } else {
                #expect(attack.status == 400)
            }
            let raw = "HTTP/1.1 200 OK\r\nConnection: Hop\r\nHop: 1\r\nKeep-Alive: timeout=9\r\nEnd: 1\r\nContent-Length: 2\r\n\r\nok"
            let answer = try tunnel.ask("/raw?\(HTTPVisitorTests.hex(raw))")
            #expect(answer.text == "ok" && answer["End"] == "1" && answer["Hop"] == nil && answer["Keep-Alive"] == nil)
        }
    }

    @Test(arguments: ["preserve", "rewrite", "inner.example"])
    func `the Host is the visitor's, the service's or one of one's choice`(mode: String) throws {
        try Stage.run { stage in
            let tunnel = try stage.httpTunnel(arguments: ["--host-header", mode])
            #expect(try tunnel.ask("/echo/1").status == 200)
            let request = try tunnel.origin.request("/echo/1")
            switch mode {
            case "preserve": #expect(request["Host"] == tunnel.authority)
            case "rewrite": #expect(request["Host"] == "127.0.0.1:\(tunnel.origin.port)")
            default: #expect(request["Host"] == mode)
            }
            #expect(request["X-Forwarded-Host"] == tunnel.authority)
        }
    }

    @Test func `fields are added and removed on the way there and on the way back`() throws {
        try Stage.run { stage in
            let tunnel = try stage.httpTunnel(arguments: [
                "--add-request-header", "X-Added: by the client", "--remove-request-header", "X-Secret",
                "--add-response-header", "Strict-Transport-Security: max-age=60", "--remove-response-header", "X-Origin",
            ])
            let answer = try tunnel.ask("GET", "/echo/1", "X-Secret: 1\r\nX-Other: 2\r\n")
            let request = try tunnel.origin.request("/echo/1")
            #expect(request["X-Added"] == "by the client" && request["X-Secret"] == nil && request["X-Other"] == "2")
            #expect(answer["Strict-Transport-Security"] == "max-age=60" && answer["X-Origin"] == nil)
        }
    }

    @Test func `the same as keys of one exposure among several`() throws {
        try Stage.run { stage in
            let (one, other) = (try stage.origin("one"), try stage.origin("other"))
            let server = try stage.httpServer()
            let client = try stage.client([
                "--server", server.url, "--inspect", "off",
                "--expose", "http://127.0.0.1:\(one.port),subdomain=one,request-header=+X-Added:yes,response-header=-X-Origin,host-header=rewrite",
                "--expose", "http://127.0.0.1:\(other.port),subdomain=other",
            ])
            let urls = try ["one", "other"].map { name in try #require(client.event("tunnel") { $0["url"]?.contains("://\(name).") == true }["url"]) }
            let tunnels = zip(urls, [one, other]).map { HTTPTunnel(server: server, client: client, origin: $1, url: $0, stage: stage) }
            #expect(try tunnels[0].ask("/echo/1")["X-Origin"] == nil)
            #expect(try tunnels[1].ask("/echo/1")["X-Origin"] == "other")
            #expect(try one.request("/echo/1")["X-Added"] == "yes" && one.request("/echo/1")["Host"] == "127.0.0.1:\(one.port)")
            #expect(try other.request("/echo/1")["X-Added"] == nil && other.request("/echo/1")["Host"] == tunnels[1].authority)
        }
    }

    @Test func `a service behind TLS and one on a UNIX socket are served alike`() throws {
        try Stage.run { stage in
            let authority = try Authority("authority", on: stage)
            let identity = try authority.issue("DNS:localhost,IP:127.0.0.1")
            let secure = try Origin("name=secure", "tls=\(identity.certificate),\(identity.key)", on: stage)
            let path = "\(stage.folder)/origin.sock"
            _ = try Origin("name=unix", "unix=\(path)", on: stage)
            let server = try stage.httpServer()
            let client = try stage.client([
                "--server", server.url, "--inspect", "off", "--expose", "https://127.0.0.1:\(secure.port),subdomain=secure",
                "--expose", "http+unix:\(path),subdomain=unix",
            ])
            for name in ["secure", "unix"] {
                let url = try #require(client.event("tunnel") { $0["url"]?.contains("://\(name).") == true }["url"])
                for _ in 1...2 { #expect(try Curl(["\(url)/echo"], on: stage).answer["X-Origin"] == name) }
            }
        }
    }

    @Test func `every request is a line in the log and an event, without the secrets of its query`() throws {
        try Stage.run { stage in
            let tunnel = try stage.httpTunnel()
            _ = try tunnel.ask("/bytes/1234?token=hush")
            let event = try tunnel.client.event("request")
            #expect(event["method"] == "GET" && event["path"] == "/bytes/1234" && event.number("status") == 200)
            #expect(event["visitor"]?.hasPrefix("127.0.0.1") == true && event["time"] != nil)
            #expect(tunnel.client.log().allSatisfy { !$0.contains("hush") })
            #expect(tunnel.server.program.log().allSatisfy { !$0.contains("hush") })
        }
    }

    @Test func `without --json each request is one line for people`() throws {
        try Stage.run { stage in
            let (origin, server) = (try stage.origin(), try stage.httpServer())
            let client = try stage.start(
                "\(Toolchain.programs)/ws-tunnel-client",
                ["--server", server.url, "--expose", "http://127.0.0.1:\(origin.port)", "--subdomain", "lines", "--inspect", "off"],
                environment: ["SOCKETS_API_KEY": stage.key])
            try client.line(containing: "lines.localhost")
            #expect(try Curl(["http://lines.localhost:\(server.port)/status/404"], on: stage).answer.status == 404)
            try client.line(containing: "GET", "/status/404", "404")
        }
    }
}
