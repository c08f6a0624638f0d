import Foundation
import Testing

/// Whose name is whose: never two owners, the same client's the next time, and given back when its owner is gone.
@Suite struct HTTPNameTests {
    /// A client with an identity of its own, as another machine's would be.
    private func client(
        _ name: String, _ stage: Stage, _ server: Server, to origin: Origin, _ options: String = "", arguments: [String] = []
    ) throws -> Program {
        try stage.client(
            ["--server", server.url, "--expose", "http://127.0.0.1:\(origin.port)\(options)", "--inspect", "off", "--state-dir", "\(stage.folder)/\(name)"]
                + arguments)
    }

    @Test func `a name nobody chose is readable, and the same the next time`() throws {
        try Stage.run { stage in
            let (server, origin) = (try stage.httpServer(), try stage.origin())
            var urls: [String] = []
            for _ in 1...2 {
                let client = try self.client("mine", stage, server, to: origin)
                urls.append(try #require(client.event("tunnel")["url"]))
                client.signal(SIGTERM)
                _ = try client.ended()
            }
            #expect(urls[0] == urls[1])
            #expect(urls[0].wholeMatch(of: /http:\/\/[a-z]+-[a-z]+-[0-9a-f]{4}\.localhost:\d+/) != nil, "\(urls[0])")
            // Another client's, and another service's, are others.
            let other = try stage.origin("other")
            for (name, origin) in [("yours", origin), ("mine", other)] {
                let client = try self.client(name, stage, server, to: origin)
                #expect(try client.event("tunnel")["url"] != urls[0])
                client.signal(SIGTERM)
                _ = try client.ended()
            }
        }
    }

    @Test func `a name that another client has is refused with its name, and free once that is gone`() throws {
        try Stage.run { stage in
            let (server, origin) = (try stage.httpServer(), try stage.origin())
            let owner = try self.client("owner", stage, server, to: origin, arguments: ["--subdomain", "shop"])
            #expect(try owner.event("tunnel")["url"] == "http://shop.localhost:\(server.port)")
            let late = try self.client("late", stage, server, to: origin, arguments: ["--subdomain", "shop"])
            #expect(try late.ended() == .code(73))
            try late.line(containing: "shop.localhost", "taken")
            #expect(try Curl(["http://shop.localhost:\(server.port)/echo"], on: stage).answer.status == 200)
            owner.signal(SIGTERM)
            _ = try owner.ended()
            let next = try self.client("late", stage, server, to: origin, arguments: ["--subdomain", "shop"])
            #expect(try next.event("tunnel")["url"] == "http://shop.localhost:\(server.port)")
        }
    }

    @Test func `two exposures of one client cannot have the same name`() throws {
        try Stage.run { stage in
            let (server, origin) = (try stage.httpServer(), try stage.origin())
            let client = try self.client(
                "twice", stage, server, to: origin, ",subdomain=twice", arguments: ["--expose", "http://127.0.0.1:9,subdomain=twice"])
            let exit = try client.ended()
            #expect([.code(64), .code(73), .code(78)].contains(exit), "\(exit)")
            try client.line(containing: "twice")
        }
    }

    @Test func `many clients that want one name at once get it once`() throws {
        try Stage.run { stage in
            let (server, origin) = (try stage.httpServer(), try stage.origin())
            let clients = try (1...6).map { try self.client("racer\($0)", stage, server, to: origin, arguments: ["--subdomain", "gold"]) }
            try eventually("the race is not decided") { clients.count { $0.isRunning } == 1 }
            for client in clients where !client.isRunning { #expect(client.exit == .code(73)) }
            #expect(try clients.first { $0.isRunning }?.event("tunnel")["url"]?.contains("gold.localhost") == true)
        }
    }

    @Test func `a name is kept for its owner while the session can resume, and given back when it cannot`() throws {
        try Stage.run { stage in
            let server = try stage.httpServer("--resume-window", "3s")
            let (cutter, origin) = (try stage.cutter(to: server), try stage.origin())
            let owner = try self.client("owner", stage, server.behind(cutter), to: origin, arguments: ["--subdomain", "kept"])
            try owner.event("tunnel")
            cutter.refuse(true)
            try cutter.cut()
            let early = try self.client("early", stage, server, to: origin, arguments: ["--subdomain", "kept"])
            #expect(try early.ended() == .code(73))
            cutter.refuse(false)
            try owner.pausesEnded(1)
            #expect(try Curl(["http://kept.localhost:\(server.port)/echo"], on: stage).answer.status == 200)

            // Killed, it comes back as itself, and finds its name although the old session could still resume.
            owner.signal(SIGKILL)
            _ = try owner.ended()
            let again = try self.client("owner", stage, server, to: origin, arguments: ["--subdomain", "kept"])
            #expect(try again.event("tunnel")["url"]?.contains("kept.localhost") == true)
            again.signal(SIGKILL)
            _ = try again.ended()
            try eventually("the name is never given back") {
                let late = try self.client("late", stage, server, to: origin, arguments: ["--subdomain", "kept"])
                try eventually("neither refused nor accepted") { !late.isRunning || !late.events("tunnel").isEmpty }
                return late.isRunning
            }
        }
    }

    @Test func `a whole host name is for whom the server's policy lets have it`() throws {
        try Stage.run { stage in
            let origin = try stage.origin()
            let server = try stage.httpServer("--hostnames", "app.example.org,*.example.net")
            for host in ["app.example.org", "any.example.net"] {
                let client = try self.client(host, stage, server, to: origin, arguments: ["--hostname", host])
                #expect(try client.event("tunnel")["url"]?.contains("://\(host)") == true)
                let visitor = HTTPVisitor(try stage.visit(server.port))
                try visitor.send("GET /echo HTTP/1.1\r\nHost: \(host)\r\n\r\n")
                #expect(try visitor.answer().status == 200)
            }
            for host in ["www.example.org", "example.net", "a.b.example.net", "example.org"] {
                let client = try self.client("refused", stage, server, to: origin, arguments: ["--hostname", host])
                #expect(try client.ended() != .code(0))
                try client.line(containing: host)
            }
        }
    }

    @Test(arguments: ["-web", "web-", "a.b", "we_b", "é", String(repeating: "x", count: 64), ""])
    func `what is no name is refused before anything is tried`(name: String) throws {
        try Stage.run { stage in
            let (server, origin) = (try stage.httpServer(), try stage.origin())
            let client = try self.client("odd", stage, server, to: origin, arguments: ["--subdomain=\(name)"])
            #expect(try client.ended() == .code(name.isEmpty ? 64 : 78))
            try client.line(containing: name.isEmpty ? "--subdomain" : name)
            #expect(server.program.events("connected").isEmpty)
        }
    }

    @Test func `a server without a domain says what is missing`() throws {
        try Stage.run { stage in
            let (server, origin) = (try stage.httpServer("--public-host", "tunnel.example.com"), try stage.origin())
            let client = try self.client("mine", stage, server, to: origin)
            #expect(try client.ended() != .code(0))
            try client.line(containing: "--domain")
        }
    }

    @Test func `the URL has the domain, the scheme and the port that the server was told`() throws {
        try Stage.run { stage in
            let origin = try stage.origin()
            for (domain, url) in [("tunnel.example.com", "https://web.tunnel.example.com"), ("http://t.example:8080", "http://web.t.example:8080")] {
                let server = try stage.httpServer("--domain", domain)
                let client = try self.client("mine", stage, server, to: origin, arguments: ["--subdomain", "web"])
                #expect(try client.event("tunnel")["url"] == url)
                #expect(try server.program.event("tunnel")["url"] == url)
                let visitor = HTTPVisitor(try stage.visit(server.port))
                try visitor.send("GET /echo HTTP/1.1\r\nHost: WEB.\(domain.components(separatedBy: "://").last ?? "").\r\n\r\n")
                #expect([200, 400].contains(try visitor.answer().status))
                let plain = HTTPVisitor(try stage.visit(server.port))
                try plain.send("GET /echo HTTP/1.1\r\nHost: web.\(domain.components(separatedBy: "://").last ?? "")\r\n\r\n")
                #expect(try plain.answer().status == 200)
            }
        }
    }

    @Test func `an application's own health page is its own, and the server's stays the server's`() throws {
        try Stage.run { stage in
            let tunnel = try stage.httpTunnel()
            #expect(try tunnel.ask("/healthz")["X-Origin"] == "origin")
            for path in ["/healthz", "/readyz"] {
                let answer = try Curl(["http://127.0.0.1:\(tunnel.server.port)\(path)"], on: stage).answer
                #expect(answer.status == 200 && answer["X-Origin"] == nil)
            }
            // On the connection that a load balancer keeps for both.
            let visitor = try tunnel.visitor()
            for (host, isOrigin) in [(tunnel.authority, true), (tunnel.authority, true), ("127.0.0.1", false)] {
                try visitor.send("GET /healthz HTTP/1.1\r\nHost: \(host)\r\n\r\n")
                let answer = try visitor.answer()
                #expect(answer.status == 200 && (answer["X-Origin"] != nil) == isOrigin)
            }
        }
    }
}
