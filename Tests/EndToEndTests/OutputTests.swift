import Foundation
import Testing

/// What the programs do with the outputs they were given.
@Suite struct OutputTests {
    @Test(arguments: ["info", "warning"])
    func `lines of requests come with the level info, and with no other`(level: String) throws {
        try Stage.run { stage in
            let origin = try stage.origin()
            let server = try stage.httpServer()
            let client = try stage.start(
                "\(Toolchain.programs)/ws-tunnel-client",
                ["--server", server.url, "--expose", "http://127.0.0.1:\(origin.port)", "--inspect", "off", "--log-level", level],
                environment: ["SOCKETS_API_KEY": stage.key])
            guard let url = try server.program.event("tunnel")["url"] else { throw Failure("the event tunnel has no url") }
            #expect(try Curl(["\(url)/listed"], on: stage).answer.status == 200)
            client.signal(SIGTERM)
            #expect(try client.ended() == .code(0))
            #expect(client.count(ofLinesContaining: "/listed") == (level == "info" ? 1 : 0))
        }
    }

    @Test func `events have no level`() throws {
        try Stage.run { stage in
            let tunnel = try stage.httpTunnel(arguments: ["--log-level", "error"])
            #expect(try tunnel.curl("/listed").answer.status == 200)
            #expect(try tunnel.client.event("request")["path"] == "/listed")
        }
    }
}
