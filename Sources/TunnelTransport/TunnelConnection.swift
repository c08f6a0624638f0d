package import NIOCore
internal import OpenSSL
package import TunnelProtocol
package import WebSocketProtocol

/// Why a tunnel connection ended.
package enum ConnectionEnd: Error, Sendable {
    case transport(TransportEnd)
    /// The peer closed the WebSocket.
    case closedByPeer(CloseCode?, reason: String)
    /// The peer broke a rule; the text says which.
    case violation(String)
    /// What came is no WebSocket, by the rule that the text says. The peer need not be to blame: some load balancers write a
    /// Close of their own wherever the connection stands.
    case malformed(String)
    /// Nothing came from the peer for so long.
    case silence(Duration)
    case closedHere

    /// Limits and policy are the peer's to keep; bytes that make no sense may have been put in on the way.
    init(_ violation: WebSocketViolation) {
        switch violation.closeCode {
        case .protocolError, .invalidFramePayloadData: self = .malformed(violation.sentence)
        default: self = .violation(violation.sentence)
        }
    }
}

/// What a role does with a connection. All calls come on the connection's event loop.
package protocol TunnelConnectionDelegate: AnyObject {
    /// A client greets (server role only): answer with `welcome(_:carrying:peerReceived:)` or `close(_:_:)`, now or later.
    func connection(_ connection: TunnelConnection, greeted hello: Frame.Hello)
    /// The server welcomed us (client role only): go on with `carry(_:peerReceived:)`.
    func connection(_ connection: TunnelConnection, welcomed welcome: Frame.Welcome)
    func connection(_ connection: TunnelConnection, goesAway goAway: Frame.GoAway)
    /// A PING was answered.
    func connection(_ connection: TunnelConnection, measured roundTrip: Duration)
    /// The peer closes, and asks for another connection in place of this one (close 1012, 1013).
    ///
    /// - Returns: Whether this side closes once the next connection stands; otherwise it does at once.
    func connectionIsToBeReplaced(_ connection: TunnelConnection) -> Bool
    /// The last call.
    func connection(_ connection: TunnelConnection, ended end: ConnectionEnd)
}

extension TunnelConnectionDelegate {
    package func connection(_ connection: TunnelConnection, measured roundTrip: Duration) {}
    package func connectionIsToBeReplaced(_ connection: TunnelConnection) -> Bool { false }
}

/// One WebSocket after its opening handshake, carrying a link: bytes to messages to frames, and back.
package final class TunnelConnection: TransportUser {
    package let transport: TransportHandler
    /// The link it carries: from the greeting until the connection ends, or a newer one takes its place.
    package private(set) var link: LinkDriver?
    /// Set by whoever takes the connection over.
    package var delegate: (any TunnelConnectionDelegate)?

    private let role: WebSocketConnection.Role
    // Not looked at for overlapping access, as in `LinkDriver`: the first two call nobody, and what the third calls never comes back to it.
    @exclusivity(unchecked) private var webSocket: WebSocketConnection
    @exclusivity(unchecked) private var connection: LinkConnection
    @exclusivity(unchecked) private var writer: FrameWriter
    private let eventLoop: any EventLoop
    private let scratch = LoopScratch.current
    private var timer: Scheduled<Void>?
    private var flushIsDue = false
    private var isFlushing = false
    /// The payload of the latest Ping that has not been answered. RFC 6455 §5.5.3 lets the answers to those before it fall away,
    /// so a peer that asks and does not read leaves nothing else here.
    private var owedPong: ByteBuffer?
    /// What streams have queued since the last flush.
    private var queuedPieces = 0
    private var end: ConnectionEnd?
    /// The peer's Close, not answered before the next connection stands.
    private var unansweredClose: ConnectionEnd?
    /// Bytes written since `rateSince`.
    private var rateBytes = 0
    private var rateSince = Instant.now

    /// - Parameters:
    ///   - hello: The client's greeting; `nil` in the server's role.
    ///   - compression: permessage-deflate as the opening handshake agreed on it.
    package convenience init(
        transport: TransportHandler, hello: Frame.Hello?, compression: PermessageDeflate?, keepalive: KeepaliveConfiguration,
        eventLoop: any EventLoop, delegate: any TunnelConnectionDelegate
    ) {
        let role = hello == nil ? WebSocketConnection.Role.server : .client
        let liveness = Keepalive(interval: keepalive.interval, timeout: keepalive.timeout, now: .now)
        self.init(
            transport: transport, role: role,
            webSocket: WebSocketConnection(role: role, limits: .tunnel, compression: compression),
            connection: hello.map { LinkConnection(hello: $0, keepalive: liveness) } ?? LinkConnection(keepalive: liveness),
            eventLoop: eventLoop)
        self.delegate = delegate
        transport.hand(to: self)
        self.flush()
    }

    private init(
        transport: TransportHandler, role: WebSocketConnection.Role, webSocket: WebSocketConnection,
        connection: LinkConnection, eventLoop: any EventLoop
    ) {
        self.transport = transport
        self.role = role
        self.webSocket = webSocket
        self.connection = connection
        self.writer = FrameWriter(role: role, compression: webSocket.compression)
        self.eventLoop = eventLoop
    }

    /// Both ends agreed on compression.
    package var isCompressed: Bool { self.webSocket.compression != nil }

    /// The shortest round trip measured.
    package var roundTrip: Duration? { self.connection.roundTrip }

    package var isOpen: Bool { self.end == nil }

    /// When anything last came from the peer.
    package var lastHeard: Instant { self.connection.lastHeard }

    /// How long nothing had come when the peer was asked for a sign of life, or until now.
    package var quiet: Duration { self.connection.quiet(now: .now) }

    /// Answers HELLO, and carries a link from now on.
    ///
    /// - Parameter count: Frames of the link that the client has received.
    /// - Returns: The bytes sent again.
    @discardableResult
    package func welcome(_ welcome: Frame.Welcome, carrying link: LinkDriver, peerReceived count: UInt64) -> Int {
        self.connection.welcome(welcome)
        return self.carry(link, peerReceived: count)
    }

    /// Carries a link from now on, after WELCOME in the client's role.
    @discardableResult
    package func carry(_ link: LinkDriver, peerReceived count: UInt64) -> Int {
        self.transport.liftLimit()
        self.link = link
        self.keepAlive()
        self.scheduleFlush()
        do {
            return try link.attach(self, peerReceived: count)
        } catch {
            self.finish(.violation(error.description), .tunnelViolation, error.description)
            return 0
        }
    }

    /// A newer connection carries the link: what still arrives here is nothing to it.
    package func abandon() {
        self.link?.detach(self)
        self.link = nil
    }

    /// Measures the round trip out of turn; the delegate hears of it.
    package func ping() {
        self.connection.probe(now: .now)
        self.flush()
    }

    /// Asks the peer for a sign of life.
    ///
    /// - Parameter answer: Told on the event loop whether there was one within `time`.
    package func probe(within time: TimeAmount, answer: @escaping (Bool) -> Void) {
        let asked = Instant.now
        self.connection.probe(now: asked)
        self.flush()
        self.eventLoop.assumeIsolated().scheduleTask(in: time) {
            answer(self.end == nil && self.connection.lastHeard > asked)
        }
    }

    /// Cuts the connection without a word, for a peer that does not answer.
    package func abort() {
        guard self.end == nil else { return }
        self.end = .silence(self.quiet)
        self.transport.abort()
    }

    package func goAway(_ goAway: Frame.GoAway) {
        self.connection.goAway(goAway)
        self.flush()
    }

    /// Closes the WebSocket in order.
    package func close(_ code: CloseCode, _ reason: String) {
        self.finish(.closedHere, code, reason)
    }

    // MARK: From the transport

    package func transportIsReady() {}

    package func transport(received bytes: inout ByteBuffer) {
        let now = Instant.now
        self.connection.heard(now: now)
        do {
            try self.webSocket.receive(&bytes)
        } catch {
            // What came before the violation is still good.
            self.receiveEvents(now)
            self.finish(ConnectionEnd(error), error.closeCode, error.sentence)
            return
        }
        self.receiveEvents(now)
        self.link?.drain()
    }

    package func transportReadComplete() {
        if self.connection.hasOutbound || self.link?.hasOutbound == true { self.scheduleFlush() }
    }

    package func transportIsWritable() {
        self.flush()
    }

    package func transportEnded(_ end: TransportEnd) {
        self.timer?.cancel()
        let end = self.end ?? self.unansweredClose ?? .transport(end)
        self.end = end
        let delegate = self.delegate
        self.delegate = nil
        self.link?.detach(self)
        self.link = nil
        delegate?.connection(self, ended: end)
    }

    private func receiveEvents(_ now: Instant) {
        while self.end == nil, let event = self.webSocket.nextEvent() {
            switch event {
            case .payload(let part):
                self.receive(part, now)
            case .ping(let payload):
                // A copy: the few bytes must not keep all that was read with them.
                self.owedPong = ByteBuffer(bytes: payload.readableBytesView)
                self.scheduleFlush()
            case .pong:
                break
            case .closed(let code, let reason):
                let end = ConnectionEnd.closedByPeer(code, reason: reason)
                if code == .serviceRestart || code == .tryAgainLater, self.delegate?.connectionIsToBeReplaced(self) == true {
                    self.unansweredClose = end
                    self.transport.limit(to: TransportLimits.replacement, "the close handshake")
                } else {
                    self.finish(end, code ?? .normalClosure, "")
                }
            case .violation(let violation):
                self.finish(ConnectionEnd(violation), violation.closeCode, violation.sentence)
            }
        }
    }

    private func receive(_ part: MessagePart, _ now: Instant) {
        do {
            guard let input = try self.connection.receive(part.bytes, isLast: part.isLast, now: now) else { return }
            switch input {
            case .hello(let hello): self.delegate?.connection(self, greeted: hello)
            case .welcome(let welcome): self.delegate?.connection(self, welcomed: welcome)
            case .link(let output): try self.link?.receive(output)
            case .acknowledgement(let count): try self.link?.acknowledge(count)
            case .goAway(let goAway): self.delegate?.connection(self, goesAway: goAway)
            case .roundTrip(let measured):
                if let roundTrip = self.connection.roundTrip { self.link?.measured(roundTrip) }
                // The next PING may be due sooner.
                self.keepAlive()
                self.delegate?.connection(self, measured: measured)
            }
        } catch {
            self.finish(.violation(error.description), .tunnelViolation, error.description)
        }
    }

    // MARK: To the transport

    /// A stream has one more piece to send. It leaves with the others of this turn, or at once when these are many: then
    /// the peer works on the first while the rest is still being read. There is nothing to wait for when it is alone.
    func pieceQueued(isAlone: Bool) {
        self.queuedPieces += 1
        if !self.isFlushing, isAlone || self.queuedPieces >= TransportLimits.flushPieces { self.flush() } else { self.scheduleFlush() }
    }

    /// One flush a turn of the loop, however many streams have something to send.
    func scheduleFlush() {
        guard !self.flushIsDue, self.end == nil else { return }
        self.flushIsDue = true
        self.eventLoop.assumeIsolated().execute {
            self.flushIsDue = false
            self.flush()
        }
    }

    private func flush() {
        // A socket that takes all of a write says at once, from inside of it, that it takes more: the loop goes on anyway.
        guard !self.isFlushing else { return }
        self.isFlushing = true
        defer { self.isFlushing = false }
        self.queuedPieces = 0
        while self.end == nil, self.transport.isWritable {
            let isDrained = self.writeFrames()
            self.rateBytes += self.writer.finish(to: self.transport)
            self.transport.flush()
            if isDrained { break }
        }
        if self.rateBytes > TransportLimits.rateSampleBytes { self.measureRate() }
        self.link?.drain()
        self.link?.checkQuiet()
        self.scratch.letOthersRun()
    }

    private func measureRate() {
        let now = Instant.now
        self.link?.measured(self.rateBytes, in: now - self.rateSince)
        self.rateBytes = 0
        self.rateSince = now
    }

    /// - Returns: Whether nothing is left to write.
    private func writeFrames() -> Bool {
        self.link?.noteAttention()
        if let payload = self.owedPong {
            self.owedPong = nil
            self.writer.write(to: self.transport) { key, buffer in
                self.webSocket.encodePong(payload, maskingKey: key, into: &buffer)
            }
        }
        while self.writer.pendingBytes < TransportLimits.flushBytes {
            if let frame = self.connection.nextOutbound() {
                self.writer.write(frame, to: self.transport)
                continue
            }
            switch self.link?.nextOutbound() {
            case .frame(let frame): self.writer.write(frame, to: self.transport)
            case .data(let stream, let payload): self.writer.write(stream, payload, to: self.transport)
            case nil: return true
            }
        }
        return false
    }

    private func keepAlive() {
        self.timer?.cancel()
        self.timer = self.eventLoop.assumeIsolated().scheduleTask(deadline: self.connection.nextDeadline.deadline) {
            guard self.end == nil else { return }
            switch self.connection.timeReached(now: .now, jitter: .random(in: -1...1)) {
            case .dead(let silence):
                // A close handshake would wait for an answer that does not come.
                self.end = .silence(silence)
                self.transport.abort()
                return
            case .ping:
                self.link?.acknowledgeSoon()
                self.flush()
            case .wait: break
            }
            // The flush may have met the connection's end, which cancels no timer that is not there yet.
            if self.end == nil { self.keepAlive() }
        }
    }

    /// Closes with a Close frame, whoever is at fault.
    private func finish(_ end: ConnectionEnd, _ code: CloseCode, _ reason: String) {
        guard self.end == nil else { return }
        self.end = end
        self.writer.write(to: self.transport) { key, buffer in
            self.webSocket.encodeClose(code, reason: reason, maskingKey: key, into: &buffer)
        }
        self.writer.finish(to: self.transport)
        switch end {
        // Whoever breaks the rules is not waited for.
        case .violation, .malformed: self.transport.close(within: TransportLimits.lingering)
        default: self.transport.close()
        }
    }

    /// More control frames wait than an honest peer leaves unread.
    func flooded() {
        self.finish(.violation("it does not read the answers it causes"), .flooded, "unread answers pile up")
    }
}

/// How often the peer is asked for a sign of life, and how long it may be silent.
package struct KeepaliveConfiguration: Sendable, Equatable {
    package var interval: Duration
    package var timeout: Duration

    /// - Parameter timeout: By default two intervals and a quarter: a lost PING alone does not end a connection.
    package init(interval: Duration = .seconds(20), timeout: Duration? = nil) {
        self.interval = interval
        self.timeout = timeout ?? interval * 2.25
    }
}

extension CloseCode {
    /// Codes of the tunnel protocol, from the range for private use (RFC 6455 §7.4.2).
    package static let tunnelViolation = CloseCode(rawValue: 4400)
    /// The session or link that HELLO names is not known here.
    package static let unknownLink = CloseCode(rawValue: 4404)
    /// A newer connection, or another client of the same client id, took this one's place.
    package static let replaced = CloseCode(rawValue: 4409)
    package static let flooded = CloseCode(rawValue: 4413)
}

// MARK: From one event loop to another

extension TunnelConnection {
    /// What goes with a connection to another loop; nobody keeps any of it here.
    private struct Luggage: @unchecked Sendable {
        let webSocket: WebSocketConnection
        let connection: LinkConnection
        let owedPong: ByteBuffer?
    }

    /// Carries a greeted connection of the server's over to another event loop, where the session it asks for lives.
    ///
    /// - Parameter arrived: Called there with the connection, which has no delegate yet. Not called when the connection broke on
    ///   the way; the client will try again.
    package func move(to eventLoop: any EventLoop, arrived: @escaping @Sendable (TunnelConnection) -> Void) {
        guard self.end == nil else { return }
        guard let transport = self.transport.release() else {
            self.end = .transport(.failed("it could not be handed to its session's event loop"))
            self.transport.abort()
            return
        }
        self.end = .closedHere
        self.delegate = nil
        let arrival = NIOLoopBoundBox<TunnelConnection?>.makeEmptyBox(valueType: TunnelConnection.self, eventLoop: eventLoop)
        let luggage = Luggage(webSocket: self.webSocket, connection: self.connection, owedPong: self.owedPong)
        transport.goOn(on: eventLoop) { transport, eventLoop in
            let connection = TunnelConnection(
                transport: transport, role: .server, webSocket: luggage.webSocket, connection: luggage.connection,
                eventLoop: eventLoop)
            connection.owedPong = luggage.owedPong
            transport.hand(to: connection)
            transport.limit(to: TransportLimits.greeting, "the greeting")
            arrival.value = connection
        } arrived: { result in
            if case .success = result, let connection = arrival.value { arrived(connection) }
        }
    }
}
