import Foundation
import Testing

/// One of the two programs is killed and started again.
@Suite struct CrashTests {
    @Test func `after a crash of the server old streams end with an error, and the client is back on its own port`() throws {
        try Stage.run { stage in
            let service = try stage.service()
            let tunnel = try stage.tunnel(to: service.port)
            let visitor = try stage.visit(tunnel.port)
            try visitor.send("hello")
            let served = try service.accept()
            _ = try served.receive(5)
            tunnel.server.program.signal(SIGKILL)
            let killed = Date()
            _ = try tunnel.server.program.ended()
            // Its kernel says so to the visitor; whether as an end or as a reset is the kernel's choice.
            #expect(visitor.awaitEnd(within: 1 * Patience.slowness) != .none)
            let mark = tunnel.client.mark
            Thread.sleep(until: killed + 2)
            _ = try stage.server(port: tunnel.server.port)
            #expect(try tunnel.client.event("tunnel", since: mark).port("url") == tunnel.port)
            // The server knows nothing of the session: only now is it certain that the stream is lost.
            #expect(served.awaitEnd(within: 1 * Patience.slowness) == .reset)
            try tunnel.client.event("lost", since: mark)
            let next = try stage.visit(tunnel.port)
            try next.send("hello")
            #expect(try service.accept().receiveText(5) == "hello")
        }
    }

    @Test(arguments: [true, false])
    func `a client that crashed gets its port back at once from its own dead predecessor`(isNamed: Bool) throws {
        try Stage.run { stage in
            let echo = try stage.echo()
            let (tunnel, arguments) = try self.named(stage, echo, isNamed ? "laptop" : nil)
            let visitor = try stage.visit(tunnel.port)
            try exchange(visitor)
            tunnel.client.signal(SIGKILL)
            _ = try tunnel.client.ended()
            let again = try stage.tunnel(tunnel.server, to: [echo.port], arguments: arguments)
            #expect(again.port == tunnel.port)
            try exchange(stage.visit(again.port))
            // What the dead one had open is over.
            #expect(visitor.awaitEnd() == .reset)
            #expect(again.client.events("error").isEmpty, "it was never refused")
        }
    }

    @Test func `a client that crashed without a wish for a port gets the one it had`() throws {
        try Stage.run { stage in
            let echo = try stage.echo()
            let server = try stage.server()
            let tunnel = try stage.tunnel(server, to: [echo.port], arguments: ["--client-id", "laptop"])
            tunnel.client.signal(SIGKILL)
            _ = try tunnel.client.ended()
            let again = try stage.tunnel(server, to: [echo.port], arguments: ["--client-id", "laptop"])
            #expect(again.port == tunnel.port)
        }
    }

    @Test func `the port of a client that crashed is kept for it alone`() throws {
        try Stage.run { stage in
            let echo = try stage.echo()
            let (tunnel, arguments) = try self.named(stage, echo, "laptop")
            tunnel.client.signal(SIGKILL)
            _ = try tunnel.client.ended()
            try tunnel.server.program.event("paused")
            let wish = ["--server", tunnel.server.url, "--expose", "\(echo.port),port=\(tunnel.port)"]
            let stranger = try stage.client(wish + ["--client-id", "desktop"])
            #expect(try stranger.ended() == .code(73))
            let again = try stage.tunnel(tunnel.server, to: [echo.port], arguments: arguments)
            #expect(again.port == tunnel.port)
        }
    }

    @Test func `after the resume window the port of a client that crashed is anybody's`() throws {
        try Stage.run { stage in
            let echo = try stage.echo()
            let (tunnel, _) = try self.named(stage, echo, "laptop", server: ["--resume-window", "1s"])
            let visitor = try stage.visit(tunnel.port)
            try exchange(visitor)
            tunnel.client.signal(SIGKILL)
            #expect(visitor.awaitEnd() == .reset)
            try tunnel.server.program.event("tunnel-closed")
            let other = try stage.tunnel(
                tunnel.server, to: [echo.port], arguments: ["--remote-port", "\(tunnel.port)", "--client-id", "desktop"])
            try exchange(stage.visit(other.port))
        }
    }

    @Test func `a client that lives keeps its port, whatever another calls itself`() throws {
        try Stage.run { stage in
            let echo = try stage.echo()
            let (tunnel, arguments) = try self.named(stage, echo, "laptop")
            let visitor = try stage.visit(tunnel.port)
            try exchange(visitor)
            let twin = try stage.client(["--server", tunnel.server.url, "--expose", "127.0.0.1:\(echo.port)"] + arguments)
            #expect(try twin.ended() == .code(73))
            try exchange(visitor)
            #expect(tunnel.client.events("lost", "paused").isEmpty)
        }
    }

    @Test func `clients side by side share a state folder and not a name`() throws {
        try Stage.run { stage in
            let echo = try stage.echo()
            let server = try stage.server()
            let first = try stage.tunnel(server, to: [echo.port])
            let second = try stage.tunnel(server, to: [echo.port])
            #expect(first.port != second.port)
            try exchange(stage.visit(first.port))
            second.client.signal(SIGKILL)
            _ = try second.client.ended()
            let again = try stage.tunnel(server, to: [echo.port])
            #expect(again.port == second.port)
            try exchange(stage.visit(first.port))
            #expect(first.client.events("lost", "paused").isEmpty)
        }
    }

    /// A tunnel with a port of its choice, and the arguments that ask for it again.
    private func named(
        _ stage: Stage, _ echo: Service, _ name: String?, server: [String] = []
    ) throws -> (Tunnel, [String]) {
        let arguments = ["--remote-port", "\(try stage.freePort())"] + (name.map { ["--client-id", $0] } ?? [])
        return (try stage.tunnel(stage.server(server), to: [echo.port], arguments: arguments), arguments)
    }
}
