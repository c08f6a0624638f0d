import Foundation
import Testing

/// When a session does not go on: it is over, or its time is.
@Suite struct SessionEndTests {
    @Test func `after the resume window streams are reset at both ends, and the port is free for others`() throws {
        try Stage.run { stage in
            let service = try stage.service()
            let (tunnel, cutter) = try stage.cuttableTunnel(to: service.port, server: ["--resume-window", "1s"])
            let visitor = try stage.visit(tunnel.port)
            try visitor.send("hello")
            let served = try service.accept()
            _ = try served.receive(5)
            cutter.refuse(true)
            try cutter.cut()
            #expect(visitor.awaitEnd() == .reset)
            #expect(served.awaitEnd() == .reset)
            try tunnel.client.event("lost")
            try tunnel.server.program.event("lost")
            try tunnel.server.program.event("tunnel-closed")

            let other = try stage.tunnel(
                tunnel.server, to: [service.port], arguments: ["--remote-port", "\(tunnel.port)", "--client-id", "other"])
            #expect(other.port == tunnel.port)
            // The client begins anew, and takes what it gets.
            cutter.refuse(false)
            let again = try tunnel.client.event("tunnel", within: Patience.long) { (try? $0.port("url")) != tunnel.port }
            let late = try stage.visit(try again.port("url"))
            try late.send("hello")
            #expect(try service.accept().receiveText(5) == "hello")
        }
    }

    @Test func `a client that comes back when its session is over begins anew, on its own port`() throws {
        try Stage.run { stage in
            let echo = try stage.echo()
            let (tunnel, cutter) = try stage.cuttableTunnel(to: echo.port, server: ["--resume-window", "1s"])
            let visitor = try stage.visit(tunnel.port)
            try exchange(visitor)
            cutter.refuse(true)
            try cutter.cut()
            #expect(visitor.awaitEnd() == .reset)
            try tunnel.server.program.event("lost")
            let mark = tunnel.client.mark
            cutter.refuse(false)
            #expect(try tunnel.client.event("tunnel", since: mark, within: Patience.long).port("url") == tunnel.port)
            try exchange(stage.visit(tunnel.port))
        }
    }

    @Test func `without a resume window a lost connection ends its streams at once`() throws {
        try Stage.run { stage in
            let service = try stage.service()
            let (tunnel, cutter) = try stage.cuttableTunnel(to: service.port, server: ["--resume-window", "0s"])
            let visitor = try stage.visit(tunnel.port)
            try visitor.send("hello")
            let served = try service.accept()
            _ = try served.receive(5)
            let mark = tunnel.client.mark
            try cutter.cut()
            #expect(visitor.awaitEnd() == .reset)
            #expect(served.awaitEnd() == .reset)
            try tunnel.client.event("lost", since: mark)
            try tunnel.server.program.event("lost")
            #expect(try tunnel.client.event("tunnel", since: mark).port("url") == tunnel.port)
            #expect(tunnel.client.events("paused", "resumed").isEmpty)
            #expect(tunnel.server.program.events("paused", "resumed").isEmpty)
        }
    }

    @Test func `a client that stops in order ends its session at once`() throws {
        try Stage.run { stage in
            let echo = try stage.echo()
            let tunnel = try stage.tunnel(to: echo.port)
            let visitor = try stage.visit(tunnel.port)
            try exchange(visitor)
            visitor.finish()
            #expect(visitor.awaitEnd() == .endOfFile)
            tunnel.client.signal(SIGTERM)
            #expect(try tunnel.client.ended() == .code(0))
            try tunnel.server.program.event("lost")
            #expect(tunnel.server.program.events("paused").isEmpty)
            let other = try stage.tunnel(
                tunnel.server, to: [echo.port], arguments: ["--remote-port", "\(tunnel.port)", "--client-id", "other"])
            try exchange(stage.visit(other.port))
        }
    }

    @Test func `a client that has lost its connection still stops when asked`() throws {
        try Stage.run { stage in
            let echo = try stage.echo()
            let (tunnel, cutter) = try stage.cuttableTunnel(to: echo.port, client: ["--grace-period", "1s"])
            let visitor = try stage.visit(tunnel.port)
            try exchange(visitor)
            cutter.refuse(true)
            try cutter.cut()
            try tunnel.client.event("paused")
            tunnel.client.signal(SIGTERM)
            #expect(try tunnel.client.ended() == .code(0))
            try tunnel.client.event("stopped")
        }
    }
}
