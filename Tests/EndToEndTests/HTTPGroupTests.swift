import Foundation
import Testing

/// Several clients on one name: requests are spread over those that are well, and any of them may go.
@Suite struct HTTPGroupTests {
    private struct Member {
        let origin: Origin
        let client: Program
    }

    private func join(
        _ name: String, _ stage: Stage, _ server: Server, arguments: [String] = ["--health-path", "/health"]
    ) throws -> Member {
        let origin = try stage.origin(name)
        let client = try stage.client(
            [
                "--server", server.url, "--expose", "http://127.0.0.1:\(origin.port)", "--subdomain", "group", "--group", "blue", "--inspect", "off",
                "--state-dir", "\(stage.folder)/\(name)",
            ] + arguments)
        #expect(try client.event("tunnel")["url"] == "http://group.localhost:\(server.port)")
        return Member(origin: origin, client: client)
    }

    private func ask(_ stage: Stage, _ server: Server, _ target: String = "/echo") throws -> Answer {
        let visitor = HTTPVisitor(try stage.visit(server.port))
        defer { visitor.connection.close() }
        try visitor.send("GET \(target) HTTP/1.1\r\nHost: group.localhost\r\n\r\n")
        return try visitor.answer()
    }

    @Test func `requests are spread over the members, those of one connection too`() throws {
        try Stage.run { stage in
            let server = try stage.httpServer()
            _ = try ["a", "b", "c"].map { try self.join($0, stage, server) }
            let visitor = HTTPVisitor(try stage.visit(server.port))
            var count: [String: Int] = [:]
            for _ in 0..<60 {
                try visitor.send("GET /echo HTTP/1.1\r\nHost: group.localhost\r\n\r\n")
                count[try visitor.answer()["X-Origin"] ?? "", default: 0] += 1
            }
            #expect(count.keys.sorted() == ["a", "b", "c"] && count.values.allSatisfy { 10...30 ~= $0 }, "\(count)")
        }
    }

    @Test func `a group's name is no other group's, nor anybody's without one`() throws {
        try Stage.run { stage in
            let server = try stage.httpServer()
            let member = try self.join("a", stage, server)
            for (name, arguments) in [("red", ["--group", "red"]), ("none", [])] {
                let late = try stage.client(
                    ["--server", server.url, "--expose", "http://127.0.0.1:\(member.origin.port)", "--subdomain", "group", "--inspect", "off",
                     "--state-dir", "\(stage.folder)/\(name)"] + arguments)
                #expect(try late.ended() == .code(73), "\(name)")
            }
            #expect(try self.ask(stage, server)["X-Origin"] == "a")
        }
    }

    @Test func `a member that is not well is left out until it is, and the last one never is`() throws {
        try Stage.run { stage in
            let server = try stage.httpServer()
            let (a, b) = (try self.join("a", stage, server), try self.join("b", stage, server))
            func answered() throws -> Set<String> { Set(try (0..<10).map { _ in try self.ask(stage, server)["X-Origin"] ?? "" }) }
            #expect(try answered() == ["a", "b"])
            try a.origin.health(503)
            // Asked every five seconds, and not well after the second bad answer.
            try eventually("a is still asked", within: 15 * Patience.slowness) { try answered() == ["b"] }
            #expect(try answered() == ["b"])
            try b.origin.health(503)
            try eventually("nobody is well, and b alone is asked", within: 15 * Patience.slowness) { try answered() == ["a", "b"] }
            try b.origin.health(200)
            try a.origin.health(200)
            try eventually("a is never asked again", within: 15 * Patience.slowness) { try answered() == ["a", "b"] }
            // Who asks for its health is no visitor: it counts in no log.
            #expect(a.client.events("request").allSatisfy { $0["path"] != "/health" })
        }
    }

    @Test func `a member whose service is down hands the request on`() throws {
        try Stage.run { stage in
            let server = try stage.httpServer()
            let (a, _) = (try self.join("a", stage, server, arguments: []), try self.join("b", stage, server, arguments: []))
            a.origin.program.end()
            for _ in 0..<20 { #expect(try self.ask(stage, server)["X-Origin"] == "b") }
        }
    }

    @Test func `a deployment rolls under load, and no visitor notices`() throws {
        try Stage.run { stage in
            let server = try stage.httpServer()
            var members = try ["a", "b"].map { try self.join($0, stage, server) }
            let visitors = 8
            let crowd = try Crowd(visitors, at: server.port, asking: [("group.localhost", "a|b|c|d|e")], on: stage)
            for name in ["c", "d", "e"] {
                members.append(try self.join(name, stage, server))
                let mark = members[2].origin.program.mark
                try eventually("\(name) is never asked") { try !members[2].origin.requests(since: mark).isEmpty }
                // The oldest leaves as a service manager would have it, then its service.
                let old = members.removeFirst()
                old.client.signal(SIGTERM)
                #expect(try old.client.ended() == .code(0))
                old.origin.program.end()
            }
            let figures = try crowd.finish()
            #expect(figures.wrong == 0 && figures.failed == 0, "\(figures)")
            #expect(figures.by.count == 5 && figures.right > 100, "\(figures)")
        }
    }
}
