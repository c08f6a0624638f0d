import Foundation
import Testing

/// How programs end, and how they find each other again.
@Suite struct LifeCycleTests {
    @Test(arguments: [SIGTERM, SIGINT])
    func `a signal ends both programs with 0 and their last event`(signal: Int32) throws {
        try Stage.run { stage in
            let echo = try stage.echo()
            let server = try stage.server("--grace-period", "0s")
            let one = try stage.tunnel(server, to: [echo.port], arguments: ["--grace-period", "0s"])
            let visitor = try stage.visit(one.port)
            try exchange(visitor)
            one.client.signal(signal)
            #expect(try one.client.ended() == .code(0))
            try one.client.event("stopped")
            try server.program.event("lost")
            #expect(visitor.awaitEnd() != .none)

            let two = try stage.tunnel(server, to: [echo.port])
            server.program.signal(signal)
            #expect(try server.program.ended() == .code(0))
            try server.program.event("stopped")
            try two.client.event("lost")
        }
    }

    @Test func `a client that waits for its next attempt ends at once when asked`() throws {
        try Stage.run { stage in
            let port = try stage.freePort()
            let client = try stage.client(["--server", "wss://localhost:\(port)", "--expose", "8000"])
            try client.line(containing: "cannot reach wss://localhost:\(port): connection refused")
            try client.line(containing: "Check that ws-tunnel-server is running", "Retrying in", "(attempt 1)")
            client.signal(SIGTERM)
            #expect(try client.ended() == .code(0))
        }
    }

    @Test func `a client started before its server finds it`() throws {
        try Stage.run { stage in
            let echo = try stage.echo()
            // The certificate exists already, as after any first start.
            let earlier = try stage.server()
            earlier.program.signal(SIGTERM)
            _ = try earlier.program.ended()
            let client = try stage.client(["--server", earlier.url, "--expose", "\(echo.port)"])
            try client.event("lost")
            _ = try stage.server(port: earlier.port)
            try exchange(stage.visit(try client.event("tunnel").port("url")))
        }
    }

    @Test func `after a crash of the server the client comes back, to the port it had`() throws {
        try Stage.run { stage in
            let echo = try stage.echo()
            let tunnel = try stage.tunnel(to: echo.port)
            let visitor = try stage.visit(tunnel.port)
            try exchange(visitor)
            tunnel.server.program.signal(SIGKILL)
            _ = try tunnel.server.program.ended()
            #expect(visitor.awaitEnd(within: 2) != .none)
            let mark = tunnel.client.mark
            _ = try stage.server(port: tunnel.server.port)
            #expect(try tunnel.client.event("tunnel", since: mark).port("url") == tunnel.port)
            try exchange(stage.visit(tunnel.port))
            #expect(tunnel.client.isRunning)
        }
    }

    @Test func `when its port is gone after a crash, the client takes another`() throws {
        try Stage.run { stage in
            let echo = try stage.echo()
            let tunnel = try stage.tunnel(to: echo.port)
            tunnel.server.program.signal(SIGKILL)
            _ = try tunnel.server.program.ended()
            _ = try stage.service(port: tunnel.port)
            let mark = tunnel.client.mark
            _ = try stage.server(port: tunnel.server.port)
            let port = try tunnel.client.event("tunnel", since: mark).port("url")
            #expect(port != tunnel.port)
            try exchange(stage.visit(port))
        }
    }

    @Test func `the streams of a client that crashed end when it does not come back`() throws {
        try Stage.run { stage in
            let echo = try stage.echo()
            let tunnel = try stage.tunnel(stage.server("--resume-window", "1s"), to: [echo.port])
            let visitor = try stage.visit(tunnel.port)
            try exchange(visitor)
            tunnel.client.signal(SIGKILL)
            // Cut off, not finished: a visitor must not take half an answer for a whole one.
            #expect(visitor.awaitEnd() == .reset)
        }
    }

    @Test(arguments: [true, false])
    func `a silent end of the connection is noticed, and mended once it speaks again`(isClient: Bool) throws {
        try Stage.run { stage in
            let echo = try stage.echo()
            let server = try stage.server("--keepalive", "1s")
            let tunnel = try stage.tunnel(server, to: [echo.port], arguments: ["--keepalive", "1s"])
            let visitor = try stage.visit(tunnel.port)
            try exchange(visitor)
            let mark = tunnel.client.mark
            let (frozen, waiting) = isClient ? (tunnel.client, server.program) : (server.program, tunnel.client)
            frozen.signal(SIGSTOP)
            let paused = try waiting.event("paused")
            #expect(paused["message"]?.contains("nothing was heard for 2 s") == true)
            frozen.signal(SIGCONT)
            try tunnel.client.event("resumed", since: mark, within: Patience.long)
            try exchange(visitor)
            try exchange(stage.visit(tunnel.port))
        }
    }

    @Test func `a second signal ends a server that waits for its clients`() throws {
        try Stage.run { stage in
            let echo = try stage.echo()
            let tunnel = try stage.tunnel(to: echo.port)
            // Its client will not say good-bye.
            tunnel.client.signal(SIGSTOP)
            let server = tunnel.server.program
            server.signal(SIGTERM)
            try server.line(containing: "stopping")
            let start = Date()
            server.signal(SIGTERM)
            #expect(try server.ended() == .code(1))
            #expect(Date().timeIntervalSince(start) < 1.5 * Patience.slowness)
        }
    }

    @Test func `retries are counted and end with 69 when told so`() throws {
        try Stage.run { stage in
            let port = try stage.freePort()
            let client = try stage.client(
                ["--server", "wss://localhost:\(port)", "--expose", "8000", "--max-retries", "1"])
            #expect(try client.ended() == .code(69))
            #expect(client.events("lost").count == 1)
        }
    }

    @Test func `an attempt that ends before its welcome counts as a failed one`() throws {
        try Stage.run { stage in
            let deserter = try stage.start("python3", [Toolchain.peer("deserter.py")])
            let port = try #require(try deserter.line(containing: "port ").split(separator: " ").last)
            let client = try stage.client(["--server", "ws://localhost:\(port)", "--expose", "8000", "--max-retries", "2"])
            #expect(try client.ended() == .code(69))
            #expect(client.events("lost").count == 2)
        }
    }

    @Test func `a name that does not resolve is named`() throws {
        try Stage.run { stage in
            let client = try stage.client(
                ["--server", "wss://no-such-host.invalid", "--expose", "8000", "--max-retries", "0"])
            #expect(try client.ended(within: Patience.long) == .code(69))
            try client.line(containing: "wss://no-such-host.invalid", "no-such-host.invalid does not resolve")
        }
    }

    @Test(arguments: [["--no-such-option"], ["--expose"], ["--expose", "1", "--expose", "2", "--remote-port", "3"]])
    func `a mistake on the command line ends with 64`(arguments: [String]) throws {
        try Stage.run { stage in
            let client = try stage.client(arguments)
            #expect(try client.ended() == .code(64))
        }
    }
}
