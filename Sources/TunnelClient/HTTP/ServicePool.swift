internal import NIOCore
internal import OpenSSL
internal import TunnelProtocol
internal import TunnelTransport

/// The connections to one service that wait for their next request: the last one used is the first one used again, so that the
/// others can grow old.
final class ServicePool {
    /// Idle connections of one service: what a browser's six connections make of ten visitors at once. More are closed.
    static let idleConnections = 64
    /// Services commonly keep an idle connection for 5 to 75 s; past the time of their own they close it, and we learn of that.
    static let idleTime = Duration.seconds(60)
    /// A connection that has been idle for longer may be about to be closed by the service, with a request on its way to it. Nothing is
    /// lost where the request may be sent again; for others there is a fresh connection. Node closes after 5 s, others later.
    static let surelyOpen = Duration.seconds(2)

    private let connector: ServiceConnector
    private let tls: (context: TLSContext, host: String)?
    private let eventLoop: any EventLoop
    private var idle: [ServiceConnection] = []

    init(_ connector: ServiceConnector, tls: (context: TLSContext, host: String)?, eventLoop: any EventLoop) {
        self.connector = connector
        self.tls = tls
        self.eventLoop = eventLoop
    }

    var isEmpty: Bool { self.idle.isEmpty }

    /// A connection that stands, for its next user.
    ///
    /// - Parameter isRepeatable: Whether the user may ask once more if it fails.
    func take(isRepeatable: Bool) -> ServiceConnection? {
        guard let connection = self.idle.last else { return nil }
        if !isRepeatable, Instant.now - connection.idleSince > Self.surelyOpen { return nil }
        self.idle.removeLast()
        connection.pool = nil
        return connection
    }

    /// Has a new one come to stand; its user hears whether it does, perhaps before this returns.
    func connect(_ connection: ServiceConnection) {
        let bound = NIOLoopBound(connection, eventLoop: self.eventLoop)
        let tls = self.tls
        self.connector.connect(on: self.eventLoop) { channel in
            if let tls {
                let handler = ClientTLSHandler(try TLSConnection(context: tls.context, role: .client(host: tls.host)), with: .service)
                try channel.pipeline.syncOperations.addHandler(handler)
            }
            try bound.value.install(in: channel)
        }.assumeIsolated().whenFailure { error in
            connection.connectFailed(
                error as? ServiceFailure ?? ServiceFailure(code: .internalError, explanation: describe(error)))
        }
    }

    /// Its exchange is complete, and the service keeps it.
    func give(_ connection: ServiceConnection) {
        connection.rest()
        guard connection.isUsable, self.idle.count < Self.idleConnections else { return connection.close() }
        connection.pool = self
        self.idle.append(connection)
    }

    /// It is gone.
    func lost(_ connection: ServiceConnection) {
        self.idle.removeAll { $0 === connection }
    }

    /// Closes what has been idle for too long.
    func sweep(now: Instant) {
        // The oldest are in front.
        let old = self.idle.prefix { now - $0.idleSince > Self.idleTime }
        self.idle.removeFirst(old.count)
        for connection in old { connection.close() }
    }

    func close() {
        let idle = self.idle
        self.idle = []
        for connection in idle { connection.close() }
    }
}
