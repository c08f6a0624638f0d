import struct NIOCore.ByteBuffer
import TunnelProtocol

/// Drives a link as its driver does, from both sides: what the sockets beyond decide, and what a peer sends that knows every
/// number it could lie about.
///
/// What must hold:
///
/// - What is sent again is what was sent the first time, from the frame on that the peer named; what is new is sent once.
/// - The count of received frames is that of the frames that came whole.
/// - No more is sent on a stream than the peer has granted, and no more is held of one than it was.
/// - A count that is impossible is refused beforehand and at once.
/// - Streams are as many as were agreed on at most; each is opened once and says nothing after its end.
/// - What waits to be sent again is bounded; the memory budget comes back whole.
final class HostilePeer {
    /// One of the link's streams, as the sockets beyond and the peer know it.
    private struct Stream {
        var untaken = 0
        /// What the peer has granted, less what was sent.
        var credit: UInt64
        var peerHasFinished = false
        var isGone = false
    }

    private let role: Link.Role
    private let isResumable: Bool
    private let terms: Frame.Terms
    private var peerTerms = Frame.Terms()
    private let budget = MemoryBudget(bytes: 12 << 20)
    private let window: Int
    private var link: Link?
    private var connection: LinkConnection?
    private var decoderIsInside = false
    private var now = Instant(nanoseconds: 1_000_000_000)

    private var streams: [StreamID: Stream] = [:]
    /// The link's frames, in the order in which they were first sent, and which of them comes next.
    private var sent: [Link.Outbound] = []
    private var next = 0
    private var acknowledged = 0
    private var received: UInt64 = 0
    private var nextPeerStream: UInt64

    init(settings: UInt8, terms: UInt8) {
        self.role = settings & 1 == 0 ? .server : .client
        self.isResumable = settings & 2 == 0
        self.window = [0, 1, 7, 1_000, 16_384, 65_536, 262_144, 1 << 20][Int(terms & 7)]
        self.terms = Frame.Terms(initialWindow: UInt64(self.window), streams: UInt64(terms >> 3 & 3))
        self.nextPeerStream = self.role == .server ? 1 : 2
        self.connect()
    }

    // MARK: Steps

    func step(_ input: inout FuzzInput) throws {
        switch input.byte() & 0x1F {
        // The peer's: anything at all, then what is nearly right.
        case 0:
            var cuts = Cuts(seed: input.byte())
            let message = input.bytes(Int(input.byte()))
            try self.receive(cuts.pieces(of: message), isLast: true)
        case 1: try self.greet(&input)
        case 2: try self.receive(.acknowledgement(count: self.count(&input)))
        case 3: try self.receive(.open(Frame.Open(stream: self.newStream(&input), tunnel: TunnelNumber(1), visitor: nil)))
        case 4: try self.receiveData(&input, isLast: true)
        case 5: try self.receiveData(&input, isLast: false)
        case 6: try self.receive(.finish(self.stream(&input)))
        case 7: try self.receive(.reset(self.stream(&input), .connectionReset))
        case 8: try self.receive(.credit(self.stream(&input), bytes: UInt64(input.short()) << (input.byte() % 46)))
        case 9: try self.receive(.opened(self.stream(&input)))
        case 10: try self.receive(.ping(UInt64(input.byte())))
        case 11: try self.receive(.pong(UInt64(input.byte())))
        // The connection's.
        case 12: self.cut()
        case 13: self.connect()
        case 14: try self.send(Int(input.byte()))
        case 15:
            self.now = self.now + .milliseconds(input.short())
            self.connection?.heard(now: self.now)
            _ = self.connection?.timeReached(now: self.now, jitter: 0)
        // The sockets'.
        case 16:
            guard let id = self.link?.open(tunnel: TunnelNumber(1), visitor: nil) else { return }
            try require(self.streams[id] == nil, "stream \(id) is opened twice")
            self.streams[id] = Stream(credit: self.peerTerms.initialWindow)
        case 17: _ = self.link?.send(ByteBuffer(repeating: input.byte(), count: input.short()), on: self.stream(&input))
        case 18: self.link?.finish(self.stream(&input))
        case 19:
            let id = self.stream(&input)
            self.link?.reset(id, .connectionReset)
            self.streams[id]?.isGone = true
        case 20: self.take(input.short(), from: self.stream(&input))
        case 21: self.link?.connected(self.stream(&input))
        case 22: self.link?.acknowledgeSoon()
        case 23: self.link?.rateMeasured(input.short() << 4, in: .milliseconds(Int(input.byte())))
        case 24: self.link?.roundTripMeasured(.milliseconds(input.short()))
        case 25: self.link?.send(.unlisten(TunnelNumber(UInt64(input.byte()))))
        default: try self.receiveData(&input, isLast: true)
        }
    }

    private func connect() {
        self.cut()
        let keepalive = Keepalive(interval: .seconds(20), timeout: .seconds(45), now: self.now)
        switch self.role {
        case .server: self.connection = LinkConnection(keepalive: keepalive)
        case .client:
            self.connection = LinkConnection(hello: Frame.Hello(agent: "us", terms: self.terms), keepalive: keepalive)
        }
    }

    private func cut() {
        self.connection = nil
        self.decoderIsInside = false
        self.link?.suspend()
    }

    /// A greeting that is right, but for the number of frames received.
    private func greet(_ input: inout FuzzInput) throws {
        let terms = Frame.Terms(initialWindow: UInt64(input.short()) << 2, streams: UInt64(input.byte() & 3))
        let count = self.count(&input)
        let (session, token) = (Opaque16(high: 1, low: 2), ResumeToken(Opaque16(high: 3, low: 4), Opaque16(high: 5, low: 6)))
        switch self.role {
        case .server:
            let resumption = Frame.Resumption(session: SessionID(session), token: token, received: count)
            try self.receive(.hello(Frame.Hello(agent: "peer", terms: terms, resumption: resumption)))
        case .client:
            try self.receive(
                .welcome(Frame.Welcome(agent: "peer", terms: terms, session: SessionID(session), token: token, received: count)))
        }
    }

    /// A number of frames around those that were sent.
    private func count(_ input: inout FuzzInput) -> UInt64 {
        let back = Int(Int8(bitPattern: input.byte()))
        return UInt64(max(0, self.sent.count - back))
    }

    /// A number such as the peer gives its streams; mostly the next one.
    private func newStream(_ input: inout FuzzInput) -> StreamID {
        let id = self.nextPeerStream + UInt64(input.byte() & 0xF)
        self.nextPeerStream += 2
        return StreamID(id)
    }

    private func stream(_ input: inout FuzzInput) -> StreamID { StreamID(UInt64(input.byte() & 0xF)) }

    private func receiveData(_ input: inout FuzzInput, isLast: Bool) throws {
        var bytes = ByteBuffer()
        if !self.decoderIsInside { DataHeader(self.stream(&input)).encode(into: &bytes) }
        bytes.writeRepeatingByte(0x55, count: input.short() & 0x3FFF)
        try self.receive([bytes.bytes], isLast: isLast)
    }

    private func receive(_ frame: Frame) throws {
        var bytes = ByteBuffer()
        frame.encode(into: &bytes)
        try self.receive([bytes.bytes], isLast: true)
    }

    // MARK: As the driver does

    private func receive(_ pieces: [[UInt8]], isLast: Bool) throws {
        for (index, piece) in pieces.enumerated() {
            let ends = isLast && index == pieces.count - 1
            self.decoderIsInside = !ends
            do {
                guard let input = try self.connection?.receive(ByteBuffer(bytes: piece), isLast: ends, now: self.now) else { continue }
                try self.handle(input)
            } catch let violation as PeerViolation {
                // The connection is closed; its session may be resumed all the same.
                try require(!violation.explanation.isEmpty, "a violation without a word")
                try self.drain()
                return self.cut()
            }
            try self.drain()
            if self.link?.isFlooded == true { return self.cut() }
        }
    }

    private func handle(_ input: LinkConnection.Input) throws {
        switch input {
        case .hello(let hello):
            guard try self.resume(hello.terms, count: hello.resumption?.received ?? 0) else { return self.cut() }
            self.connection?.welcome(
                Frame.Welcome(
                    agent: "us", terms: self.terms, session: SessionID(Opaque16(high: 1, low: 2)),
                    token: ResumeToken(Opaque16(high: 3, low: 4), Opaque16(high: 5, low: 6)), received: self.received))
        case .welcome(let welcome):
            if try !self.resume(welcome.terms, count: welcome.received) { self.cut() }
        case .link(let output):
            // What a frame does is known only once the link has taken it.
            try self.link?.receive(output)
            self.account(for: output)
        case .acknowledgement(let count):
            try self.link?.acknowledge(count)
            try require(self.acknowledged...self.next ~= Int(count), "\(count) frames acknowledged, with \(self.next) carried")
            self.acknowledged = Int(count)
        case .goAway: break
        case .roundTrip(let roundTrip): self.link?.roundTripMeasured(roundTrip)
        }
    }

    /// - Returns: Whether a peer that says so may go on.
    private func resume(_ terms: Frame.Terms, count: UInt64) throws -> Bool {
        guard let isPossible = self.link?.isPossible(received: count) else {
            guard count == 0 else { return false }
            self.peerTerms = terms
            self.link = Link(role: self.role, terms: self.terms, peerTerms: terms, isResumable: self.isResumable, budget: self.budget)
            return true
        }
        if isPossible {
            try require(
                self.acknowledged...self.sent.count ~= Int(count) && (self.isResumable || count == self.sent.count),
                "\(count) frames of \(self.sent.count) are possible after \(self.acknowledged)")
        }
        do {
            _ = try self.link?.resume(peerReceived: count)
            try require(isPossible, "an impossible count of \(count) is taken")
        } catch let violation as PeerViolation {
            try require(!isPossible, "a possible count is refused: \(violation)")
            return false
        }
        self.next = Int(count)
        self.acknowledged = Int(count)
        return true
    }

    private func account(for output: FrameDecoder.Output) {
        switch output {
        case .data(_, _, isLast: false): return
        case .frame(.credit(let id, let bytes)): self.streams[id]?.credit += bytes
        case .data, .frame, .ignored: break
        }
        self.received += 1
    }

    private func drain() throws {
        while let event = self.link?.nextEvent() {
            switch event {
            case .opened(let open):
                try require(self.streams[open.stream] == nil, "the peer opens stream \(open.stream) twice")
                self.streams[open.stream] = Stream(credit: self.peerTerms.initialWindow)
            case .connected(let id), .sendable(let id): try self.requireLive(id, "\(event)")
            case .data(let id, let bytes):
                try self.requireLive(id, "data")
                try require(self.streams[id]?.peerHasFinished == false, "data after the end of stream \(id)")
                self.streams[id]?.untaken += bytes.readableBytes
                let held = self.streams[id]?.untaken ?? 0
                try require(held <= self.window + self.budget.used, "\(held) bytes held of stream \(id), with \(self.window) granted")
            case .finished(let id):
                try self.requireLive(id, "an end")
                try require(self.streams[id]?.peerHasFinished == false, "stream \(id) ends twice")
                self.streams[id]?.peerHasFinished = true
            case .reset(let id, _):
                try self.requireLive(id, "a reset")
                self.streams[id]?.isGone = true
            case .listen, .listening, .refused, .unlisten, .health: break
            }
        }
    }

    private func requireLive(_ id: StreamID, _ what: String) throws {
        try require(self.streams[id]?.isGone == false, "\(what) on stream \(id), which is not there")
    }

    private func take(_ count: Int, from id: StreamID) {
        guard let stream = self.streams[id] else { return }
        let count = min(count, stream.untaken)
        self.streams[id]?.untaken -= count
        self.link?.taken(count, from: id, now: self.now)
    }

    /// Takes frames off the link, and compares them with what they should be.
    private func send(_ frames: Int) throws {
        for _ in 0...frames {
            if self.connection?.nextOutbound() != nil { continue }
            guard self.connection?.isEstablished == true, let outbound = self.link?.nextOutbound() else { break }
            if case .frame(.acknowledgement(let count)) = outbound {
                try requireEqual(count, self.received, "the count that is acknowledged")
                continue
            }
            if self.next < self.sent.count {
                try requireEqual(outbound, self.sent[self.next], "frame \(self.next), sent again")
            } else {
                if case .data(let id, let payload) = outbound { try self.spend(payload.readableBytes, of: id) }
                self.sent.append(outbound)
            }
            self.next += 1
        }
        try self.drain()
    }

    private func spend(_ count: Int, of id: StreamID) throws {
        let credit = self.streams[id]?.credit ?? 0
        try require(credit >= UInt64(count), "\(count) bytes are sent on stream \(id), which has a credit of \(credit)")
        self.streams[id]?.credit -= UInt64(count)
    }

    // MARK: What must hold

    func check() throws {
        guard let received = self.link?.received, let sent = self.link?.sent, let streams = self.link?.streamCount else { return }
        try requireEqual(received, self.received, "frames received")
        try requireEqual(sent, UInt64(self.sent.count), "frames sent")
        try require(
            streams <= Int(clamping: self.terms.streams) + Int(clamping: self.peerTerms.streams), "\(streams) streams")
        try require(self.budget.used <= self.budget.bytes, "\(self.budget.used) bytes taken of \(self.budget.bytes)")
        guard self.isResumable else { return }
        let kept = self.sent[self.acknowledged...].reduce(0) {
            if case .data(_, let payload) = $1 { $0 + payload.readableBytes } else { $0 }
        }
        let bound = Limits.Implementation.replayBytes + self.budget.used + Limits.Implementation.dataFrameBytes
        try require(kept <= bound, "\(kept) bytes are kept to be sent again")
    }

    func end() throws {
        self.link?.end()
        try requireEqual(self.budget.used, 0, "the memory budget, after the end")
    }
}
