import Foundation
import Testing

/// What load balancers ask every few seconds.
@Suite struct HealthTests {
    private func ask(_ stage: Stage, _ server: Server, _ method: String, _ path: String) throws -> [String] {
        let curl = try stage.start(
            "curl",
            ["--silent", "--insecure", "--include", "--http1.1", "--max-time", "10"]
                + (method == "HEAD" ? ["--head"] : ["--request", method])
                + ["\(server.isPlain ? "http" : "https")://localhost:\(server.port)\(path)"])
        #expect(try curl.ended() == .code(0))
        return curl.log()
    }

    @Test(arguments: [["--plain"], []], ["/healthz", "/readyz"])
    func `a server that is well says so to anybody, and writes no line about it`(arguments: [String], path: String) throws {
        try Stage.run { stage in
            let server = try stage.server(arguments)
            let lines = server.program.mark
            let answer = try self.ask(stage, server, "GET", path)
            #expect(answer.first == "HTTP/1.1 200 OK")
            #expect(answer.last == (path == "/healthz" ? "ok" : "ready"))
            #expect(answer.contains("Connection: close"))
            let head = try self.ask(stage, server, "HEAD", path)
            #expect(head.first == "HTTP/1.1 200 OK")
            #expect(head.contains { $0.hasPrefix("Content-Length: ") && $0 != "Content-Length: 0" })
            #expect(head.last?.isEmpty != false || head.last?.contains(": ") == true, "a body after HEAD: \(head)")
            // Other paths still ask for an upgrade; the connections before have been answered by then.
            #expect(try self.ask(stage, server, "GET", "\(path)/").first?.hasPrefix("HTTP/1.1 426") == true)
            try server.program.line(containing: "refused a connection", since: lines)
            #expect(server.program.count(ofLinesContaining: "address=", since: lines) == 1)
        }
    }

    @Test func `a server that is going away is alive, and takes nobody new`() throws {
        try Stage.run { stage in
            let echo = try stage.echo()
            let tunnel = try stage.tunnel(stage.server("--plain"), to: [echo.port])
            let visitor = try stage.visit(tunnel.port)
            try exchange(visitor)
            // The port is closed soon: these arrive before, and ask after. Arrivals are accepted in their order.
            let paths = ["/readyz", "/healthz"]
            let early = try paths.map { _ in try stage.visit(tunnel.server.port) }
            #expect(try self.ask(stage, tunnel.server, "GET", "/readyz").first == "HTTP/1.1 200 OK")
            tunnel.server.program.signal(SIGTERM)
            try tunnel.server.program.event("tunnel-closed")
            var answers: [String] = []
            for (connection, path) in zip(early, paths) {
                try connection.send("GET \(path) HTTP/1.1\r\nHost: localhost\r\n\r\n")
                answers.append(String(decoding: try connection.receiveToEnd(), as: UTF8.self))
            }
            #expect(answers[0].hasPrefix("HTTP/1.1 503 Service Unavailable\r\n"))
            #expect(answers[1].hasPrefix("HTTP/1.1 200 OK\r\n"))
            try exchange(visitor)
        }
    }
}
