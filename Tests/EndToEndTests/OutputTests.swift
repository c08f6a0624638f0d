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

    #if os(Linux)
    @Test(arguments: ["ws-tunnel-server", "ws-tunnel-client"])
    func `outputs that were closed are not given to anything else`(name: String) throws {
        try Stage.run { stage in
            let server = try stage.server("--plain")
            let port = try stage.freePort()
            let arguments = name == "ws-tunnel-client"
                ? ["--server", server.url, "--expose", "8000", "--remote-port", "\(port)"] : ["--plain", "--listen", "127.0.0.1:\(port)"]
            let program = try stage.start(
                "bash", ["-c", "exec \"$@\" <&- >&- 2>&-", "sh", "\(Toolchain.programs)/\(name)"] + arguments,
                environment: ["SOCKETS_API_KEY": stage.key])
            try eventually("nobody listens on port \(port)") { !Service.isFree(port) }
            for descriptor in 0...2 {
                let file = try FileManager.default.destinationOfSymbolicLink(atPath: "/proc/\(program.pid)/fd/\(descriptor)")
                #expect(file == "/dev/null")
            }
        }
    }
    #endif

    @Test func `events have no level`() throws {
        try Stage.run { stage in
            let tunnel = try stage.httpTunnel(arguments: ["--log-level", "error"])
            #expect(try tunnel.curl("/listed").answer.status == 200)
            #expect(try tunnel.client.event("request")["path"] == "/listed")
        }
    }
}
