package import struct NIOCore.ByteBuffer

/// Turns the parts of WebSocket messages into frames.
///
/// DATA passes through part by part as it arrives; every other frame is collected, up to
/// `Limits.Specification.controlFrameBytes`. What is held never exceeds that bound.
///
///     between ──first part──▶ header ──DATA's header whole──▶ data ──last part──▶ between
///                               └─────any other type──────▶ collecting ──last──┘
package struct FrameDecoder: Sendable {
    package enum Output: Equatable, Sendable {
        case frame(Frame)
        /// Bytes of a DATA frame; `isLast` with the frame's end. They may be empty.
        case data(StreamID, ByteBuffer, isLast: Bool)
        /// The end of a frame whose type is not known and may be ignored.
        case ignored(type: UInt8)
    }

    private enum State: Equatable {
        case between
        case header
        case collecting
        case data(StreamID, received: Int)
    }

    private var state = State.between
    /// Never more than the bound; tests watch where it lies.
    private(set) var held = ByteBuffer()

    package init() {}

    /// - Parameter isLast: whether the message ends with this part.
    /// - Returns: `nil` when the frame needs more of its message.
    package mutating func receive(_ part: ByteBuffer, isLast: Bool) throws(PeerViolation) -> Output? {
        switch self.state {
        case .between:
            return try self.start(part, isLast: isLast)
        case .header:
            // At most eight bytes are held here: reading them again costs nothing.
            var whole = self.held
            whole.writeImmutableBuffer(part)
            self.release()
            return try self.start(whole, isLast: isLast)
        case .collecting:
            guard self.held.readableBytes + part.readableBytes <= Limits.Specification.controlFrameBytes else {
                throw Self.tooLong
            }
            self.held.writeImmutableBuffer(part)
            guard isLast else { return nil }
            let whole = self.held
            self.release()
            return try Self.decode(whole)
        case .data(let stream, let received):
            return try self.deliver(part, of: stream, after: received, isLast: isLast)
        }
    }

    /// `bytes` start at a frame's first byte.
    private mutating func start(_ bytes: ByteBuffer, isLast: Bool) throws(PeerViolation) -> Output? {
        guard let type = bytes.getInteger(at: bytes.readerIndex, as: UInt8.self) else {
            guard !isLast else { throw PeerViolation(.malformedFrame, "an empty message") }
            return nil
        }
        if type == FrameType.data {
            var payload = bytes
            payload.moveReaderIndex(forwardBy: 1)
            guard let stream = payload.readVarint() else {
                guard !isLast else { throw PeerViolation(.malformedFrame, "DATA is too short") }
                self.hold(bytes, as: .header)
                return nil
            }
            return try self.deliver(payload, of: StreamID(stream), after: 0, isLast: isLast)
        }
        guard bytes.readableBytes <= Limits.Specification.controlFrameBytes else { throw Self.tooLong }
        guard isLast else {
            self.hold(bytes, as: .collecting)
            return nil
        }
        return try Self.decode(bytes)
    }

    private static func decode(_ whole: ByteBuffer) throws(PeerViolation) -> Output {
        if let frame = try Frame(decoding: whole) { return .frame(frame) }
        return .ignored(type: whole.getInteger(at: whole.readerIndex) ?? 0)
    }

    private mutating func deliver(
        _ payload: ByteBuffer, of stream: StreamID, after received: Int, isLast: Bool
    ) throws(PeerViolation) -> Output {
        let total = received + payload.readableBytes
        guard total <= Limits.Specification.dataFrameBytes else {
            throw PeerViolation(
                .limit, "a DATA frame of more than \(Limits.Specification.dataFrameBytes) bytes on stream \(stream)")
        }
        self.state = isLast ? .between : .data(stream, received: total)
        return .data(stream, payload, isLast: isLast)
    }

    /// Copies, so that a few bytes held for the next part do not keep a whole receive buffer alive.
    private mutating func hold(_ bytes: ByteBuffer, as state: State) {
        self.held = ByteBuffer(bytes: bytes.readableBytesView)
        self.state = state
    }

    private mutating func release() {
        self.held = ByteBuffer()
        self.state = .between
    }

    private static let tooLong = PeerViolation(
        .limit, "a frame other than DATA of more than \(Limits.Specification.controlFrameBytes) bytes")
}
