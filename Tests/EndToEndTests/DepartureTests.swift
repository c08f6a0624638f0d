import Foundation
import Testing

/// Leaving in order: what is under way finishes, and nobody new is let in.
@Suite struct DepartureTests {
    @Test(arguments: [true, false], [true, false])
    func `a transfer that is under way finishes within the grace period, and nobody new is let in`(
        isServer: Bool, visitorIsLast: Bool
    ) throws {
        try Stage.run { stage in
            let service = try stage.service()
            let tunnel = try stage.tunnel(to: service.port)
            let visitor = try stage.visit(tunnel.port)
            try visitor.send("hello")
            let served = try service.accept()
            _ = try served.receive(5)
            let leaving = isServer ? tunnel.server.program : tunnel.client
            leaving.signal(SIGTERM)
            try tunnel.server.program.event("tunnel-closed")
            #expect(throws: Failure.self, "the port is closed") { _ = try Connection(to: tunnel.port) }
            if isServer {
                #expect(throws: Failure.self, "the server takes no clients") { _ = try Connection(to: tunnel.server.port) }
            }
            // Megabytes in both directions, begun after the signal.
            let bytes = [UInt8](repeating: 5, count: 8 << 20)
            let directions = [(visitor, served), (served, visitor)]
            for (sender, receiver) in visitorIsLast ? directions.reversed() : directions {
                Thread.detachNewThread {
                    try? sender.send(bytes)
                    sender.finish()
                }
                #expect(try receiver.receiveToEnd() == bytes)
            }
            #expect(try leaving.ended() == .code(0))
            try leaving.event("stopped")
        }
    }

    @Test(arguments: [true, false])
    func `what does not finish within the grace period is cut off`(isServer: Bool) throws {
        try Stage.run { stage in
            let echo = try stage.echo()
            let grace = ["--grace-period", "1s"]
            let tunnel = try stage.tunnel(
                stage.server(isServer ? grace : []), to: [echo.port], arguments: isServer ? [] : grace)
            let visitor = try stage.visit(tunnel.port)
            try exchange(visitor)
            let leaving = isServer ? tunnel.server.program : tunnel.client
            let start = Date()
            leaving.signal(SIGTERM)
            try tunnel.server.program.event("tunnel-closed")
            // Until then it works.
            try exchange(visitor)
            #expect(visitor.awaitEnd() == .reset)
            #expect(Date().timeIntervalSince(start) > 0.9)
            #expect(try leaving.ended() == .code(0))
        }
    }

    @Test func `a client that waits for its streams does not lose them with its connection`() throws {
        try Stage.run { stage in
            let echo = try stage.echo()
            let (tunnel, cutter) = try stage.cuttableTunnel(to: echo.port)
            let visitor = try stage.visit(tunnel.port)
            try exchange(visitor)
            tunnel.client.signal(SIGTERM)
            try tunnel.server.program.event("tunnel-closed")
            try cutter.cut()
            try exchange(visitor)
            visitor.finish()
            #expect(visitor.awaitEnd() == .endOfFile)
            #expect(try tunnel.client.ended() == .code(0))
        }
    }

    @Test(arguments: [true, false])
    func `without streams nobody waits for the grace period`(isServer: Bool) throws {
        try Stage.run { stage in
            let echo = try stage.echo()
            let tunnel = try stage.tunnel(to: echo.port)
            let visitor = try stage.visit(tunnel.port)
            try exchange(visitor)
            visitor.finish()
            #expect(visitor.awaitEnd() == .endOfFile)
            let leaving = isServer ? tunnel.server.program : tunnel.client
            leaving.signal(SIGTERM)
            #expect(try leaving.ended(within: Patience.usual) == .code(0))
        }
    }

    @Test(arguments: [true, false])
    func `a second signal ends a program that waits for its streams`(isServer: Bool) throws {
        try Stage.run { stage in
            let echo = try stage.echo()
            let tunnel = try stage.tunnel(to: echo.port)
            let visitor = try stage.visit(tunnel.port)
            try exchange(visitor)
            let leaving = isServer ? tunnel.server.program : tunnel.client
            leaving.signal(SIGTERM)
            try tunnel.server.program.event("tunnel-closed")
            try exchange(visitor)
            leaving.signal(SIGTERM)
            _ = try leaving.ended()
            #expect(visitor.awaitEnd() != .none)
        }
    }

    @Test func `while an old server lets its streams finish, its client is already at the new one`() throws {
        try Stage.run { stage in
            let service = try stage.service()
            let tunnel = try stage.tunnel(to: service.port)
            let visitor = try stage.visit(tunnel.port)
            try visitor.send("hello")
            let served = try service.accept()
            _ = try served.receive(5)
            let mark = tunnel.client.mark
            tunnel.server.program.signal(SIGTERM)
            try tunnel.server.program.event("tunnel-closed")
            _ = try stage.server(port: tunnel.server.port)
            // The old port is free already, so the next session has it.
            #expect(try tunnel.client.event("tunnel", since: mark).port("url") == tunnel.port)
            let next = try stage.visit(tunnel.port)
            try next.send("world")
            #expect(try service.accept().receiveText(5) == "world")
            try served.send("from before")
            #expect(try visitor.receiveText(11) == "from before")
            visitor.finish()
            #expect(served.awaitEnd() == .endOfFile)
            served.finish()
            #expect(visitor.awaitEnd() == .endOfFile)
            #expect(try tunnel.server.program.ended() == .code(0))
        }
    }

    /// A connection that is being opened when the server says that it leaves leads to the next server, which knows nothing of it.
    @Test(arguments: [true, false])
    func `a connection that was under way when its server left harms neither the old session nor the new one`(isMove: Bool) throws {
        try Stage.run { stage in
            let echo = try stage.echo()
            let (tunnel, cutter) = try stage.cuttableTunnel(
                to: echo.port, server: isMove ? ["--max-connection-age", "1s"] : [], client: isMove ? [] : ["--links", "2"])
            if !isMove { try tunnel.server.program.line(containing: "link added") }
            let visitors = try (1...2).map { _ in
                let visitor = try stage.visit(tunnel.port)
                try exchange(visitor)
                return visitor
            }
            cutter.delay(600)
            if !isMove { try cutter.cut(.reset, .oldest) }
            try eventually("nothing is under way") { cutter.waiting == 1 }
            let mark = tunnel.client.mark
            tunnel.server.program.signal(SIGTERM)
            try tunnel.server.program.event("tunnel-closed")
            try eventually("the next session does not begin") { cutter.waiting == 2 }
            let next = try stage.server(port: tunnel.server.port)
            cutter.delay(0)
            try exchange(stage.visit(tunnel.client.event("tunnel", since: mark).port("url")))
            // The connection that nobody waits for any more ends in order.
            try next.program.event("lost")
            #expect(tunnel.client.events("connected", since: mark).count == 1)
            #expect(next.program.events("paused").isEmpty)
            // Without a connection of its own the link's streams were lost with its session.
            for visitor in visitors { try? visitor.send("are you there?") }
            let answers = visitors.filter { $0.hasBytes(within: 1 * Patience.slowness) }.map { try? $0.receiveText(14) }
            #expect(answers == Array(repeating: "are you there?", count: isMove ? 2 : 1))
        }
    }

    @Test func `nor does a connection that was under way then, when it ends before its welcome`() throws {
        try Stage.run { stage in
            let echo = try stage.echo()
            let (tunnel, cutter) = try stage.cuttableTunnel(to: echo.port, server: ["--plain", "--max-connection-age", "1s"])
            let visitor = try stage.visit(tunnel.port)
            try exchange(visitor)
            cutter.delay(600)
            try eventually("nothing is under way") { cutter.waiting == 1 }
            tunnel.server.program.signal(SIGTERM)
            try tunnel.server.program.event("tunnel-closed")
            try eventually("the next session does not begin") { cutter.waiting == 2 }
            let deserter = try stage.start("python3", [Toolchain.peer("deserter.py"), "\(tunnel.server.port)"])
            try deserter.line(containing: "port ")
            cutter.delay(0)
            try tunnel.client.event("lost") { $0.number("attempt") == 3 }
            try exchange(visitor)
        }
    }

    @Test func `connections are replaced at their age, and streams under load notice nothing`() throws {
        try Stage.run { stage in
            let source = try Traffic.Source(on: stage)
            let (tunnel, cutter) = try stage.cuttableTunnel(to: source.port, server: ["--max-connection-age", "1s"])
            let traffic = try Traffic(from: source, through: tunnel.port, streams: 10, rate: 1 << 20, on: stage)
            try eventually("the connection never moves", within: Patience.long) { cutter.connections.total >= 5 }
            try traffic.finish()
            try eventually("\(cutter.connections.open) connections are left open") { cutter.connections.open <= 2 }
            #expect(tunnel.client.events("paused", "lost").isEmpty)
            #expect(tunnel.server.program.events("paused", "lost").isEmpty)
        }
    }

    /// A load balancer that restarts, or a server behind it that does, closes with these.
    @Test(arguments: [1001, 1012, 1013])
    func `after a Close that promises a return the stream goes on`(code: Int) throws {
        try Stage.run { stage in
            let service = try stage.service()
            let server = try stage.server("--plain")
            let closer = try stage.start(
                "python3", [Toolchain.peer("closer.py"), "\(server.port)", "\(code)"], opensInput: true)
            let port = try #require(try closer.line(containing: "port ").split(separator: " ").last.flatMap { UInt16($0) })
            let client = try stage.client(
                ["--server", "ws://localhost:\(port)", "--expose", "127.0.0.1:\(service.port)"])
            let visitor = try stage.visit(try client.event("tunnel").port("url"))
            try visitor.send("hello")
            let served = try service.accept()
            _ = try served.receive(5)
            for loss in 1...3 {
                let mark = closer.mark
                try closer.write("close\n")
                try closer.line(containing: "closed", since: mark)
                try visitor.send("there \(loss)")
                #expect(try served.receiveText(7) == "there \(loss)")
                try served.send("and back \(loss)")
                #expect(try visitor.receiveText(10) == "and back \(loss)")
            }
            #expect(client.events("lost").isEmpty)
            #expect(client.events("tunnel").count == 1)
        }
    }
}
