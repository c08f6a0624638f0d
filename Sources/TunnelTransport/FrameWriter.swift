internal import struct NIOCore.ByteBuffer
internal import TunnelProtocol
internal import WebSocketProtocol

/// Puts tunnel frames into binary WebSocket messages and hands them to the transport, with as few copies as each role
/// allows: a client copies once, because masking must not touch what it was given; of a server's large payloads only as much
/// as fills a TLS record with the headers is copied, and the rest is encrypted where it lies.
///
/// Where compression was agreed on, DATA is compressed, each frame by itself, if that makes it shorter. Other frames never
/// are: they are short, and some hold secrets.
struct FrameWriter {
    private let masks: Bool
    private let compresses: Bool
    private let scratch = LoopScratch.current
    private var staging = ByteBuffer()
    /// Plain bytes handed on since the last `finish`.
    private var passedBytes = 0
    /// What compression made of these less than they were.
    private var savedBytes = 0

    init(role: WebSocketConnection.Role, compression: PermessageDeflate?) {
        self.masks = role == .client
        self.compresses = compression?.lets(role) ?? false
    }

    mutating func write(_ frame: Frame, to transport: TransportHandler) {
        var payload = ByteBuffer()
        frame.encode(into: &payload)
        self.stage(payload.readableBytes)
        let key = self.header(payload.readableBytes)
        self.append(payload, key, offset: 0)
        self.passIfFull(to: transport)
    }

    /// Leaves `payload` as it is: the link may have to send it again.
    mutating func write(_ stream: StreamID, _ payload: ByteBuffer, to transport: TransportHandler) {
        let header = DataHeader(stream)
        let length = header.encodedLength + payload.readableBytes
        if self.compresses, length >= TransportLimits.compressedBytes,
            self.writeCompressed(header, payload, length, to: transport)
        {
            return
        }
        self.stage(min(length, TransportLimits.stagingBytes))
        let key = self.header(length)
        let start = self.staging.writerIndex
        header.encode(into: &self.staging)
        if let key { self.staging.mask(from: start, with: key) }
        self.append(payload, key, offset: header.encodedLength, to: transport)
    }

    /// - Returns: false, and nothing has been written, if the frame does not become shorter.
    private mutating func writeCompressed(
        _ header: DataHeader, _ payload: ByteBuffer, _ length: Int, to transport: TransportHandler
    ) -> Bool {
        var start = ByteBuffer()
        header.encode(into: &start)
        var compressed = self.scratch.takeCompressed()
        defer { self.scratch.give(compressed: compressed) }
        let deflater = self.scratch.deflater
        deflater.deflate(start, isLast: false, into: &compressed)
        deflater.deflate(payload, isLast: true, into: &compressed)
        guard compressed.readableBytes < length else { return false }
        self.savedBytes += length - compressed.readableBytes
        self.stage(min(compressed.readableBytes, TransportLimits.stagingBytes))
        let key = self.header(compressed.readableBytes, reserved: .rsv1)
        self.append(compressed, key, offset: 0, to: transport)
        return true
    }

    /// Appends what may be long, of a payload that began `offset` bytes ago.
    private mutating func append(
        _ payload: ByteBuffer, _ key: MaskingKey?, offset: Int, to transport: TransportHandler
    ) {
        var rest = payload
        var offset = offset
        while self.staging.readableBytes + rest.readableBytes > TransportLimits.stagingBytes {
            let space = max(0, TransportLimits.stagingBytes - self.staging.readableBytes)
            guard let part = rest.readSlice(length: space) else { break }
            self.append(part, key, offset: offset)
            offset += space
            self.pass(to: transport)
            if key == nil, rest.readableBytes >= TransportLimits.directWriteBytes {
                self.passedBytes += rest.readableBytes
                transport.write(rest)
                return
            }
            self.stage(TransportLimits.stagingBytes)
        }
        self.append(rest, key, offset: offset)
        self.passIfFull(to: transport)
    }

    /// A control frame of the WebSocket itself.
    mutating func write(
        to transport: TransportHandler, _ encode: (MaskingKey?, inout ByteBuffer) -> Void
    ) {
        self.stage(128)
        encode(self.masks ? self.scratch.maskingKey() : nil, &self.staging)
        self.passIfFull(to: transport)
    }

    /// Plain bytes written since the last `finish`, before they were compressed: what they cost, and what they say of the
    /// rate at which streams get on.
    var pendingBytes: Int { self.passedBytes + self.savedBytes + self.staging.readableBytes }

    /// Hands everything on; the caller flushes.
    ///
    /// - Returns: The plain bytes written since the last time, before they were compressed.
    @discardableResult
    mutating func finish(to transport: TransportHandler) -> Int {
        self.pass(to: transport)
        defer {
            self.passedBytes = 0
            self.savedBytes = 0
        }
        return self.passedBytes + self.savedBytes
    }

    private mutating func stage(_ length: Int) {
        if self.staging.capacity == 0 { self.staging = self.scratch.takeStaging() }
        self.staging.reserveCapacity(minimumWritableBytes: length + 14)
    }

    private mutating func header(_ length: Int, reserved: ReservedBits = .none) -> MaskingKey? {
        let key = self.masks ? self.scratch.maskingKey() : nil
        FrameHeader(reserved: reserved, opcode: .binary, payloadLength: length, maskingKey: key)
            .encode(into: &self.staging)
        return key
    }

    private mutating func append(_ bytes: ByteBuffer, _ key: MaskingKey?, offset: Int) {
        self.staging.writeMasked(bytes, with: key, offset: offset)
    }

    private mutating func passIfFull(to transport: TransportHandler) {
        if self.staging.readableBytes >= TransportLimits.stagingBytes { self.pass(to: transport) }
    }

    private mutating func pass(to transport: TransportHandler) {
        guard self.staging.capacity > 0 else { return }
        var bytes = ByteBuffer()
        swap(&bytes, &self.staging)
        self.passedBytes += bytes.readableBytes
        if bytes.readableBytes > 0 { transport.write(bytes) }
        self.scratch.give(staging: bytes)
    }
}
