internal import struct NIOCore.ByteBuffer

extension Frame {
    /// Decodes a whole frame other than DATA; `nil` for a type that may be ignored.
    init?(decoding bytes: ByteBuffer) throws(PeerViolation) {
        var buffer = bytes
        guard let type = buffer.readInteger(as: UInt8.self) else {
            throw PeerViolation(.malformedFrame, "a frame without a type")
        }
        switch type {
        case FrameType.hello: self = .hello(try Hello(decoding: &buffer))
        case FrameType.welcome: self = .welcome(try Welcome(decoding: &buffer))
        case FrameType.acknowledgement: self = .acknowledgement(count: try buffer.need("ACK"))
        case FrameType.ping: self = .ping(try buffer.needInteger("PING"))
        case FrameType.pong: self = .pong(try buffer.needInteger("PONG"))
        case FrameType.goAway:
            let reason = GoAwayReason(rawValue: try buffer.need("GOAWAY"))
            self = .goAway(GoAway(reason: reason, graceMilliseconds: try buffer.need("GOAWAY")))

        case FrameType.listen: self = .listen(try Listen(decoding: &buffer))
        case FrameType.listening: self = .listening(try Listening(decoding: &buffer))
        case FrameType.refused: self = .refused(try Refused(decoding: &buffer))
        case FrameType.unlisten: self = .unlisten(TunnelNumber(try buffer.need("UNLISTEN")))

        case FrameType.health:
            let tunnel = TunnelNumber(try buffer.need("HEALTH"))
            self = .health(tunnel, isWell: try buffer.need("HEALTH") == 0)

        case FrameType.open: self = .open(try Open(decoding: &buffer))
        case FrameType.opened: self = .opened(StreamID(try buffer.need("OPENED")))
        case FrameType.finish: self = .finish(StreamID(try buffer.need("FIN")))
        case FrameType.reset:
            let stream = StreamID(try buffer.need("RESET"))
            self = .reset(stream, ResetCode(rawValue: try buffer.need("RESET")))
        case FrameType.credit:
            let stream = StreamID(try buffer.need("CREDIT"))
            self = .credit(stream, bytes: try buffer.need("CREDIT"))

        default:
            guard type < Limits.Specification.firstCriticalFrameType else {
                throw PeerViolation(.unknownFrame, "type 0x\(String(type, radix: 16)) must be understood and is not")
            }
            return nil
        }
        guard buffer.readableBytes == 0 else {
            throw PeerViolation(.malformedFrame, "\(buffer.readableBytes) bytes after a frame of type \(type)")
        }
    }
}

extension Frame.Hello {
    fileprivate init(decoding buffer: inout ByteBuffer) throws(PeerViolation) {
        let parameters = try Parameters(reading: &buffer, of: "HELLO")
        self.init(
            agent: try parameters.text(.agent), terms: try parameters.terms(),
            clientID: try parameters.text(.clientID), pingIntervalMilliseconds: try parameters.varint(.pingInterval))
        guard let session = try parameters.opaque(.session) else { return }
        let link = try parameters.varint(.link) ?? 0
        guard link < Limits.Implementation.links else {
            throw PeerViolation(.limit, "link \(link) of a session that has at most \(Limits.Implementation.links)")
        }
        self.resumption = Frame.Resumption(
            session: SessionID(session),
            token: try parameters.required(try parameters.token(.token), .token),
            received: try parameters.required(try parameters.varint(.received), .received), link: link,
            attempt: try parameters.required(try parameters.varint(.attempt), .attempt))
    }
}

extension Frame.Welcome {
    fileprivate init(decoding buffer: inout ByteBuffer) throws(PeerViolation) {
        let parameters = try Parameters(reading: &buffer, of: "WELCOME")
        self.init(
            agent: try parameters.text(.agent), terms: try parameters.terms(),
            session: SessionID(try parameters.required(try parameters.opaque(.session), .session)),
            token: try parameters.required(try parameters.token(.token), .token),
            received: try parameters.required(try parameters.varint(.received), .received),
            resumeWindowMilliseconds: try parameters.varint(.resumeWindow) ?? 0)
    }
}

extension Frame.Listen {
    fileprivate init(decoding buffer: inout ByteBuffer) throws(PeerViolation) {
        let tunnel = TunnelNumber(try buffer.need("LISTEN"))
        let kind = Frame.TunnelKind(rawValue: try buffer.need("LISTEN"))
        let parameters = try Parameters(reading: &buffer, of: "LISTEN")
        self.init(
            tunnel: tunnel, kind: kind, port: try parameters.port(.port),
            portIsRequired: parameters.has(.portIsRequired), label: try parameters.text(.label),
            hostname: try parameters.text(.hostname), hostnameIsRequired: parameters.has(.hostnameIsRequired),
            group: try parameters.text(.group),
            policy: try parameters.bytes(.policy, upTo: Limits.Specification.policyBytes))
    }
}

extension Frame.Listening {
    fileprivate init(decoding buffer: inout ByteBuffer) throws(PeerViolation) {
        let tunnel = TunnelNumber(try buffer.need("LISTENING"))
        let parameters = try Parameters(reading: &buffer, of: "LISTENING")
        self.init(
            tunnel: tunnel,
            id: TunnelID(bytes: try parameters.required(try parameters.opaque(.tunnelID), .tunnelID)),
            url: try parameters.text(.url), port: try parameters.port(.port))
    }
}

extension Frame.Refused {
    fileprivate init(decoding buffer: inout ByteBuffer) throws(PeerViolation) {
        let tunnel = TunnelNumber(try buffer.need("REFUSED"))
        let code = RefusalCode(rawValue: try buffer.need("REFUSED"))
        let parameters = try Parameters(reading: &buffer, of: "REFUSED")
        self.init(tunnel: tunnel, code: code, message: try parameters.text(.message))
    }
}

extension Frame.Open {
    fileprivate init(decoding buffer: inout ByteBuffer) throws(PeerViolation) {
        let stream = StreamID(try buffer.need("OPEN"))
        let tunnel = TunnelNumber(try buffer.need("OPEN"))
        let parameters = try Parameters(reading: &buffer, of: "OPEN")
        self.init(
            stream: stream, tunnel: tunnel, visitor: try parameters.endpoint(.visitor),
            destination: try parameters.endpoint(.destination))
    }
}

extension ByteBuffer {
    fileprivate mutating func need(_ frame: StaticString) throws(PeerViolation) -> UInt64 {
        guard let value = self.readVarint() else { throw PeerViolation(.malformedFrame, "\(frame) is too short") }
        return value
    }

    fileprivate mutating func needInteger(_ frame: StaticString) throws(PeerViolation) -> UInt64 {
        guard let value = self.readInteger(as: UInt64.self) else {
            throw PeerViolation(.malformedFrame, "\(frame) is too short")
        }
        return value
    }
}
