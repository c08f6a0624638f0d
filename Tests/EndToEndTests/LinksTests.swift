import Foundation
import Testing

/// One session over several connections.
@Suite struct LinksTests {
    /// A tunnel over so many connections, all of which stand.
    private func links(_ count: Int, to port: UInt16, on stage: Stage) throws -> (tunnel: Tunnel, cutter: Cutter) {
        let (tunnel, cutter) = try stage.cuttableTunnel(to: port, client: ["--links", "\(count)"])
        try eventually("\(cutter.connections.open) of \(count) connections stand") {
            cutter.connections.open == count
                && tunnel.server.program.count(ofLinesContaining: "link added") == count - 1
        }
        return (tunnel, cutter)
    }

    @Test func `streams are spread over all links, and the loss of one holds up only its own`() throws {
        try Stage.run { stage in
            let echo = try stage.echo()
            let (tunnel, cutter) = try self.links(4, to: echo.port, on: stage)
            let visitors = try (1...8).map { _ in
                let visitor = try stage.visit(tunnel.port)
                try exchange(visitor)
                return visitor
            }
            cutter.refuse(true)
            try cutter.cut(.reset, .oldest)
            #expect(try tunnel.client.event("paused").number("streams") == 2)
            for visitor in visitors { try visitor.send("are you there?") }
            // Six answer at once, and whoever arrives now is not kept waiting.
            let answers = visitors.filter { $0.hasBytes(within: 1 * Patience.slowness) }
            #expect(answers.count == 6)
            try exchange(stage.visit(tunnel.port))
            cutter.refuse(false)
            #expect(try tunnel.client.event("resumed").number("streams") == 2)
            for visitor in visitors { #expect(try visitor.receiveText(14) == "are you there?") }
            #expect(tunnel.client.events("lost").isEmpty)
        }
    }

    @Test func `eight links lose nothing while one or all of them are cut`() throws {
        try Stage.run { stage in
            let source = try Traffic.Source(on: stage)
            let (tunnel, cutter) = try self.links(8, to: source.port, on: stage)
            let traffic = try Traffic(from: source, through: tunnel.port, streams: 24, rate: 512 << 10, on: stage)
            func cameBack(_ count: Int) throws {
                try eventually("\(tunnel.client.events("resumed").count) of \(count) times a link came back") {
                    tunnel.client.events("resumed").count == count
                }
            }
            for cut in 1...3 {
                try cutter.cut(.reset, .oldest)
                try cameBack(cut)
            }
            try cutter.cut()
            try cameBack(3 + 8)
            try traffic.finish()
            #expect(tunnel.client.events("lost").isEmpty)
        }
    }

    @Test func `several links move to their next connections at their age`() throws {
        try Stage.run { stage in
            let source = try Traffic.Source(on: stage)
            let (tunnel, cutter) = try stage.cuttableTunnel(
                to: source.port, server: ["--max-connection-age", "1s"], client: ["--links", "3"])
            let traffic = try Traffic(from: source, through: tunnel.port, streams: 6, rate: 1 << 20, on: stage)
            try eventually("the connections never move", within: Patience.long) { cutter.connections.total >= 9 }
            try traffic.finish()
            #expect(tunnel.client.events("paused", "lost").isEmpty)
        }
    }

    @Test func `a link that cannot come back ends nothing while another stands`() throws {
        try Stage.run { stage in
            let echo = try stage.echo()
            let (tunnel, cutter) = try stage.cuttableTunnel(to: echo.port, client: ["--links", "2", "--max-retries", "1"])
            try tunnel.server.program.line(containing: "link added")
            let visitor = try stage.visit(tunnel.port)
            try exchange(visitor)
            cutter.refuse(true)
            // The session's first link was there first.
            try cutter.cut(.reset, .newest)
            try tunnel.client.event("paused") { $0.number("attempt") == 5 }
            try exchange(stage.visit(tunnel.port))
            // Once none stands, the attempts are counted.
            try cutter.cut()
            #expect(try tunnel.client.ended() == .code(69))
        }
    }

    @Test func `a client with several links stops in order`() throws {
        try Stage.run { stage in
            let echo = try stage.echo()
            let (tunnel, _) = try self.links(4, to: echo.port, on: stage)
            tunnel.client.signal(SIGTERM)
            #expect(try tunnel.client.ended() == .code(0))
            try tunnel.server.program.event("lost")
            #expect(tunnel.server.program.events("paused").isEmpty)
        }
    }
}
