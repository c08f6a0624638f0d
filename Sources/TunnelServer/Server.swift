public import Logging
internal import NIOConcurrencyHelpers
internal import NIOCore
internal import NIOPosix
internal import OpenSSL
internal import TunnelTransport

/// A tunnel server: accepts clients, opens their tunnels, carries visitors to them.
public final class Server: Sendable {
    private let context: ServerContext
    private let logger: Logger
    private let stopping: AsyncStream<Void>
    private let requestStop: AsyncStream<Void>.Continuation
    private let reloading: AsyncStream<Void>
    private let requestReload: AsyncStream<Void>.Continuation

    /// - Parameter onEvent: Called on any thread; must not block.
    public init(
        _ configuration: ServerConfiguration, logger: Logger, onEvent: @escaping @Sendable (ServerEvent) -> Void = { _ in }
    ) {
        self.logger = logger
        self.context = ServerContext(configuration: configuration, logger: logger, emit: onEvent)
        (self.stopping, self.requestStop) = AsyncStream.makeStream()
        // One more reading covers however many were asked for meanwhile.
        (self.reloading, self.requestReload) = AsyncStream.makeStream(bufferingPolicy: .bufferingNewest(1))
    }

    /// As of now; may be asked from any thread, at any time.
    public var statistics: ServerStatistics { self.context.statistics }

    /// Runs until `stop()`.
    ///
    /// - Throws: `OperatorError` when it cannot start.
    public func run() async throws {
        let configuration = self.context.configuration
        try configuration.validate()
        let certificate = try ServerCertificate(configuration, logger: self.logger)
        // One loop a core: a connection and its streams stay on one, so nothing on the way of a byte locks.
        let loops = MultiThreadedEventLoopGroup(numberOfThreads: System.coreCount)
        let result: Result<Void, any Error>
        do {
            result = .success(try await self.run(on: loops, certificate))
        } catch {
            result = .failure(error)
        }
        // The last connections may still be on their way out of memory: the program must not end around them.
        try? await loops.shutdownGracefully()
        try result.get()
    }

    private func run(on loops: MultiThreadedEventLoopGroup, _ certificate: ServerCertificate) async throws {
        let configuration = self.context.configuration
        try await self.checkBind(loops)
        let listener = try await self.listen(loops) { certificate.context }
        let tlsListener = try await self.listenForNames(loops)
        let watcher = Task { await certificate.watchFiles() }
        let reloader = Task { for await _ in self.reloading { await certificate.reload() } }
        defer {
            watcher.cancel()
            reloader.cancel()
        }
        guard let address = listener.localAddress, let port = address.port else { return }
        self.context.listens(on: UInt16(truncatingIfNeeded: port))
        self.context.emit(
            .ready(
                listen: ListenAddress(host: configuration.listen.host, port: UInt16(truncatingIfNeeded: port)),
                fingerprint: certificate.fingerprint))
        for await _ in self.stopping { break }
        self.logger.info("stopping")
        self.context.goAway()
        try? await listener.close()
        try? await tlsListener?.close()
        await self.endSessions(loops.any())
    }

    /// Stops accepting, tells the clients, ends.
    public func stop() {
        self.requestStop.yield()
    }

    /// Reads the files of the certificate, its key and the clients' authorities again, for connections that come from now on.
    /// They are read by themselves, too, when they change.
    public func reload() {
        self.requestReload.yield()
    }

    private func listen(
        _ loops: MultiThreadedEventLoopGroup, _ tls: @escaping @Sendable () -> TLSContext?
    ) async throws(OperatorError) -> any Channel {
        let address = self.context.configuration.listen
        let context = self.context
        do {
            return try await Listeners.connections(
                host: address.host, port: Int(address.port), group: loops, connections: loops, tls: tls,
                proxies: context.proxies(context.configuration.proxyProtocol, "a connection"),
                names: { context.tlsTunnels },
                failed: { context.cannotAccept(on: "\(address)", $0) },
                delegate: { _ in FrontDoor(server: context) }
            ).get()
        } catch {
            throw Self.cannotListen(on: address, error, option: "--listen")
        }
    }

    /// The port for visitors of TLS tunnels alone, if there is one.
    private func listenForNames(_ loops: MultiThreadedEventLoopGroup) async throws(OperatorError) -> (any Channel)? {
        guard let address = self.context.configuration.tlsListen else { return nil }
        let context = self.context
        do {
            let listener = try await Listeners.serverNames(
                host: address.host, port: Int(address.port), group: loops, connections: loops,
                proxies: context.proxies(context.configuration.tunnelProxyProtocol, "a visitor"),
                tunnel: { context.tlsTunnel(of: $0) }, failed: { context.cannotAccept(on: "\(address)", $0) }
            ).get()
            if let port = listener.localAddress?.port { context.listensForNames(on: UInt16(truncatingIfNeeded: port)) }
            return listener
        } catch {
            throw Self.cannotListen(on: address, error, option: "--tls-listen")
        }
    }

    private static func cannotListen(on address: ListenAddress, _ error: any Error, option: String) -> OperatorError {
        OperatorError(
            isAddressInUse(error) ? .taken : .failure, "cannot listen on \(address): \(describe(error))",
            remedy: "Choose another address with \(option), or stop what uses this one.")
    }

    /// Tunnels' ports are opened when clients ask for them, who could not mend a mistake: it is found here.
    private func checkBind(_ loops: any EventLoopGroup) async throws(OperatorError) {
        let host = self.context.configuration.bind
        do {
            try await ServerBootstrap(group: loops).bind(host: host, port: 0).get().close()
        } catch {
            throw OperatorError(
                .badConfiguration, "cannot listen on --bind \(host): \(describe(error))",
                remedy: "Name an address of this machine, or all of them with 0.0.0.0 or, IPv6 too, ::.")
        }
    }

    /// Lets the sessions finish, and gives them a moment to say good-bye.
    private func endSessions(_ eventLoop: any EventLoop) async {
        let ended = self.context.stop(on: eventLoop, grace: self.context.configuration.gracePeriod)
        let limit = eventLoop.makePromise(of: Void.self)
        ended.cascade(to: limit)
        let timer = eventLoop.scheduleTask(
            in: .nanoseconds(self.context.configuration.gracePeriod.wholeNanoseconds) + .seconds(2)
        ) { limit.succeed(()) }
        try? await limit.futureResult.get()
        timer.cancel()
    }
}
