internal import NIOCore
internal import OpenSSL
internal import TunnelProtocol
internal import TunnelTransport
internal import WebSocketProtocol

/// One link of a session at the server: the connections that carry it, one after the other, and what another has to show to
/// carry it on. Confined to its session's event loop.
///
///     carried ──connection lost──▶ suspended ──the resume window passes──▶ expired
///        ▲                             │
///        └────HELLO with the token─────┘
final class ServerLink: TunnelConnectionDelegate {
    let number: UInt64
    let driver: LinkDriver
    /// Lets go of this link when it ends.
    private let session: ServerSession
    private let server: ServerContext
    private let eventLoop: any EventLoop
    private(set) var connection: TunnelConnection?
    /// Of the last WELCOME.
    private(set) var token = ResumeToken(.random(), .random())
    /// What the client showed last: good until it is heard on the newest connection, as it may never have got that one's.
    private var formerToken: ResumeToken?
    private var welcomedAt = Instant.now
    /// Of the newest HELLO.
    private var attempt: UInt64 = 0
    /// The connection that ends with the link.
    private var closing: (connection: TunnelConnection, completion: () -> Void)?
    private var expiry: Scheduled<Void>?
    private var age: Scheduled<Void>?

    init(number: UInt64, peerTerms: Frame.Terms, session: ServerSession, server: ServerContext, eventLoop: any EventLoop) {
        self.number = number
        self.session = session
        self.server = server
        self.eventLoop = eventLoop
        self.driver = LinkDriver(
            role: .server, terms: Frame.Terms(), peerTerms: peerTerms,
            isResumable: server.configuration.resumeWindow > .zero, budget: session.memory, eventLoop: eventLoop,
            delegate: session)
    }

    /// Whether a client may carry this link on, having shown this token.
    func accepts(_ token: ResumeToken) -> Bool {
        if let connection = self.connection, connection.lastHeard > self.welcomedAt { self.formerToken = nil }
        // Both are compared, so that the time does not tell which it was.
        let isCurrent = token.isEqual(to: self.token)
        let isFormer = self.formerToken.map { token.isEqual(to: $0) } ?? false
        return isCurrent || isFormer
    }

    /// Whether a HELLO was sent before one that is already here: its client has moved on since.
    func isLate(_ resumption: Frame.Resumption) -> Bool { resumption.attempt <= self.attempt }

    /// A connection that has greeted carries the link from now on; one that did so far is let go.
    ///
    /// - Parameter resumption: What its HELLO showed; `nil` for a link's first connection.
    /// - Returns: The bytes sent again.
    @discardableResult
    func carry(on connection: TunnelConnection, _ resumption: Frame.Resumption?) -> Int {
        self.expiry?.cancel()
        if let older = self.connection {
            older.abandon()
            older.delegate = nil
            older.goAway(Frame.GoAway(reason: .replaced, graceMilliseconds: 0))
            older.close(.replaced, "a newer connection took its place")
        }
        self.formerToken = resumption?.token
        self.attempt = resumption?.attempt ?? 0
        self.token = ResumeToken(.random(), .random())
        self.connection = connection
        connection.delegate = self
        self.welcomedAt = .now
        self.limitAge(of: connection)
        let window = self.server.configuration.resumeWindow
        return connection.welcome(
            Frame.Welcome(
                agent: "ws-tunnel-server/\(programVersion)", terms: Frame.Terms(), session: self.session.id,
                token: self.token, received: self.driver.received,
                resumeWindowMilliseconds: UInt64(clamping: window.wholeMilliseconds)),
            carrying: self.driver, peerReceived: resumption?.received ?? 0)
    }

    /// Ends the connection, and with it the link.
    ///
    /// - Parameter completion: Called once everything has been sent, or the connection is gone.
    func end(_ code: CloseCode, _ reason: String, completion: @escaping () -> Void) {
        self.expiry?.cancel()
        self.age?.cancel()
        self.driver.end()
        guard let connection = self.connection else { return completion() }
        self.connection = nil
        self.closing = (connection, completion)
        connection.close(code, reason)
    }

    func goAway(_ goAway: Frame.GoAway) {
        self.connection?.goAway(goAway)
    }

    /// Load balancers cut connections by their age; one that is replaced before has nothing to lose.
    private func limitAge(of connection: TunnelConnection) {
        self.age?.cancel()
        guard let limit = self.server.configuration.maximumConnectionAge else { return }
        // Many connections that began together do not all move together.
        let age = limit * Double.random(in: 0.9...1)
        self.age = self.eventLoop.assumeIsolated().scheduleTask(in: .nanoseconds(age.wholeNanoseconds)) {
            guard self.connection === connection else { return }
            connection.goAway(
                Frame.GoAway(reason: .connectionAge, graceMilliseconds: UInt64(clamping: Self.moveTime.wholeMilliseconds)))
        }
    }

    /// For a client to open its next connection once this one has reached its age.
    private static let moveTime = Duration.seconds(30)

    // MARK: The connection

    func connection(_ connection: TunnelConnection, greeted hello: Frame.Hello) {
        // The connection came here with its greeting behind it.
    }

    func connection(_ connection: TunnelConnection, welcomed welcome: Frame.Welcome) {
        // A server is never welcomed: the room's state machine refuses the frame.
    }

    func connection(_ connection: TunnelConnection, goesAway goAway: Frame.GoAway) {
        self.session.clientGoesAway(goAway)
    }

    func connection(_ connection: TunnelConnection, ended end: ConnectionEnd) {
        if let closing = self.closing, closing.connection === connection {
            self.closing = nil
            return closing.completion()
        }
        guard self.connection === connection else { return }
        if connection.lastHeard > self.welcomedAt { self.formerToken = nil }
        self.connection = nil
        self.age?.cancel()
        let window = min(self.server.configuration.resumeWindow, self.session.timeLeft)
        guard end.leavesSession, window > .zero, self.session.mayBeResumed else {
            return self.session.linkEnded(self, because: end.explanation, isFault: end.isFault)
        }
        self.session.linkSuspended(self, because: end.explanation, isFault: end.isFault)
        self.expiry = self.eventLoop.assumeIsolated().scheduleTask(in: .nanoseconds(window.wholeNanoseconds)) {
            self.session.linkEnded(self, because: "the client did not come back", isFault: false)
        }
    }
}

extension ResumeToken {
    /// In constant time.
    func isEqual(to other: ResumeToken) -> Bool {
        func bytes(_ token: ResumeToken) -> [UInt8] {
            [token.first.high, token.first.low, token.second.high, token.second.low].flatMap { half in
                (0..<8).map { UInt8(truncatingIfNeeded: half >> ($0 * 8)) }
            }
        }
        return constantTimeEqual(bytes(self), bytes(other))
    }
}
