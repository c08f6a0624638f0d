internal import NIOCore
internal import TunnelProtocol
internal import TunnelTransport
internal import WebSocketProtocol

/// One link of a session at the client, through as many connections as it takes. Confined to the session's event loop.
///
///     new ──dial, WELCOME──▶ carried ──connection lost──▶ paused ──dial, WELCOME of the same session──▶ carried
///                               │  ▲                        └──the resume window passes, or another session──▶ new
///         GOAWAY, close 1012 or 1013 └─ the next connection takes over, then the old one is left
final class ClientLink: TunnelConnectionDelegate {
    let number: UInt64
    private(set) var driver: LinkDriver?
    private(set) var connection: TunnelConnection?
    /// What the next HELLO shows.
    private(set) var token: ResumeToken?
    /// Lets go of this link when that is over.
    private let session: ClientSession
    private let eventLoop: any EventLoop
    private var backoff = Backoff()
    private var path: PathMemory
    private var connectedAt: Instant?
    /// How many frames had been received when the connection stood.
    private var receivedBefore: UInt64 = 0
    /// The connection before, once HELLO is sent on the next one.
    private var abandoned: TunnelConnection?
    private var failuresInARow = 0
    /// Attempts in a row that are to be repeated sparingly.
    private var refusalsInARow = 0
    private var greetings: UInt64 = 0
    private var pausedAt: Instant?
    private var resumeWindow = Duration.zero
    private var expiry: Scheduled<Void>?
    private var attempt: Scheduled<Void>?
    private var isDialling = false
    private var isOver = false
    /// Its server is shutting down: it carries what is under way, and nothing comes after it.
    private var isRetired = false

    /// A connection that held this long was no failed attempt.
    private static let stableAfter = Duration.seconds(1)

    init(number: UInt64, session: ClientSession, keepalive: Duration, eventLoop: any EventLoop) {
        self.number = number
        self.session = session
        self.path = PathMemory(interval: keepalive)
        self.eventLoop = eventLoop
    }

    /// Its streams may finish on the connection it has.
    func retire() {
        self.isRetired = true
        self.cancelAttempt()
        self.expiry?.cancel()
        if self.connection == nil {
            self.forget()
            self.session.leftLink(self)
        }
    }

    // MARK: Dialling

    func dial() {
        guard !self.isDialling, !self.isOver, !self.isRetired else { return }
        self.isDialling = true
        let bound = NIOLoopBound(self, eventLoop: self.eventLoop)
        let keepalive = KeepaliveConfiguration(interval: self.path.interval)
        self.session.nextDialer().dial(
            on: self.eventLoop, agent: ClientSession.agent, keepalive: keepalive, hello: { bound.value.hello() },
            delegate: { bound.value }
        ).assumeIsolated().whenFailure { error in
            self.isDialling = false
            guard !self.isOver, !self.isRetired else { return }
            self.failed(self.session.failures.explain(dialling: error))
        }
    }

    /// The upgrade is accepted. From now on what still arrives on an older connection counts no more: it will be sent again.
    private func hello() -> Frame.Hello {
        // Whoever answers may know nothing of the former session: a stranger greets, and leaves once welcomed.
        guard !self.isRetired else { return Frame.Hello(agent: ClientSession.agent, terms: Frame.Terms()) }
        if let connection = self.connection {
            self.connection = nil
            self.abandoned = connection
            connection.delegate = nil
            connection.abandon()
        }
        self.greetings += 1
        return Frame.Hello(
            agent: ClientSession.agent, terms: Frame.Terms(),
            resumption: self.session.resumption(of: self, attempt: self.greetings), clientID: self.session.clientID)
    }

    /// The older connection ends in order once the next one has been heard; the server lets go of it by itself, too.
    private func closeAbandoned() {
        self.abandoned?.close(.goingAway, "the next connection took its place")
        self.abandoned = nil
    }

    private func failed(_ end: SessionEnd) {
        var delay = self.backoff.failed(random: .random(in: 0..<1))
        self.refusalsInARow = end.retry == .sparingly ? self.refusalsInARow + 1 : 0
        if end.retry == .sparingly { delay = max(delay, SessionEnd.sparingPause) }
        // Behind the pause, so that those who were told the same do not come together.
        delay += end.pause
        // A connection that is to be replaced still stands: nobody misses the next one yet.
        if self.connection == nil {
            // Nor is one that is to be added to others: as long as one of them stands, the server is not out of reach.
            self.failuresInARow = end.wasConnected || self.session.isConnected ? 0 : self.failuresInARow + 1
            guard !self.session.mustEnd(end, after: self.failuresInARow, refusals: self.refusalsInARow) else { return }
            self.session.waits(self, end.error, retryIn: delay, attempt: self.backoff.failures)
        }
        self.cancelAttempt()
        self.attempt = self.eventLoop.assumeIsolated().scheduleTask(in: .nanoseconds(delay.wholeNanoseconds)) {
            self.attempt = nil
            self.dial()
        }
    }

    /// The attempt that is to come is made now.
    func hurry() {
        guard self.attempt != nil else { return }
        self.cancelAttempt()
        self.dial()
    }

    private func cancelAttempt() {
        self.attempt?.cancel()
        self.attempt = nil
    }

    // MARK: The connection

    func connection(_ connection: TunnelConnection, greeted hello: Frame.Hello) {
        // A client is never greeted: the room's state machine refuses the frame.
    }

    func connection(_ connection: TunnelConnection, welcomed welcome: Frame.Welcome) {
        self.isDialling = false
        self.cancelAttempt()
        self.refusalsInARow = 0
        self.closeAbandoned()
        guard !self.isRetired else { return connection.close(.normalClosure, "its session is over") }
        self.connection = connection
        guard !self.isOver else { return connection.close(.normalClosure, "the client stops") }
        guard self.number == 0 || self.session.isCurrent(welcome.session) else {
            return connection.close(.normalClosure, "this link belongs to another session")
        }
        self.connectedAt = .now
        self.resumeWindow = .milliseconds(Int64(clamping: welcome.resumeWindowMilliseconds))
        self.expiry?.cancel()
        if let driver = self.driver, self.session.isCurrent(welcome.session) {
            self.token = welcome.token
            self.receivedBefore = driver.received
            let repeated = connection.carry(driver, peerReceived: welcome.received)
            let paused = self.pausedAt.map { Instant.now - $0 }
            self.pausedAt = nil
            return self.session.resumed(self, repeatedBytes: repeated, after: paused)
        }
        if self.driver != nil {
            self.session.gaveUp(OperatorError(.unreachable, "the server no longer knows the session"), self)
        }
        self.pausedAt = nil
        self.token = welcome.token
        let driver = LinkDriver(
            role: .client, terms: Frame.Terms(), peerTerms: welcome.terms, isResumable: self.resumeWindow > .zero,
            budget: self.session.memory, eventLoop: self.eventLoop, delegate: self.session)
        self.driver = driver
        self.receivedBefore = driver.received
        connection.carry(driver, peerReceived: welcome.received)
        self.session.began(self, welcome)
    }

    func connection(_ connection: TunnelConnection, goesAway goAway: Frame.GoAway) {
        guard self.connection === connection else { return }
        self.session.serverGoesAway(goAway, self)
    }

    func connectionIsToBeReplaced(_ connection: TunnelConnection) -> Bool {
        // Who is sent away again at once waits before each attempt.
        guard self.connection === connection, !self.isOver, !self.isRetired, self.hasHeld else { return false }
        self.dial()
        return true
    }

    func connection(_ connection: TunnelConnection, ended end: ConnectionEnd) {
        if self.connection === connection {
            self.connection = nil
        } else if self.isDialling {
            // It ended between HELLO and WELCOME.
            self.isDialling = false
            self.closeAbandoned()
            // It has left already, or stays on the connection it has.
            guard !self.isRetired else { return }
        } else {
            return
        }
        guard !self.isOver, !self.isRetired else {
            self.forget()
            return self.session.leftLink(self)
        }
        if self.hasHeld { self.backoff.succeeded() }
        // Accepted and never welcomed is not connected.
        let wasConnected = self.connectedAt != nil
        self.connectedAt = nil
        self.learn(from: end, connection)
        let error = self.session.failures.explain(end)
        if self.driver != nil {
            if self.pausedAt == nil { self.pause() }
            if !end.leavesSession || self.resumeWindow == .zero { self.session.lost(self) }
        }
        // A move may have begun already; it goes on by itself.
        guard !self.isDialling else { return }
        self.failed(SessionEnd(error: error, wasConnected: wasConnected, retry: .always))
    }

    /// Whether the connection that ended was worth its attempt: it stood for a while, or brought something new.
    private var hasHeld: Bool {
        guard let connectedAt = self.connectedAt else { return false }
        return Instant.now - connectedAt > Self.stableAfter || self.driver.map { $0.received > self.receivedBefore } == true
    }

    private func learn(from end: ConnectionEnd, _ connection: TunnelConnection) {
        switch end {
        case .silence, .transport(.endOfFile), .transport(.failed):
            if let lesson = self.path.died(after: connection.quiet) { self.session.learned(lesson) }
        case .transport, .closedByPeer, .violation, .malformed, .closedHere: break
        }
    }

    // MARK: Pause and end

    private func pause() {
        self.pausedAt = .now
        self.session.paused(self)
        // The server counts from when it noticed, which may be later, but not much earlier.
        self.expiry = self.eventLoop.assumeIsolated().scheduleTask(in: .nanoseconds(self.resumeWindow.wholeNanoseconds)) {
            self.session.gaveUp(
                OperatorError(.unreachable, "the server could not be reached within its resume window"), self)
        }
    }

    /// Whether it waits for its next connection.
    var isPaused: Bool { self.pausedAt != nil }

    /// What it carried is lost; it may begin again.
    func forget() {
        self.expiry?.cancel()
        self.pausedAt = nil
        self.token = nil
        self.driver?.end()
        self.driver = nil
        self.session.linksChanged()
    }

    /// Leaves its connection, if it has one; what it carried is forgotten.
    func disconnect() {
        self.cancelAttempt()
        let connection = self.connection
        self.connection = nil
        connection?.delegate = nil
        connection?.close(.normalClosure, "the session is lost")
    }

    /// Nothing more is to come: at once, or when its connection has ended.
    func leave(_ reason: String) {
        self.isOver = true
        self.expiry?.cancel()
        self.cancelAttempt()
        guard let connection = self.connection else {
            self.forget()
            return self.session.leftLink(self)
        }
        connection.close(.normalClosure, reason)
        self.forget()
    }

    func goAway(_ goAway: Frame.GoAway) {
        self.connection?.goAway(goAway)
    }
}
