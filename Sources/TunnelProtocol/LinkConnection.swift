package import struct NIOCore.ByteBuffer

/// One connection's own part of the protocol: the greeting that opens it, PING and PONG, GOAWAY. Everything else it hands
/// through to the link that it carries.
///
///     client:  HELLO sent ──WELCOME──▶ established
///     server:  silent ──HELLO──▶ greeted ──welcome()──▶ established
package struct LinkConnection: Sendable {
    package enum Input: Equatable, Sendable {
        /// A client greets; answer with `welcome(_:now:)`.
        indirect case hello(Frame.Hello)
        indirect case welcome(Frame.Welcome)
        case link(FrameDecoder.Output)
        case acknowledgement(UInt64)
        case goAway(Frame.GoAway)
        /// A PONG measured the path.
        case roundTrip(Duration)
    }

    private enum State: Equatable {
        case awaitingHello
        case greeted
        case awaitingWelcome
        case established
    }

    private var state: State
    private var decoder = FrameDecoder()
    private var keepalive: Keepalive
    private var outbound: [Frame] = []

    /// The client's side: HELLO is the first frame out.
    package init(hello: Frame.Hello, keepalive: Keepalive) {
        self.state = .awaitingWelcome
        self.keepalive = keepalive
        self.outbound = [.hello(hello)]
    }

    /// The server's side.
    package init(keepalive: Keepalive) {
        self.state = .awaitingHello
        self.keepalive = keepalive
    }

    /// When anything last came from the peer.
    package var lastHeard: Instant { self.keepalive.lastHeard }

    /// See `Keepalive.quiet(now:)`.
    package func quiet(now: Instant) -> Duration { self.keepalive.quiet(now: now) }

    package var isEstablished: Bool { self.state == .established }

    /// The shortest round trip seen on this connection.
    package var roundTrip: Duration? { self.keepalive.roundTrip }

    package var nextDeadline: Instant {
        self.isEstablished ? self.keepalive.nextDeadline : self.keepalive.silenceDeadline
    }

    // MARK: Inputs

    package mutating func welcome(_ welcome: Frame.Welcome) {
        precondition(self.state == .greeted, "WELCOME answers HELLO")
        self.state = .established
        self.outbound.append(.welcome(welcome))
    }

    /// Asks for a sign of life out of turn.
    package mutating func probe(now: Instant) {
        if self.isEstablished, case .ping(let payload) = self.keepalive.probe(now: now) { self.outbound.append(.ping(payload)) }
    }

    package mutating func goAway(_ goAway: Frame.GoAway) {
        self.outbound.append(.goAway(goAway))
    }

    /// Any bytes at all came from the peer.
    package mutating func heard(now: Instant) {
        self.keepalive.heard(now: now)
    }

    /// - Parameter jitter: See `Keepalive.timeReached`.
    package mutating func timeReached(now: Instant, jitter: Double) -> Keepalive.Action {
        // No PING may precede the greeting; the first one, which measures the path, waits for its end.
        guard now >= self.nextDeadline else { return .wait }
        let action = self.keepalive.timeReached(now: now, jitter: jitter)
        if case .ping(let payload) = action { self.outbound.append(.ping(payload)) }
        return action
    }

    /// - Returns: What the caller has to act on, if anything.
    package mutating func receive(
        _ part: ByteBuffer, isLast: Bool, now: Instant
    ) throws(PeerViolation) -> Input? {
        guard let output = try self.decoder.receive(part, isLast: isLast) else { return nil }
        if self.state == .established, case .data = output { return .link(output) }
        switch output {
        case .frame(.hello(let hello)):
            guard self.state == .awaitingHello else { throw Self.unexpected("HELLO") }
            self.state = .greeted
            if let interval = hello.pingIntervalMilliseconds {
                let longest = Limits.Specification.pingIntervalMilliseconds
                self.keepalive.relax(to: .milliseconds(Int64(min(interval, longest))))
            }
            return .hello(hello)
        case .frame(.welcome(let welcome)):
            guard self.state == .awaitingWelcome else { throw Self.unexpected("WELCOME") }
            self.state = .established
            return .welcome(welcome)
        case .frame(.goAway(let goAway)):
            // A server may leave before it welcomes; a client that leaves before it greets has nothing to say.
            guard self.state != .awaitingHello else { throw Self.unexpected("GOAWAY before HELLO") }
            return .goAway(goAway)
        case .ignored(let type) where type < Limits.Specification.firstLinkFrameType: return nil
        case .data, .frame, .ignored:
            guard self.state == .established else { throw Self.unexpected("a frame before the greeting") }
            return try self.established(output, now: now)
        }
    }

    private mutating func established(
        _ output: FrameDecoder.Output, now: Instant
    ) throws(PeerViolation) -> Input? {
        switch output {
        case .frame(.ping(let payload)):
            // One answer is enough for any number of PINGs that have not been answered yet.
            self.outbound.removeAll { if case .pong = $0 { true } else { false } }
            self.outbound.append(.pong(payload))
            return nil
        case .frame(.pong(let payload)):
            return self.keepalive.pongReceived(payload, now: now).map(Input.roundTrip)
        case .frame(.acknowledgement(let count)): return .acknowledgement(count)
        case .data, .frame, .ignored: return .link(output)
        }
    }

    private static func unexpected(_ what: StaticString) -> PeerViolation {
        PeerViolation(.unexpectedFrame, "\(what)")
    }

    // MARK: Outputs

    package var hasOutbound: Bool { !self.outbound.isEmpty }

    package mutating func nextOutbound() -> Frame? {
        self.outbound.isEmpty ? nil : self.outbound.removeFirst()
    }
}
