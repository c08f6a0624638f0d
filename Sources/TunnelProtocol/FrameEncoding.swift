package import struct NIOCore.ByteBuffer

extension Frame {
    /// Appends the frame, type byte first.
    package func encode(into buffer: inout ByteBuffer) {
        switch self {
        case .hello(let hello):
            buffer.writeInteger(FrameType.hello)
            buffer.writeParameter(.agent, text: hello.agent)
            buffer.writeParameters(hello.terms)
            if let resumption = hello.resumption {
                buffer.writeParameter(.session, resumption.session.bytes)
                buffer.writeParameter(.token, resumption.token)
                buffer.writeParameter(.received, varint: resumption.received)
                buffer.writeParameter(.attempt, varint: resumption.attempt)
                if resumption.link > 0 { buffer.writeParameter(.link, varint: resumption.link) }
            }
            buffer.writeParameter(.clientID, text: hello.clientID)
            if let interval = hello.pingIntervalMilliseconds { buffer.writeParameter(.pingInterval, varint: interval) }
        case .welcome(let welcome):
            buffer.writeInteger(FrameType.welcome)
            buffer.writeParameter(.agent, text: welcome.agent)
            buffer.writeParameters(welcome.terms)
            buffer.writeParameter(.session, welcome.session.bytes)
            buffer.writeParameter(.token, welcome.token)
            buffer.writeParameter(.received, varint: welcome.received)
            buffer.writeParameter(.resumeWindow, varint: welcome.resumeWindowMilliseconds)
        case .acknowledgement(let count):
            buffer.writeInteger(FrameType.acknowledgement)
            buffer.writeVarint(count)
        case .ping(let payload):
            buffer.writeInteger(FrameType.ping)
            buffer.writeInteger(payload)
        case .pong(let payload):
            buffer.writeInteger(FrameType.pong)
            buffer.writeInteger(payload)
        case .goAway(let goAway):
            buffer.writeInteger(FrameType.goAway)
            buffer.writeVarint(goAway.reason.rawValue)
            buffer.writeVarint(goAway.graceMilliseconds)

        case .listen(let listen):
            buffer.writeInteger(FrameType.listen)
            buffer.writeVarint(listen.tunnel.value)
            buffer.writeVarint(listen.kind.rawValue)
            if let port = listen.port { buffer.writeParameter(.port, varint: UInt64(port)) }
            if listen.portIsRequired { buffer.writeParameter(.portIsRequired) }
            buffer.writeParameter(.label, text: listen.label)
            buffer.writeParameter(.hostname, text: listen.hostname)
            if listen.hostnameIsRequired { buffer.writeParameter(.hostnameIsRequired) }
            buffer.writeParameter(.group, text: listen.group)
            if let policy = listen.policy { buffer.writeParameter(.policy, policy) }
        case .listening(let listening):
            buffer.writeInteger(FrameType.listening)
            buffer.writeVarint(listening.tunnel.value)
            buffer.writeParameter(.tunnelID, listening.id.bytes)
            buffer.writeParameter(.url, text: listening.url)
            if let port = listening.port { buffer.writeParameter(.port, varint: UInt64(port)) }
        case .refused(let refused):
            buffer.writeInteger(FrameType.refused)
            buffer.writeVarint(refused.tunnel.value)
            buffer.writeVarint(refused.code.rawValue)
            buffer.writeParameter(.message, text: refused.message)
        case .unlisten(let tunnel):
            buffer.writeInteger(FrameType.unlisten)
            buffer.writeVarint(tunnel.value)
        case .health(let tunnel, let isWell):
            buffer.writeInteger(FrameType.health)
            buffer.writeVarint(tunnel.value)
            buffer.writeVarint(isWell ? 0 : 1)

        case .open(let open):
            buffer.writeInteger(FrameType.open)
            buffer.writeVarint(open.stream.value)
            buffer.writeVarint(open.tunnel.value)
            if let visitor = open.visitor { buffer.writeParameter(.visitor, visitor) }
            if let destination = open.destination { buffer.writeParameter(.destination, destination) }
        case .opened(let stream):
            buffer.writeInteger(FrameType.opened)
            buffer.writeVarint(stream.value)
        case .finish(let stream):
            buffer.writeInteger(FrameType.finish)
            buffer.writeVarint(stream.value)
        case .reset(let stream, let code):
            buffer.writeInteger(FrameType.reset)
            buffer.writeVarint(stream.value)
            buffer.writeVarint(code.rawValue)
        case .credit(let stream, let bytes):
            buffer.writeInteger(FrameType.credit)
            buffer.writeVarint(stream.value)
            buffer.writeVarint(bytes)
        }
    }
}

/// What precedes a DATA frame's payload: type and stream. The payload goes to the end of the message.
package struct DataHeader: Sendable {
    package let stream: StreamID

    package init(_ stream: StreamID) {
        self.stream = stream
    }

    /// 2 to 9 bytes.
    package var encodedLength: Int { 1 + Varint.encodedLength(self.stream.value) }

    package func encode(into buffer: inout ByteBuffer) {
        let stream = self.stream.value
        switch Varint.encodedLength(stream) {
        case 1: buffer.writeMultipleIntegers(FrameType.data, UInt8(stream))
        case 2: buffer.writeMultipleIntegers(FrameType.data, UInt16(stream) | 0x4000)
        default:
            buffer.writeInteger(FrameType.data)
            buffer.writeVarint(stream)
        }
    }
}
