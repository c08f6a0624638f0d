internal import HTTPMessages
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
    let names = HostNames()
    /// Below which name tunnels have theirs; `nil`: nowhere.
    let domain: TunnelDomain?
    let emit: @Sendable (ServerEvent) -> Void

    private struct Sessions {
        var open: [SessionID: NIOLoopBound<ServerSession>] = [:]
        /// The newest session of each client that has a name.
        var named: [ClientIdentity: SessionID] = [:]
        var isStopping = false
        var whenEmpty: EventLoopPromise<Void>?
    }

    private struct Visitors {
        var open: [UInt64: NIOLoopBound<VisitorConnection>] = [:]
        var nextNumber: UInt64 = 0
        var whenEmpty: EventLoopPromise<Void>?
    }

    private let sessions = NIOLockedValueBox(Sessions())
    private let visitors = NIOLockedValueBox(Visitors())
    /// The port for visitors of TLS tunnels alone.
    private let tlsPort = NIOLockedValueBox<UInt16?>(nil)
    private let listeningPort = NIOLockedValueBox(UInt16(0))
    private let counted = NIOLockedValueBox(ServerStatistics())

    init(configuration: ServerConfiguration, logger: Logger, emit: @escaping @Sendable (ServerEvent) -> Void) {
        self.configuration = configuration
        self.trustedProxies = TrustedProxies(configuration.trustedProxies)
        self.memory = MemoryBudget(bytes: configuration.memoryBudget)
        self.domain = configuration.tunnelDomain
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

    // MARK: Visitors

    /// - Returns: Its number here, for `removeVisitor(_:)`; `nil` when it may not go on, as the server stops.
    func add(_ visitor: VisitorConnection) -> UInt64? {
        guard self.takesClients else { return nil }
        let bound = NIOLoopBound(visitor, eventLoop: visitor.eventLoop)
        return self.visitors.withLockedValue { visitors in
            visitors.nextNumber += 1
            visitors.open[visitors.nextNumber] = bound
            return visitors.nextNumber
        }
    }

    /// A connection goes on as another visitor, on another event loop, be the server stopping or not.
    func replaceVisitor(_ number: UInt64, with visitor: VisitorConnection) {
        let bound = NIOLoopBound(visitor, eventLoop: visitor.eventLoop)
        self.visitors.withLockedValue { $0.open[number] = bound }
    }

    /// Does nothing for one that was removed before.
    func removeVisitor(_ number: UInt64) {
        let promise = self.visitors.withLockedValue { visitors -> EventLoopPromise<Void>? in
            guard visitors.open.removeValue(forKey: number) != nil else { return nil }
            return visitors.open.isEmpty ? visitors.whenEmpty : nil
        }
        promise?.succeed(())
    }

    /// Those whose request is answered leave at once, the others with their answer.
    private func stopVisitors(on eventLoop: any EventLoop) -> EventLoopFuture<Void> {
        let promise = eventLoop.makePromise(of: Void.self)
        let open = self.visitors.withLockedValue { visitors in
            visitors.whenEmpty = promise
            return Array(visitors.open.values)
        }
        if open.isEmpty { promise.succeed(()) }
        for visitor in open { visitor.eventLoop.execute { visitor.value.serverStops() } }
        return promise.futureResult
    }

    // MARK: Names

    enum NameVerdict {
        /// The whole host name.
        case allowed(String)
        case refused(String)
    }

    /// Whether a key may have a name: a label below the domain, or a whole host name.
    func name(_ wanted: String, key: Int) -> NameVerdict {
        guard let name = TunnelName.normalizedHost(wanted) else {
            return .refused("\(wanted.printable) is not a name for a tunnel: letters, digits and - make one")
        }
        guard name.contains(".") else {
            guard let domain = self.domain else {
                return .refused(
                    "this server gives tunnels no names: its operator has to start it with --domain, or a whole host name is needed")
            }
            return .allowed("\(name).\(domain.name)")
        }
        if self.domain?.holds(name) == true { return .allowed(name) }
        let configuration = self.configuration
        let own = configuration.keys.indices.contains(key) ? configuration.hostnamesByKey[configuration.keys[key]] ?? [] : []
        if (configuration.hostnames + own).contains(where: { $0.matches(name) }) { return .allowed(name) }
        return .refused("this key may not have the name \(name): its operator has to allow it with --hostnames")
    }

    /// Whether a request for a host is a visitor's, be there a tunnel or not.
    func isForVisitors(_ host: String) -> Bool {
        self.domain?.holds(host) == true || self.names.knows(host)
    }

    /// Whom to ask for each connection; `nil` while there is no TLS tunnel.
    var tlsTunnels: (@Sendable (String) -> RemoteTunnel?)? {
        guard self.names.hasTLSTunnels else { return nil }
        return { self.tlsTunnel(of: $0) }
    }

    /// Whose a TLS connection is that asks for a host, and stays encrypted on its way through.
    func tlsTunnel(of host: String) -> RemoteTunnel? {
        self.names.tlsTunnel(of: host).map { RemoteTunnel(home: $0.home, open: $0.open) }
    }

    /// The port that connections arrive at, once it is known.
    func listens(on port: UInt16) {
        self.listeningPort.withLockedValue { $0 = port }
    }

    func listensForNames(on port: UInt16) {
        self.tlsPort.withLockedValue { $0 = port }
    }

    /// What visitors type.
    func publicURL(of host: String, kind: Frame.TunnelKind) -> String {
        let (isPlain, domain) = (self.configuration.security.isPlain, self.domain)
        let isLocal = host == "localhost" || host.hasSuffix(".localhost")
        let scheme = kind == .tls ? "tls" : domain?.scheme ?? (isPlain && isLocal ? "http" : "https")
        let usual: UInt16 = scheme == "http" ? 80 : 443
        let port: UInt16
        if kind == .tls, let own = self.tlsPort.withLockedValue({ $0 }) {
            port = own
        } else if let told = domain?.port {
            port = told
        } else if domain?.scheme != nil || isPlain && !isLocal {
            port = usual
        } else {
            port = self.listeningPort.withLockedValue { $0 }
        }
        return "\(scheme)://\(host)" + (port == usual ? "" : ":\(port)")
    }

    // MARK: Health

    /// What load balancers ask every few seconds, whatever path the tunnels have; anybody may.
    func health(_ method: String, _ target: String) -> Response? {
        guard method == "GET" || method == "HEAD" else { return nil }
        switch target {
        case "/healthz": return Response(status: 200, reason: "OK", body: "ok\n")
        case "/readyz" where self.takesClients: return Response(status: 200, reason: "OK", body: "ready\n")
        case "/readyz":
            return Response(status: 503, reason: "Service Unavailable", body: "This ws-tunnel-server is shutting down.\n")
        default: return nil
        }
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
        let visitors = self.stopVisitors(on: eventLoop)
        let open = self.sessions.withLockedValue { sessions in
            sessions.isStopping = true
            sessions.whenEmpty = promise
            return Array(sessions.open.values)
        }
        if open.isEmpty { promise.succeed(()) }
        for session in open {
            session.eventLoop.execute { session.value.leave(within: grace) }
        }
        return promise.futureResult.and(visitors).map { _ in }
    }
}
