internal import struct NIOCore.ByteBuffer

/// Reads frames out of bytes as they come, cut anywhere, and keeps the rules that bind one frame to the next (RFC 6455
/// §5.4).
///
///     header ──▶ payload ──all of it──▶ header ...
///                 │  ▲
///                 └──┘ part by part
///
/// Held between two reads: the bytes of one unfinished header (at most 13) and of one unfinished control frame's
/// payload (at most 124). Data is passed on at once.
struct FrameReader: Sendable {
    private let decoder: FrameHeaderDecoder
    private let limits: WebSocketLimits
    private let acceptsText: Bool

    private var heldHeader = ByteBuffer()
    private var heldPayload = ByteBuffer()
    /// The frame whose payload is being read, and how much of it has been.
    private var frame: FrameHeader?
    private var position = 0
    private var message: IncomingMessage?
    /// The peer's Close was read: what follows it is nothing to us (RFC 6455 §5.5.1).
    private(set) var hasEnded = false

    init(role: WebSocketConnection.Role, limits: WebSocketLimits, acceptsText: Bool, isCompressionAgreed: Bool) {
        self.decoder = FrameHeaderDecoder(role: role, isCompressionAgreed: isCompressionAgreed)
        self.limits = limits
        self.acceptsText = acceptsText
    }

    /// Reads all of `bytes`. When it throws, `events` has what came before the violation.
    mutating func read(_ bytes: inout ByteBuffer, into events: inout EventQueue) throws(WebSocketViolation) {
        guard bytes.readableBytes > 0 else { return }
        events.beginBuffer()
        var violation: WebSocketViolation?
        do throws(WebSocketViolation) {
            if self.decoder.role.masks {
                // What a client receives is not masked, so there is nothing to write, and no need to own the bytes.
                try bytes.withUnsafeReadableBytes { (all) throws(WebSocketViolation) in
                    try self.walk(all, masked: nil, into: &events)
                }
            } else {
                try bytes.withUnsafeMutableReadableBytes { (all) throws(WebSocketViolation) in
                    try self.walk(UnsafeRawBufferPointer(all), masked: all, into: &events)
                }
            }
        } catch {
            violation = error
        }
        events.endBuffer(bytes)
        bytes.moveReaderIndex(to: bytes.writerIndex)
        if let violation { throw violation }
    }

    private mutating func walk(
        _ bytes: UnsafeRawBufferPointer, masked: UnsafeMutableRawBufferPointer?, into events: inout EventQueue
    ) throws(WebSocketViolation) {
        var next = 0
        while !self.hasEnded {
            if self.frame == nil {
                guard let header = try self.header(in: bytes, at: &next) else { return }
                try self.begin(header)
            }
            guard let frame = self.frame else { return }
            let length = min(frame.payloadLength - self.position, bytes.count - next)
            let range = next..<(next + length)
            if let key = frame.maskingKey, let masked {
                Masking.apply(key, to: UnsafeMutableRawBufferPointer(rebasing: masked[range]), offset: self.position)
            }
            next += length
            self.position += length
            let isWhole = self.position == frame.payloadLength
            if isWhole { self.frame = nil }
            if frame.opcode.isControl {
                try self.takeControl(frame.opcode, bytes, range, isWhole: isWhole, into: &events)
            } else {
                try self.takeData(bytes, range, isLast: isWhole && frame.isFinal, into: &events)
            }
            if !isWhole { return }
        }
    }

    /// The header at `next`, which is moved behind it; nil when the bytes ended before it did.
    private mutating func header(
        in bytes: UnsafeRawBufferPointer, at next: inout Int
    ) throws(WebSocketViolation) -> FrameHeader? {
        if self.heldHeader.readableBytes == 0 {
            let rest = UnsafeRawBufferPointer(rebasing: bytes[next...])
            if let header = try self.decoder.decode(rest) {
                next += header.encodedLength
                return header
            }
            self.heldHeader.writeBytes(rest)
            next = bytes.count
            return nil
        }
        while next < bytes.count {
            self.heldHeader.writeInteger(bytes[next])
            next += 1
            let decoder = self.decoder
            let header = try self.heldHeader.withUnsafeReadableBytes { (held) throws(WebSocketViolation) in
                try decoder.decode(held)
            }
            if let header {
                self.heldHeader.clear()
                return header
            }
        }
        return nil
    }

    private mutating func begin(_ frame: FrameHeader) throws(WebSocketViolation) {
        self.frame = frame
        self.position = 0
        switch frame.opcode {
        case .close, .ping, .pong: return  // Allowed between the fragments of a message.
        case .continuation:
            guard self.message != nil else { throw .protocolError("a continuation frame with no message to continue") }
        case .text: try self.beginMessage(.text, frame)
        case .binary: try self.beginMessage(.binary, frame)
        }
        guard frame.payloadLength <= self.limits.framePayload else {
            throw WebSocketViolation(.messageTooBig, "a frame of more than \(self.limits.framePayload) bytes")
        }
        try self.message?.begin(frame, limits: self.limits)
    }

    private mutating func beginMessage(_ kind: MessageKind, _ frame: FrameHeader) throws(WebSocketViolation) {
        guard self.message == nil else { throw .protocolError("a message begins inside another") }
        guard kind == .binary || self.acceptsText else {
            throw WebSocketViolation(.unsupportedData, "only binary messages are accepted here")
        }
        self.message = IncomingMessage(kind: kind, isCompressed: frame.reserved.contains(.rsv1))
    }

    private mutating func takeData(
        _ bytes: UnsafeRawBufferPointer, _ range: Range<Int>, isLast: Bool, into events: inout EventQueue
    ) throws(WebSocketViolation) {
        guard let kind = self.message?.kind, !range.isEmpty || isLast else { return }
        let isCompressed = self.message?.isCompressed ?? false
        if kind == .text, !isCompressed { try self.message?.check(bytes[range], isLast: isLast) }
        let isFirst = self.message?.takeIsFirst() ?? true
        events.append(
            kind == .text ? .text : .binary, start: range.lowerBound, length: range.count, isFirst: isFirst,
            isLast: isLast, isCompressed: isCompressed)
        if isLast { self.message = nil }
    }

    private mutating func takeControl(
        _ opcode: Opcode, _ bytes: UnsafeRawBufferPointer, _ range: Range<Int>, isWhole: Bool,
        into events: inout EventQueue
    ) throws(WebSocketViolation) {
        if isWhole, self.heldPayload.readableBytes == 0 {
            switch opcode {
            case .ping: events.append(.ping, start: range.lowerBound, length: range.count)
            case .pong: events.append(.pong, start: range.lowerBound, length: range.count)
            case .close: try self.takeClose(ByteBuffer(bytes: bytes[range]), into: &events)
            case .continuation, .text, .binary: break  // Not control frames.
            }
            return
        }
        self.heldPayload.writeBytes(bytes[range])
        guard isWhole else { return }
        let payload = self.heldPayload
        self.heldPayload = ByteBuffer()
        switch opcode {
        case .ping: events.append(.ping(payload))
        case .pong: events.append(.pong(payload))
        case .close: try self.takeClose(payload, into: &events)
        case .continuation, .text, .binary: break  // Not control frames.
        }
    }

    /// RFC 6455 §5.5.1: nothing, or a code of two bytes and a reason in UTF-8.
    private mutating func takeClose(_ payload: ByteBuffer, into events: inout EventQueue) throws(WebSocketViolation) {
        var payload = payload
        guard payload.readableBytes > 0 else {
            self.hasEnded = true
            return events.append(.closed(nil, reason: ""))
        }
        guard let value = payload.readInteger(as: UInt16.self) else {
            throw .protocolError("a Close frame of one byte")
        }
        let code = CloseCode(rawValue: value)
        guard code.mayTravel else { throw .protocolError("a Close frame with code \(code)") }
        guard let reason = String(validating: payload.readableBytesView, as: UTF8.self) else {
            throw WebSocketViolation(.invalidFramePayloadData, "the reason of a Close frame is not valid UTF-8")
        }
        self.hasEnded = true
        events.append(.closed(code, reason: reason))
    }
}
