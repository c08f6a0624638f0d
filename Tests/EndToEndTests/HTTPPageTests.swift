import Foundation
import Testing

/// What a visitor is told when there is nobody to answer, or nobody yet.
@Suite struct HTTPPageTests {
    /// The same page for a person, a terminal and a program.
    private func pages(
        _ tunnel: HTTPTunnel, _ target: String = "/", host: String? = nil, status: Int, saying words: String...
    ) throws {
        for (accept, type) in [("text/html,*/*;q=0.8", "text/html"), ("text/plain", "text/plain"), ("application/json", "application/json")] {
            let visitor = try tunnel.visitor()
            try visitor.send("GET \(target) HTTP/1.1\r\nHost: \(host ?? tunnel.authority)\r\nAccept: \(accept)\r\n\r\n")
            let answer = try visitor.answer()
            #expect(answer.status == status, "\(accept): \(answer)")
            #expect(answer["Content-Type"]?.hasPrefix(type) == true, "\(answer)")
            #expect(answer["Cache-Control"]?.contains("no-store") == true)
            for word in words { #expect(answer.text.contains(word), "\(answer) lacks \(word)") }
            if type == "application/json" { #expect(answer.json["error"] is String && answer.json["message"] is String) }
            if type == "text/html" {
                #expect(answer.text.lowercased().contains("<!doctype html>"))
                // Nothing is fetched from elsewhere.
                #expect(!answer.text.contains("src=") && !answer.text.contains("@import") && !answer.text.contains("<link"))
            } else {
                #expect(!answer.text.contains("<html"))
            }
        }
        let visitor = try tunnel.visitor()
        try visitor.send("HEAD \(target) HTTP/1.1\r\nHost: \(host ?? tunnel.authority)\r\nConnection: close\r\n\r\n")
        #expect(try visitor.answer(to: "HEAD").status == status)
        #expect(try visitor.rest().isEmpty)
    }

    @Test func `a name that nobody has is 404, and what it says is not markup`() throws {
        try Stage.run { stage in
            let tunnel = try stage.httpTunnel()
            try self.pages(tunnel, host: "nobody.localhost:\(tunnel.server.port)", status: 404, saying: "nobody.localhost")
            let answer = try tunnel.visitor()
            try answer.send("GET / HTTP/1.1\r\nHost: <script>alert(1)</script>.localhost\r\nAccept: text/html\r\n\r\n")
            let page = try answer.answer()
            #expect([400, 404].contains(page.status) && !page.text.contains("<script>alert"))
            // The connection goes on: the next request may be for somebody.
            let visitor = try tunnel.visitor()
            try visitor.send("GET / HTTP/1.1\r\nHost: nobody.localhost\r\n\r\n")
            #expect(try visitor.answer().status == 404)
            try visitor.send("GET /echo HTTP/1.1\r\nHost: \(tunnel.authority)\r\n\r\n")
            #expect(try visitor.answer().status == 200)
        }
    }

    @Test func `a browser with a host of nobody's gets a page, and a program learns what answers here`() throws {
        try Stage.run { stage in
            let tunnel = try stage.httpTunnel()
            for (accept, status, words) in [("text/html,application/xhtml+xml;q=0.9,*/*;q=0.8", 404, "<title>"), ("*/*", 426, "upgrade")] {
                let visitor = try tunnel.visitor()
                try visitor.send("GET / HTTP/1.1\r\nHost: elsewhere.example\r\nAccept: \(accept)\r\n\r\n")
                let answer = try visitor.answer()
                #expect(answer.status == status && answer.text.contains(words), "\(answer)")
            }
        }
    }

    @Test func `a service that is down is 502, with the address at which nobody listens, and the client says so`() throws {
        try Stage.run { stage in
            let tunnel = try stage.httpTunnel()
            #expect(try tunnel.ask("/echo").status == 200)
            tunnel.origin.program.end()
            try self.pages(tunnel, status: 502, saying: "127.0.0.1:\(tunnel.origin.port)")
            try tunnel.client.line(containing: "127.0.0.1:\(tunnel.origin.port)", "listening")
            // A body that nobody takes does not confuse what follows.
            let visitor = try tunnel.visitor()
            try visitor.send("POST / HTTP/1.1\r\nHost: \(tunnel.authority)\r\nContent-Length: 5\r\n\r\nhello")
            #expect(try visitor.answer().status == 502)
            // It is found again without anybody's doing.
            _ = try Origin("name=again", "port=\(tunnel.origin.port)", on: stage)
            #expect(try tunnel.ask("/echo")["X-Origin"] == "again")
        }
    }

    @Test func `while the client is away its name is 503, not unknown`() throws {
        try Stage.run { stage in
            let tunnel = try stage.httpTunnel(",subdomain=away")
            #expect(try tunnel.ask("/echo").status == 200)
            tunnel.client.signal(SIGTERM)
            #expect(try tunnel.client.ended() == .code(0))
            try self.pages(tunnel, status: 503, saying: "away.localhost")
        }
    }

    @Test func `a server that is going lets a request under way finish and takes no new one`() throws {
        try Stage.run { stage in
            let tunnel = try stage.httpTunnel()
            let (visitor, idle) = (try tunnel.visitor(), try tunnel.visitor())
            try idle.send("GET /echo HTTP/1.1\r\nHost: \(tunnel.authority)\r\n\r\n")
            #expect(try idle.answer().status == 200)
            try visitor.send("GET /hold HTTP/1.1\r\nHost: \(tunnel.authority)\r\n\r\n")
            try tunnel.origin.program.event("held")
            tunnel.server.program.signal(SIGTERM)
            #expect(idle.connection.awaitEnd() == .endOfFile)
            try tunnel.origin.release()
            let answer = try visitor.answer()
            #expect(answer.text == "held\n" && answer["Connection"]?.lowercased() == "close")
            #expect(try tunnel.server.program.ended() == .code(0))
        }
    }

    @Test func `a client that is going lets a request under way finish`() throws {
        try Stage.run { stage in
            let tunnel = try stage.httpTunnel()
            #expect(try tunnel.ask("/echo").status == 200)
            let visitor = try tunnel.visitor()
            try visitor.send("GET /hold HTTP/1.1\r\nHost: \(tunnel.authority)\r\n\r\n")
            try tunnel.origin.program.event("held")
            tunnel.client.signal(SIGTERM)
            try eventually("new visitors still reach the service") { try tunnel.ask("/echo").status == 503 }
            try tunnel.origin.release()
            #expect(try visitor.answer().text == "held\n")
            // Idle visitors do not hold it.
            #expect(try tunnel.client.ended() == .code(0))
        }
    }

    // MARK: Resuming

    private func cuttable(_ stage: Stage) throws -> (tunnel: HTTPTunnel, cutter: Cutter) {
        let server = try stage.httpServer()
        let cutter = try stage.cutter(to: server)
        let tunnel = try stage.expose(stage.origin(), at: server.behind(cutter), ",subdomain=resumed")
        return (HTTPTunnel(server: server, client: tunnel.client, origin: tunnel.origin, url: tunnel.url, stage: stage), cutter)
    }

    @Test func `a request that is under way when the tunnel's connection is lost is answered all the same`() throws {
        try Stage.run { stage in
            let (tunnel, cutter) = try self.cuttable(stage)
            let visitor = try tunnel.visitor()
            try visitor.send("GET /hold HTTP/1.1\r\nHost: \(tunnel.authority)\r\n\r\n")
            try tunnel.origin.program.event("held")
            try cutter.cut()
            try tunnel.origin.release()
            #expect(try visitor.answer().text == "held\n")
            // Once, and not once for each connection.
            #expect(try tunnel.origin.requests().map(\.target) == ["/hold"])
        }
    }

    @Test func `bodies that the tunnel's connection is lost under arrive byte for byte`() throws {
        try Stage.run { stage in
            let (tunnel, cutter) = try self.cuttable(stage)
            for way in ["down", "up"] {
                let body = try stage.start(
                    "python3", [Toolchain.peer("bodies.py"), way, "\(tunnel.server.port)", tunnel.authority, "\(64 << 20)", "chunked"])
                for _ in 1...5 { try cutter.cut(after: 6 << 20) }
                #expect(try body.event("body", within: Patience.long)["verdict"] == "intact")
            }
        }
    }

    @Test func `a request that comes while the tunnel's connection is lost waits for the next one`() throws {
        try Stage.run { stage in
            let (tunnel, cutter) = try self.cuttable(stage)
            #expect(try tunnel.ask("/echo/before").status == 200)
            cutter.refuse(true)
            let mark = tunnel.server.program.mark
            try cutter.cut()
            try eventually("the server does not notice") { tunnel.server.program.log(since: mark).count > 0 || cutter.connections.open == 0 }
            let visitor = try tunnel.visitor()
            try visitor.send("GET /echo/while HTTP/1.1\r\nHost: \(tunnel.authority)\r\n\r\n")
            #expect(!visitor.connection.hasBytes(within: 0.3))
            cutter.refuse(false)
            #expect(try visitor.answer().status == 200)
        }
    }

    @Test func `one that waits in vain for five seconds is told to come again`() throws {
        try Stage.run { stage in
            let (tunnel, cutter) = try self.cuttable(stage)
            #expect(try tunnel.ask("/echo/before").status == 200)
            cutter.refuse(true)
            try cutter.cut()
            try eventually("the connection is not gone") { cutter.connections.open == 0 }
            let start = Date()
            let answer = try tunnel.ask("GET", "/echo/while", "Accept: text/html\r\n")
            #expect(answer.status == 503 && answer["Retry-After"].flatMap { Int($0) } != nil, "\(answer)")
            #expect(4...8 * Patience.slowness ~= Date().timeIntervalSince(start))
            cutter.refuse(false)
            try tunnel.client.pausesEnded(1, within: Patience.long)
            #expect(try tunnel.ask("/echo/after").status == 200)
            #expect(try !tunnel.origin.requests().contains { $0.target == "/echo/while" })
        }
    }
}
