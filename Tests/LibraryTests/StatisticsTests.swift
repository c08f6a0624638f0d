import Foundation
import Logging
import NIOCore
import NIOPosix
import Testing
import TunnelClient
import TunnelServer
import TunnelTransport

/// What the two library products count, in one process, with a wire between them that can be cut.
@Suite(.timeLimit(.minutes(5))) struct StatisticsTests {
    @Test func `what happens to a session is counted on both sides`() async throws {
        // Other tests may keep this one from its turn for minutes; what is waited for lasts until then.
        try await Pair.run(resumeWindow: .seconds(3_600)) { pair in
            #expect(pair.client.statistics.connections == 1)
            #expect(pair.client.statistics.openStreams == 0)
            #expect(pair.server.statistics.sessions == 1)

            let visitor = try await pair.visit()
            try await visitor.exchange("hello")
            #expect(pair.client.statistics.streams == 1)
            #expect(pair.client.statistics.openStreams == 1)
            #expect(pair.client.statistics.waitingStreams == 0)

            // What the wire swallows is sent again on the next connection.
            pair.wire.set(.swallowing)
            try await visitor.send(String(repeating: "x", count: 1_000))
            pair.wire.set(.refusing)
            try await eventually { pair.client.statistics.pausedLinks == 1 && pair.server.statistics.pausedSessions == 1 }
            #expect(pair.client.statistics.waitingStreams == 1)
            #expect(pair.client.statistics.openStreams == 1)
            pair.wire.set(.carrying)
            try await visitor.receive(1_000)
            try await eventually { pair.client.statistics.resumptions == 1 }
            #expect(pair.client.statistics.pauses == 1)
            #expect(pair.client.statistics.pausedLinks == 0)
            #expect(pair.client.statistics.waitingStreams == 0)
            #expect(pair.client.statistics.connections == 2)
            #expect(pair.client.statistics.lostSessions == 0)
            #expect(pair.server.statistics.pauses == 1)
            #expect(pair.server.statistics.resumptions == 1)
            #expect(pair.server.statistics.repeatedBytes >= 1_000)
            #expect(pair.server.statistics.pausedSessions == 0)
            #expect(pair.server.statistics.sessions == 1)

            visitor.close()
            try await eventually { pair.client.statistics.openStreams == 0 }
            #expect(pair.client.statistics.streams == 1)
        }
    }

    @Test(arguments: [1012, 1013] as [UInt16])
    func `a peer that restarts is replaced before it is left`(code: UInt16) async throws {
        try await Pair.run(resumeWindow: .seconds(3_600)) { pair in
            let visitor = try await pair.visit()
            try await visitor.exchange("hello")
            pair.wire.tellClients([0x88, 2, UInt8(code >> 8), UInt8(code & 0xff)])
            try await eventually { pair.client.statistics.connections == 2 }
            try await visitor.exchange("still there")
            #expect(pair.client.statistics.pauses == 0)
            #expect(pair.server.statistics.pauses == 0)
            #expect(pair.client.statistics.lostSessions == 0)
            #expect(pair.client.statistics.openStreams == 1)
        }
    }

    @Test func `a session that nobody carries on is lost on both sides, and its streams with it`() async throws {
        try await Pair.run(resumeWindow: .milliseconds(300)) { pair in
            let visitor = try await pair.visit()
            try await visitor.exchange("hello")
            pair.wire.set(.refusing)
            try await eventually { pair.client.statistics.lostSessions == 1 && pair.server.statistics.lostSessions == 1 }
            try await eventually { pair.client.statistics.openStreams == 0 && pair.client.statistics.pausedLinks == 0 }
            try await eventually { pair.server.statistics.sessions == 0 && pair.server.statistics.pausedSessions == 0 }
            #expect(pair.client.statistics.pauses == 1)
            #expect(pair.client.statistics.resumptions == 0)
            visitor.close()

            pair.wire.set(.carrying)
            try await eventually { pair.server.statistics.sessions == 1 }
            try await eventually { pair.client.statistics.connections == 2 }
        }
    }

    @Test(arguments: ["key", "another"])
    func `a client of the same id takes over only with the same key`(key: String) async throws {
        try await Pair.run(resumeWindow: .seconds(3_600)) { pair in
            let visitor = try await pair.visit()
            try await visitor.exchange("hello")
            pair.wire.set(.refusing)
            try await eventually { pair.server.statistics.pausedSessions == 1 }

            let folder = FileManager.default.temporaryDirectory.appendingPathComponent("ws-tunnel-\(UUID())").path
            defer { try? FileManager.default.removeItem(atPath: folder) }
            let (ends, announce) = AsyncStream<Bool>.makeStream()
            let exposure = Exposure(service: .tcp(host: "127.0.0.1", port: 9), remotePort: UInt16(pair.port))
            let second = Client(
                ClientConfiguration(
                    server: try ServerURL("ws://127.0.0.1:\(pair.serverPort)"), key: key, exposures: [exposure],
                    stateFolder: StateFolder(path: folder), clientID: "one and the same", gracePeriod: .zero),
                logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
            ) { event in
                if case .tunnel = event { announce.yield(true) }
            }
            let running = Task {
                defer { announce.finish() }
                try await second.run()
            }
            var tookOver = false
            for await isOpen in ends { tookOver = isOpen; break }
            #expect(tookOver == (key == "key"))
            if key == "key" {
                #expect(pair.server.statistics.sessions == 1)
            } else {
                pair.wire.set(.carrying)
                try await visitor.exchange("still there")
                #expect(pair.client.statistics.lostSessions == 0)
            }
            second.stop()
            _ = try? await running.value
        }
    }

    @Test func `a session that ends in order is not lost`() async throws {
        try await Pair.run(resumeWindow: .seconds(3_600)) { pair in
            pair.client.stop()
            try await eventually { pair.server.statistics.sessions == 0 }
            #expect(pair.server.statistics.lostSessions == 0)
            #expect(pair.client.statistics.lostSessions == 0)
            #expect(pair.server.statistics.pauses == 0)
        }
    }
}

/// A server and a client with a tunnel to an echo service.
private struct Pair {
    let server: Server
    let client: Client
    let wire: Wire
    /// The server's own, past the wire.
    let serverPort: Int
    let port: Int

    static func run(resumeWindow: Duration, _ body: (Pair) async throws -> Void) async throws {
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent("ws-tunnel-\(UUID())").path
        defer { try? FileManager.default.removeItem(atPath: folder) }
        let logger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
        let group = MultiThreadedEventLoopGroup.singleton
        let echo = try await ServerBootstrap(group: group)
            .childChannelInitializer { $0.eventLoop.makeCompletedFuture(withResultOf: { [channel = $0] in
                try channel.pipeline.syncOperations.addHandler(Echo())
            }) }
            .bind(host: "127.0.0.1", port: 0).get()
        defer { echo.close(promise: nil) }

        let (ready, announceReady) = AsyncStream<UInt16>.makeStream()
        let server = Server(
            ServerConfiguration(
                keys: ["key", "another"], listen: ListenAddress(host: "127.0.0.1", port: 0), bind: "127.0.0.1", security: .plain,
                stateFolder: StateFolder(path: folder), resumeWindow: resumeWindow, gracePeriod: .zero), logger: logger
        ) { event in
            if case .ready(let address, _) = event { announceReady.yield(address.port) }
        }
        // Whatever goes wrong, nobody waits for an event of a run that is over.
        let serving = Task {
            defer { announceReady.finish() }
            try await server.run()
        }
        defer { server.stop() }
        var ports = ready.makeAsyncIterator()
        let serverPort = Int(try #require(await ports.next()))
        let wire = try await Wire(to: serverPort)
        defer { wire.close() }

        let (tunnels, announceTunnel) = AsyncStream<String>.makeStream()
        let exposure = Exposure(service: .tcp(host: "127.0.0.1", port: UInt16(echo.localAddress?.port ?? 0)))
        let client = Client(
            ClientConfiguration(
                server: try ServerURL("ws://127.0.0.1:\(wire.port)"), key: "key", exposures: [exposure],
                stateFolder: StateFolder(path: folder), clientID: "one and the same", gracePeriod: .zero), logger: logger
        ) { event in
            if case .tunnel(_, let url, _) = event { announceTunnel.yield(url) }
        }
        let connecting = Task {
            defer { announceTunnel.finish() }
            try await client.run()
        }
        defer { client.stop() }
        var urls = tunnels.makeAsyncIterator()
        let url = try #require(await urls.next())
        let port = try #require(url.split(separator: ":").last.flatMap { Int($0) })

        try await body(Pair(server: server, client: client, wire: wire, serverPort: serverPort, port: port))
        client.stop()
        try await connecting.value
        server.stop()
        try await serving.value
    }

    func visit() async throws -> Visitor { try await Visitor(port: self.port) }
}

/// Someone at the public port.
private final class Visitor: Sendable {
    private let channel: any Channel
    private let received = Tally()

    init(port: Int) async throws {
        let tally = self.received
        self.channel = try await ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture { try channel.pipeline.syncOperations.addHandler(Meter(tally)) }
            }
            .connect(host: "127.0.0.1", port: port).get()
    }

    func send(_ text: String) async throws {
        try await self.channel.writeAndFlush(ByteBuffer(string: text)).get()
    }

    /// Waits until so many more bytes have come.
    func receive(_ count: Int) async throws {
        try await eventually { self.received.take(count) }
    }

    func exchange(_ text: String) async throws {
        try await self.send(text)
        try await self.receive(text.utf8.count)
    }

    func close() { self.channel.close(promise: nil) }
}
