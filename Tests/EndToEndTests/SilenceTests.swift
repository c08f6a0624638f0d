import Foundation
import Testing

/// A way, or a program at its end, that falls silent: nothing says that the connection is gone.
@Suite(.serialized) struct SilenceTests {
    @Test func `a stalled way is noticed, and what it still held does no harm when it comes late`() throws {
        try Stage.run { stage in
            let source = try Traffic.Source(on: stage)
            let (tunnel, cutter) = try stage.cuttableTunnel(
                to: source.port, server: ["--keepalive", "1s"], client: ["--keepalive", "1s"])
            let traffic = try Traffic(from: source, through: tunnel.port, streams: 5, rate: 1 << 20, on: stage)
            cutter.stall(true)
            let paused = try tunnel.client.event("paused")
            #expect(paused["message"]?.contains("nothing was heard for 2 s") == true)
            try tunnel.server.program.event("paused")
            // The client's next connections are as silent as this one. All of them speak at once now.
            try eventually("the client does not dial") { cutter.connections.total >= 2 }
            cutter.stall(false)
            try tunnel.client.pausesEnded(1, within: Patience.long)
            try traffic.finish()
            #expect(tunnel.server.program.events("lost").isEmpty)
        }
    }

    @Test func `a stall that is shorter than anybody's patience costs nothing`() throws {
        try Stage.run { stage in
            let source = try Traffic.Source(on: stage)
            let (tunnel, cutter) = try stage.cuttableTunnel(to: source.port)
            let traffic = try Traffic(from: source, through: tunnel.port, streams: 5, rate: 1 << 20, on: stage)
            cutter.stall(true)
            Thread.sleep(until: Date() + 1)
            cutter.stall(false)
            try traffic.finish()
            #expect(try tunnel.client.pauses().isEmpty)
            #expect(cutter.connections.total == 1)
        }
    }

    /// The whole proof: `WS_TUNNEL_FREEZE_SECONDS=20 Tests/run --filter SilenceTests`.
    @Test(arguments: [true, false])
    func `a program that is stopped for seconds and continued has lost nothing`(isServer: Bool) throws {
        try Stage.run { stage in
            let source = try Traffic.Source(on: stage)
            let tunnel = try stage.tunnel(
                stage.server("--keepalive", "1s"), to: [source.port], arguments: ["--keepalive", "1s"])
            let traffic = try Traffic(from: source, through: tunnel.port, streams: 5, rate: 1 << 20, on: stage)
            let (frozen, waiting) = isServer ? (tunnel.server.program, tunnel.client) : (tunnel.client, tunnel.server.program)
            let start = Date()
            frozen.signal(SIGSTOP)
            try waiting.event("paused")
            Thread.sleep(until: start + TimeInterval(Extent.freezeSeconds))
            frozen.signal(SIGCONT)
            try tunnel.client.pausesEnded(1, within: Patience.long)
            try traffic.finish()
            #expect(tunnel.server.program.events("lost").isEmpty)
        }
    }

    /// The whole proof: `WS_TUNNEL_SILENCE_SECONDS=10 Tests/run --filter SilenceTests`.
    @Test(.enabled(if: Namespace.isPermitted, "dropping packets takes root, ip and nft"))
    func `while packets are dropped nothing is lost, and soon after they pass again everything flows`() throws {
        try Stage.run { stage in
            let network = try stage.enterNamespace()
            let source = try Traffic.Source(on: stage)
            let tunnel = try stage.tunnel(
                stage.server("--keepalive", "1s"), to: [source.port], arguments: ["--keepalive", "1s"])
            let traffic = try Traffic(from: source, through: tunnel.port, streams: 10, rate: 1 << 20, on: stage)
            let start = Date()
            try network.drop(tcp: tunnel.server.port)
            // 2.25 intervals, of up to 1.1 s.
            try tunnel.client.event("paused", within: 2.5 + 2 * Patience.slowness)
            try tunnel.server.program.event("paused", within: 2.5 + 2 * Patience.slowness)
            Thread.sleep(until: start + TimeInterval(Extent.silenceSeconds))
            try network.heal()
            try tunnel.client.pausesEnded(1, within: 5 * Patience.slowness)
            try traffic.finish()
            #expect(tunnel.server.program.events("lost").isEmpty)
        }
    }

    @Test func `a path that cuts idle connections is learned, and not idle any more`() throws {
        try Stage.run { stage in
            let echo = try stage.echo()
            let (tunnel, cutter) = try stage.cuttableTunnel(to: echo.port)
            let visitor = try stage.visit(tunnel.port)
            try exchange(visitor)
            cutter.limitIdleness(to: 4)
            try tunnel.client.line(
                containing: "this path cuts idle connections after about 4 s; pinging every 2 s from now on", within: Patience.usual)
            let count = try tunnel.client.pausesEnded(2).count
            // Three limits without a word of anybody's.
            Thread.sleep(until: Date() + 12)
            #expect(try tunnel.client.pauses().count == count)
            #expect(tunnel.client.count(ofLinesContaining: "this path cuts idle connections") == 1)
            try exchange(visitor)
        }
    }
}
