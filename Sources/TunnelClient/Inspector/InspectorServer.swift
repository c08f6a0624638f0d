internal import Logging
internal import NIOConcurrencyHelpers
internal import NIOCore
internal import NIOHTTP1
internal import NIOPosix
internal import TunnelTransport

/// The inspector on its address, on a loop of its own: an archive of everything that is kept does not hold up a tunnel.
package final class InspectorServer: Sendable {
    /// `http://127.0.0.1:4040`.
    package let url: String
    private let loops: MultiThreadedEventLoopGroup

    /// At once: a browser has six connections and keeps one for events, scripts have theirs.
    static let connectionLimit = 64

    /// Bytes of a request's body: a replay's, with 64 KiB of fields and what was written into the editor.
    static let bodyLimit = 1 << 20

    /// Without a byte in either direction; events have a sign of life more often than that.
    static let idleTime = TimeAmount.seconds(60)

    private init(url: String, loops: MultiThreadedEventLoopGroup) {
        self.url = url
        self.loops = loops
    }

    /// - Throws: `OperatorError` when nothing can be listened on there.
    package static func start(_ api: InspectorAPI, at address: InspectorAddress) async throws -> InspectorServer {
        let loops = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        let eventLoop = loops.next()
        do {
            let hub = try await eventLoop.submit { NIOLoopBound(InspectorHub(api, eventLoop: eventLoop), eventLoop: eventLoop) }.get()
            let channel = try await Self.listen(at: address, hub: hub, on: eventLoop)
            return InspectorServer(url: "http://\(address.text(port: channel.localAddress?.port ?? 0))", loops: loops)
        } catch {
            try? await loops.shutdownGracefully()
            throw error
        }
    }

    package func stop() async {
        try? await self.loops.shutdownGracefully()
    }

    private static func listen(
        at address: InspectorAddress, hub: NIOLoopBound<InspectorHub>, on eventLoop: any EventLoop
    ) async throws -> any Channel {
        let last = address.port == 0 ? 0 : Int(address.port) + Int(InspectorAddress.furtherPorts)
        for port in Int(address.port)...min(last, 65_535) {
            do {
                return try await Self.bootstrap(address, hub: hub, on: eventLoop).bind(host: address.host, port: port).get()
            } catch where isAddressTaken(error) && port < min(last, 65_535) {
                continue
            } catch {
                let range = port == Int(address.port) ? "\(address)" : "\(address), nor on the \(port - Int(address.port)) ports after it"
                throw OperatorError(
                    isAddressTaken(error) ? .taken : .failure, "the inspector cannot listen on \(range): \(describe(error))",
                    remedy: "Say where with --inspect 127.0.0.1:PORT, or --inspect off.")
            }
        }
        throw OperatorError(.badConfiguration, "the inspector has no port to listen on")
    }

    private static func bootstrap(
        _ address: InspectorAddress, hub: NIOLoopBound<InspectorHub>, on eventLoop: any EventLoop
    ) -> ServerBootstrap {
        ServerBootstrap(group: eventLoop)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .childChannelOption(.maxMessagesPerRead, value: 1)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    let pipeline = channel.pipeline.syncOperations
                    try pipeline.configureHTTPServerPipeline(withErrorHandling: true)
                    try pipeline.addHandler(IdleStateHandler(allTimeout: Self.idleTime))
                    try pipeline.addHandler(InspectorConnection(hub: hub.value, host: address.host))
                }
            }
    }
}

/// Who is connected to the inspector, and who of them follows the live list. Confined to its event loop.
final class InspectorHub {
    let api: InspectorAPI
    private let eventLoop: any EventLoop
    private(set) var connections = 0
    private var followers: [ObjectIdentifier: InspectorConnection] = [:]
    private var isScheduled = false

    /// Between two looks at what is new: 20 a second are enough for eyes, and fewer when there is much to say.
    private static let pause = TimeAmount.milliseconds(50)
    private static let longPause = TimeAmount.milliseconds(250)
    private static let many = 50
    /// A comment, so that either side learns of a connection that is gone.
    private static let signOfLife = TimeAmount.seconds(15)

    init(_ api: InspectorAPI, eventLoop: any EventLoop) {
        self.api = api
        self.eventLoop = eventLoop
    }

    func arrived() { self.connections += 1 }

    func left(_ connection: InspectorConnection) {
        self.connections -= 1
        guard self.followers.removeValue(forKey: ObjectIdentifier(connection)) != nil, self.followers.isEmpty else { return }
        self.api.store.watch(nil)
    }

    func follows(_ connection: InspectorConnection) {
        if self.followers.isEmpty {
            let bound = NIOLoopBound(self, eventLoop: self.eventLoop)
            self.api.store.watch { [eventLoop] in eventLoop.execute { bound.value.hasNews() } }
        }
        self.followers[ObjectIdentifier(connection)] = connection
        connection.sendNews()
        self.scheduleSignOfLife(ObjectIdentifier(connection))
    }

    private func hasNews() {
        guard !self.isScheduled, !self.followers.isEmpty else { return }
        self.isScheduled = true
        self.eventLoop.assumeIsolated().scheduleTask(in: Self.pause) { self.tell() }
    }

    private func tell() {
        self.isScheduled = false
        self.api.store.rearm()
        var most = 0
        for follower in self.followers.values { most = max(most, follower.sendNews()) }
        guard most > Self.many else { return }
        self.isScheduled = true
        self.eventLoop.assumeIsolated().scheduleTask(in: Self.longPause) { self.tell() }
    }

    private func scheduleSignOfLife(_ id: ObjectIdentifier) {
        self.eventLoop.assumeIsolated().scheduleTask(in: Self.signOfLife) {
            guard let follower = self.followers[id] else { return }
            follower.sendSignOfLife()
            self.scheduleSignOfLife(id)
        }
    }
}
