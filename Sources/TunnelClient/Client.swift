public import Logging
internal import NIOConcurrencyHelpers
internal import NIOCore
internal import NIOPosix
internal import OpenSSL
internal import TunnelProtocol
internal import TunnelTransport

/// A tunnel client: keeps a session with a server and exposes services through it.
public final class Client: Sendable {
    private let configuration: ClientConfiguration
    private let logger: Logger
    private let emit: @Sendable (ClientEvent) -> Void
    private let state = NIOLockedValueBox(State())

    private struct State {
        var isStopping = false
        var session: NIOLoopBound<ClientSession>?
        var wait: CheckedContinuation<Void, Never>?
    }

    /// A connection that held this long was no failed attempt.
    private static let stableAfter = Duration.seconds(60)

    /// - Parameter onEvent: Called on any thread; must not block.
    public init(
        _ configuration: ClientConfiguration, logger: Logger, onEvent: @escaping @Sendable (ClientEvent) -> Void = { _ in }
    ) {
        self.configuration = configuration
        self.logger = logger
        self.emit = onEvent
    }

    /// Runs until `stop()`, through as many connections as it takes.
    ///
    /// - Throws: `OperatorError` when going on would not help.
    public func run() async throws {
        try self.configuration.validate()
        if self.configuration.server.isSecure, self.configuration.trust == .anything {
            self.emit(
                .warning(
                    OperatorError(
                        .badConfiguration, "the certificate of \(self.configuration.server) is not verified (--insecure)",
                        remedy: "Whoever stands in between reads everything, the API key too. Use --fingerprint instead.")))
        }
        let dialer = try self.makeDialer()
        // One link, so one loop: link, connection and services' sockets share it.
        let loops = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        defer { loops.shutdownGracefully { _ in } }
        let eventLoop = loops.next()
        let ports = RememberedPorts()
        var backoff = Backoff()
        var hasConnected = false
        var failuresInARow = 0
        while !self.isStopping {
            let started = Instant.now
            let end = await self.session(on: eventLoop, dialer, ports)
            if self.isStopping { return }
            hasConnected = hasConnected || end.wasConnected
            if end.wasConnected, Instant.now - started > Self.stableAfter { backoff.succeeded() }
            guard !end.isFinal(hasConnected: hasConnected) else { throw end.error }
            failuresInARow = end.wasConnected ? 0 : failuresInARow + 1
            if let limit = self.configuration.maximumRetries, failuresInARow > limit { throw end.error }
            let delay = backoff.failed(random: .random(in: 0..<1))
            self.emit(.lost(end.error, retryIn: delay, attempt: backoff.failures))
            await self.wait(delay, on: eventLoop)
        }
    }

    /// Says good-bye and ends `run()`.
    public func stop() {
        let (session, wait) = self.state.withLockedValue { state in
            state.isStopping = true
            defer { state.wait = nil }
            return (state.session, state.wait)
        }
        wait?.resume()
        if let session { session.eventLoop.execute { session.value.stop() } }
    }

    private var isStopping: Bool { self.state.withLockedValue { $0.isStopping } }

    /// One session, from dialling to its end.
    private func session(on eventLoop: any EventLoop, _ dialer: Dialer, _ ports: RememberedPorts) async -> SessionEnd {
        let ended = eventLoop.makePromise(of: SessionEnd.self)
        let (configuration, logger, emit) = (self.configuration, self.logger, self.emit)
        eventLoop.execute {
            let session = ClientSession(
                configuration: configuration, logger: logger, emit: emit, ports: ports, eventLoop: eventLoop, ended: ended)
            let bound = NIOLoopBound(session, eventLoop: eventLoop)
            let isStopping = self.state.withLockedValue { state in
                state.session = bound
                return state.isStopping
            }
            guard !isStopping else { return session.stop() }
            session.start(dialer)
        }
        let end = try? await ended.futureResult.get()
        self.state.withLockedValue { $0.session = nil }
        return end ?? SessionEnd(error: OperatorError(.failure, "the session ended"), wasConnected: false, retry: .always)
    }

    private func wait(_ delay: Duration, on eventLoop: any EventLoop) async {
        await withCheckedContinuation { continuation in
            let isStopping = self.state.withLockedValue { state in
                if !state.isStopping { state.wait = continuation }
                return state.isStopping
            }
            guard !isStopping else { return continuation.resume() }
            eventLoop.scheduleTask(in: .nanoseconds(delay.wholeNanoseconds)) {
                let waiting = self.state.withLockedValue { state in
                    defer { state.wait = nil }
                    return state.wait
                }
                waiting?.resume()
            }
        }
    }

    private func makeDialer() throws -> Dialer {
        let configuration = self.configuration
        var tls: TLSContext?
        if configuration.server.isSecure {
            do {
                tls = try TLSContext(client: try configuration.verification())
            } catch let error as OperatorError {
                throw error
            } catch {
                throw OperatorError(.badConfiguration, "\(error)", remedy: "Check --ca-file.")
            }
        }
        return Dialer(
            url: configuration.server, tls: tls, key: configuration.key,
            keepalive: KeepaliveConfiguration(interval: configuration.keepalive))
    }
}

extension ClientConfiguration {
    /// What OpenSSL is to accept.
    fileprivate func verification() throws -> PeerVerification {
        switch self.trust {
        case .anything: return .unverified
        case .fingerprint(let text):
            guard let fingerprint = CertificateFingerprint(text) else {
                throw OperatorError(
                    .badConfiguration, "\(text) is not a fingerprint",
                    remedy: "Write it as the server prints it: sha256: and 64 hexadecimal digits.")
            }
            return .fingerprint(fingerprint)
        case .authorities(let files):
            guard self.server.isLoopback, let own = try self.stateFolder.read(StateFiles.serverCertificate) else {
                return .authorities(extra: files)
            }
            return .authoritiesOr(fingerprint: try CertificateFingerprint(pem: own), extra: files)
        }
    }
}

/// The ports the server gave to each exposure, so that the next session can ask for the same. Confined to the event loop.
final class RememberedPorts: @unchecked Sendable {
    // Only sessions touch it, and those run one after another on one event loop.
    private var ports: [Int: UInt16] = [:]

    subscript(_ exposure: Int) -> UInt16? {
        get { self.ports[exposure] }
        set { self.ports[exposure] = newValue }
    }
}
