package import struct NIOCore.ByteBuffer

/// One end of a WebSocket after the opening handshake (RFC 6455 §5 to §7): bytes in, events out; messages in, bytes
/// out.
///
///     receive(bytes) ──▶ nextEvent() until nil
///     encode(...)    ──▶ bytes for the transport
///
/// Answers are the caller's to give, as only the caller has masking keys and knows what else waits to be written:
///
/// - `.ping(payload)`: `encodePong` with the same payload.
/// - `.closed(code, _)`: `encodeClose` with the same code. It writes nothing if our Close was first.
/// - a violation: `encodeClose(violation)`, and the transport is closed.
///
/// Where permessage-deflate was agreed on, messages are inflated as their events are taken, and compressed as they are
/// encoded. The state of both belongs to one connection: a copy of this value shares it, so only one of them goes on.
///
/// Once `isClosed`, the transport may go: the server closes it first, a client waits a moment for that (§7.1.1).
package struct WebSocketConnection {
    package let role: Role
    /// permessage-deflate as agreed on; nil without.
    package let compression: PermessageDeflate?

    private var reader: FrameReader
    private var events = EventQueue()
    /// The kind of the message of which a frame was sent, but not the last.
    private var sending: MessageKind?
    private var closing = CloseHandshake()
    private let limits: WebSocketLimits
    /// Both are made when they are first needed.
    private var inflater: MessageInflater?
    private var deflater: Deflater?
    /// The message of which a frame was sent, but not the last, is compressed.
    private var isDeflating = false
    private var hasFailed = false

    /// - Parameters:
    ///   - acceptsText: false refuses text messages with 1003.
    ///   - compression: permessage-deflate as agreed on in the opening handshake.
    package init(
        role: Role, limits: WebSocketLimits = WebSocketLimits(), acceptsText: Bool = false,
        compression: PermessageDeflate? = nil
    ) {
        self.role = role
        self.compression = compression
        self.limits = limits
        self.reader = FrameReader(
            role: role, limits: limits, acceptsText: acceptsText, isCompressionAgreed: compression != nil)
    }

    // MARK: State

    /// Both Close frames have passed, or ours after a violation: there is nothing left to say.
    package var isClosed: Bool { self.closing.isClosed }

    /// True until our Close was sent.
    package var canSend: Bool { self.closing.sends }

    // MARK: In

    /// Takes bytes as they came from the transport; of what comes after a Close or a violation it takes no notice.
    ///
    /// A server unmasks them where they lie: nobody else may hold the buffer, or it is copied whole first. It comes back
    /// read to its end; once the events' payloads are gone too, its storage serves again.
    /// Events are to be taken before the next bytes are given; those that are not stay, at the price of an allocation.
    ///
    /// Throws once. The events of the bytes before the violation are there all the same.
    package mutating func receive(_ bytes: inout ByteBuffer) throws(WebSocketViolation) {
        guard self.closing.reads else { return }
        do throws(WebSocketViolation) {
            try self.reader.read(&bytes, into: &self.events)
        } catch {
            self.closing.violated()
            throw error
        }
        if self.reader.hasEnded { self.closing.received() }
    }

    package mutating func nextEvent() -> Event? {
        guard let compression else { return self.events.next() }
        return self.nextInflated(compression)
    }

    private mutating func nextInflated(_ compression: PermessageDeflate) -> Event? {
        guard !self.hasFailed else { return nil }
        do throws(WebSocketViolation) {
            while true {
                if let piece = try self.inflater?.next() { return .payload(piece) }
                let isCompressed = self.events.nextIsCompressed
                guard let event = self.events.next() else { return nil }
                guard isCompressed, case .payload(let part) = event else { return event }
                if self.inflater == nil {
                    self.inflater = MessageInflater(compression, role: self.role, limits: self.limits)
                }
                self.inflater?.begin(part)
            }
        } catch {
            self.hasFailed = true
            if self.closing.reads { self.closing.violated() }
            return .violation(error)
        }
    }

    // MARK: Out

    /// The header of the next frame of a message that is not compressed. The payload is to follow it, masked with the same key.
    ///
    /// - Parameters:
    ///   - isLast: false when more frames of this message follow; control frames may come in between.
    ///   - maskingKey: fresh and random for a client, nil for a server.
    package mutating func header(
        for kind: MessageKind, length: Int, isLast: Bool = true, maskingKey: MaskingKey?
    ) -> FrameHeader {
        precondition(self.canSend, "a message after our Close frame")
        precondition(self.sending == nil || self.sending == kind, "a message inside another")
        precondition(!self.isDeflating, "a frame as it is inside a compressed message")
        let opcode = self.sending == nil ? kind.opcode : .continuation
        self.sending = isLast ? nil : kind
        return self.header(opcode, length: length, isFinal: isLast, maskingKey: maskingKey)
    }

    /// Appends a frame of a message, with a masked copy of its payload: `payload` keeps its bytes.
    ///
    /// Where compression was agreed on, a message of one frame is compressed if that makes it shorter, and one of several
    /// frames always, as it has begun before that is known.
    package mutating func encode(
        _ kind: MessageKind, _ payload: ByteBuffer, isLast: Bool = true, maskingKey: MaskingKey?,
        into buffer: inout ByteBuffer
    ) {
        if self.isDeflating || self.sending == nil, let deflater = self.deflaterForSending() {
            var compressed = ByteBuffer()
            deflater.deflate(payload, isLast: isLast, into: &compressed)
            let isFirst = self.sending == nil
            if !isFirst || !isLast || compressed.readableBytes < payload.readableBytes {
                self.isDeflating = false
                var header = self.header(
                    for: kind, length: compressed.readableBytes, isLast: isLast, maskingKey: maskingKey)
                // RFC 7692 §6: on the first frame only.
                if isFirst { header = header.marked(.rsv1) }
                self.isDeflating = !isLast
                header.encode(into: &buffer)
                buffer.writeMasked(compressed, with: maskingKey)
                return
            }
            // The peer will not see what the next message could refer to.
            deflater.forget()
        }
        let header = self.header(for: kind, length: payload.readableBytes, isLast: isLast, maskingKey: maskingKey)
        header.encode(into: &buffer)
        buffer.writeMasked(payload, with: maskingKey)
    }

    private mutating func deflaterForSending() -> Deflater? {
        if let deflater { return deflater }
        guard let sender = self.compression?.sender(self.role), Deflater.windowBits.contains(sender.maxWindowBits)
        else { return nil }
        let deflater = Deflater(windowBits: sender.maxWindowBits, keepsContext: !sender.noContextTakeover)
        self.deflater = deflater
        return deflater
    }

    /// Appends a Ping, of at most 125 bytes of payload; nothing after our Close.
    package func encodePing(_ payload: ByteBuffer, maskingKey: MaskingKey?, into buffer: inout ByteBuffer) {
        self.encodeControl(.ping, payload, maskingKey: maskingKey, into: &buffer)
    }

    /// Appends a Pong, of at most 125 bytes of payload; nothing after our Close, as it is the peer who decides when a
    /// Ping comes.
    package func encodePong(_ payload: ByteBuffer, maskingKey: MaskingKey?, into buffer: inout ByteBuffer) {
        self.encodeControl(.pong, payload, maskingKey: maskingKey, into: &buffer)
    }

    /// Appends our Close, unless it was sent before. Says whether it did.
    ///
    /// - Parameters:
    ///   - code: one that may travel, or nil for none; then there is no reason either.
    ///   - reason: cut to 123 bytes, between two characters.
    @discardableResult
    package mutating func encodeClose(
        _ code: CloseCode?, reason: String = "", maskingKey: MaskingKey?, into buffer: inout ByteBuffer
    ) -> Bool {
        guard self.canSend else { return false }
        var payload = ByteBuffer()
        if let code {
            precondition(code.mayTravel, "\(code) is not for the wire")
            payload.writeInteger(code.rawValue)
            for scalar in reason.unicodeScalars {
                guard payload.readableBytes + scalar.utf8.count <= WebSocketLimits.controlPayload else { break }
                payload.writeBytes(scalar.utf8)
            }
        }
        self.encodeControl(.close, payload, maskingKey: maskingKey, into: &buffer)
        self.closing.sent()
        return true
    }

    /// Appends the Close that answers a violation, unless ours was sent before. Says whether it did.
    @discardableResult
    package mutating func encodeClose(
        _ violation: WebSocketViolation, maskingKey: MaskingKey?, into buffer: inout ByteBuffer
    ) -> Bool {
        self.encodeClose(violation.closeCode, reason: violation.sentence, maskingKey: maskingKey, into: &buffer)
    }

    private func encodeControl(
        _ opcode: Opcode, _ payload: ByteBuffer, maskingKey: MaskingKey?, into buffer: inout ByteBuffer
    ) {
        guard self.canSend else { return }
        self.header(opcode, length: payload.readableBytes, isFinal: true, maskingKey: maskingKey).encode(into: &buffer)
        buffer.writeMasked(payload, with: maskingKey)
    }

    private func header(_ opcode: Opcode, length: Int, isFinal: Bool, maskingKey: MaskingKey?) -> FrameHeader {
        precondition((maskingKey != nil) == self.role.masks, "a client masks every frame, a server none")
        return FrameHeader(isFinal: isFinal, opcode: opcode, payloadLength: length, maskingKey: maskingKey)
    }
}
