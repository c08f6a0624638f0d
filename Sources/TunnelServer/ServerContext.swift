internal import Intermediaries
internal import Logging
internal import NIOConcurrencyHelpers
internal import NIOCore
internal import OpenSSL
internal import TunnelProtocol
internal import TunnelTransport
internal import WebSocketProtocol

/// What all connections of one server share.
final class ServerContext: Sendable {
    let configuration: ServerConfiguration
    let logger: Logger
    let throttle = AuthenticationThrottle()
    let trustedProxies: TrustedProxies
    let memory: MemoryBudget
    let emit: @Sendable (ServerEvent) -> Void

    private struct Sessions {
        var open: [SessionID: NIOLoopBound<ServerSession>] = [:]
        /// The newest session of each client that has a name.
        var named: [ClientIdentity: SessionID] = [:]
        var isStopping = false
        var whenEmpty: EventLoopPromise<Void>?
    }

    private let sessions = NIOLockedValueBox(Sessions())
    private let counted = NIOLockedValueBox(ServerStatistics())

    init(configuration: ServerConfiguration, logger: Logger, emit: @escaping @Sendable (ServerEvent) -> Void) {
        self.configuration = configuration
        self.trustedProxies = TrustedProxies(configuration.trustedProxies)
        self.memory = MemoryBudget(bytes: configuration.memoryBudget)
        self.logger = logger
        self.emit = emit
    }

    /// Arrivals wait in the kernel meanwhile.
    func cannotAccept(on address: String, _ why: String) {
        self.logger.warning(
            "cannot accept connections on \(address): \(why)",
            metadata: ["remedy": "Arrivals wait. Raise the limit on open files (ulimit -n) if this happens again."])
    }

    /// A listener's share of the PROXY protocol; `nil` where it is off.
    ///
    /// - Parameter what: What is refused, for the log: "a connection".
    func proxies(_ setting: ServerConfiguration.ProxyProtocol, _ what: String) -> ProxyListening? {
        guard setting != .off else { return nil }
        let logger = self.logger
        return ProxyListening(versions: setting.versions, trusted: self.trustedProxies) { peer, local, failure in
            // Load balancers connect and leave again to see whether we live; that is no news.
            let level: Logger.Level = if case .ended(isSilent: true) = failure { .debug } else { .notice }
            logger.log(
                level: level, "refused \(what)",
                metadata: [
                    "address": "\(peer?.description ?? "unknown")", "port": "\(local?.port ?? 0)",
                    "reason": "\(failure.explanation)",
                ])
        }
    }

    /// Compares with every key, in constant time each, so that the time does not tell which was nearly right.
    ///
    /// - Returns: Which key it is.
    func key(_ shown: String) -> Int? {
        var found: Int?
        for (index, known) in self.configuration.keys.enumerated() where constantTimeEqual(known.utf8, shown.utf8) {
            found = index
        }
        return found
    }

    func session(_ id: SessionID) -> NIOLoopBound<ServerSession>? {
        self.sessions.withLockedValue { $0.open[id] }
    }

    func session(of identity: ClientIdentity) -> NIOLoopBound<ServerSession>? {
        self.sessions.withLockedValue { sessions in sessions.named[identity].flatMap { sessions.open[$0] } }
    }

    /// - Returns: Why not, if it cannot be.
    func add(_ session: ServerSession, on eventLoop: any EventLoop) -> (code: CloseCode, reason: String)? {
        let bound = NIOLoopBound(session, eventLoop: eventLoop)
        return self.sessions.withLockedValue { sessions in
            guard !sessions.isStopping else { return (.goingAway, "the server is shutting down") }
            guard sessions.open.count < Limits.Implementation.sessions else {
                return (.tryAgainLater, "the server has as many sessions as it can hold")
            }
            sessions.open[session.id] = bound
            if let identity = session.identity { sessions.named[identity] = session.id }
            return nil
        }
    }

    /// The session is over: nobody finds it any more.
    func forget(_ session: ServerSession) {
        guard let identity = session.identity else { return }
        self.sessions.withLockedValue { sessions in
            if sessions.named[identity] == session.id { sessions.named[identity] = nil }
        }
    }

    func remove(_ session: ServerSession) {
        let promise = self.sessions.withLockedValue { sessions -> EventLoopPromise<Void>? in
            sessions.open[session.id] = nil
            return sessions.open.isEmpty ? sessions.whenEmpty : nil
        }
        promise?.succeed(())
    }

    // MARK: Counting

    var statistics: ServerStatistics {
        var statistics = self.counted.withLockedValue { $0 }
        statistics.sessions = self.sessions.withLockedValue { $0.open.count }
        return statistics
    }

    func count(_ change: (inout ServerStatistics) -> Void) {
        self.counted.withLockedValue(change)
    }

    // MARK: The end

    /// Whether new clients are let in: until `goAway()`.
    var takesClients: Bool { self.sessions.withLockedValue { !$0.isStopping } }

    /// No new clients from now on, also on connections that are here already.
    func goAway() {
        self.sessions.withLockedValue { $0.isStopping = true }
    }

    /// Asks every session to end.
    ///
    /// - Parameter grace: For the streams that are under way.
    /// - Returns: When they have.
    func stop(on eventLoop: any EventLoop, grace: Duration) -> EventLoopFuture<Void> {
        let promise = eventLoop.makePromise(of: Void.self)
        let open = self.sessions.withLockedValue { sessions in
            sessions.isStopping = true
            sessions.whenEmpty = promise
            return Array(sessions.open.values)
        }
        if open.isEmpty { promise.succeed(()) }
        for session in open {
            session.eventLoop.execute { session.value.leave(within: grace) }
        }
        return promise.futureResult
    }
}
