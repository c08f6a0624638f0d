internal import struct NIOCore.ByteBuffer

/// The named values at the end of the larger frames, so that later versions can add to them:
///
///     key (varint)   length (varint)   value (length bytes)      ... to the end of the frame
///
/// Unknown keys are ignored; a key given twice is a violation. Keys mean the same in every frame.
enum ParameterKey: UInt64 {
    case agent = 0x01
    case initialWindow = 0x02
    case streams = 0x03
    case session = 0x04
    case token = 0x05
    case received = 0x06
    case clientID = 0x07
    case resumeWindow = 0x08
    case link = 0x09
    case attempt = 0x0A
    case pingInterval = 0x0B

    case port = 0x10
    case portIsRequired = 0x11
    case label = 0x12
    case tunnelID = 0x13
    case url = 0x14
    case message = 0x15
    case hostname = 0x16
    case hostnameIsRequired = 0x17
    case group = 0x18
    case policy = 0x19

    case visitor = 0x20
    case destination = 0x21
}

extension ByteBuffer {
    mutating func writeParameter(_ key: ParameterKey) {
        self.writeVarint(key.rawValue)
        self.writeVarint(0)
    }

    mutating func writeParameter(_ key: ParameterKey, varint value: UInt64) {
        self.writeVarint(key.rawValue)
        self.writeVarint(UInt64(Varint.encodedLength(value)))
        self.writeVarint(value)
    }

    /// Left out when empty. Made acceptable to its receiver: a space for each control character (texts come from users and
    /// from the system's messages), and cut at a character's edge.
    mutating func writeParameter(_ key: ParameterKey, text: String) {
        var text = String(text.map { $0.unicodeScalars.contains(where: \.isControl) ? " " : $0 })
        while text.utf8.count > Limits.Specification.textBytes { text.removeLast() }
        guard !text.isEmpty else { return }
        self.writeVarint(key.rawValue)
        self.writeVarint(UInt64(text.utf8.count))
        self.writeString(text)
    }

    mutating func writeParameter(_ key: ParameterKey, _ value: Opaque16) {
        self.writeVarint(key.rawValue)
        self.writeVarint(16)
        self.writeOpaque(value)
    }

    mutating func writeParameter(_ key: ParameterKey, _ value: ResumeToken) {
        self.writeVarint(key.rawValue)
        self.writeVarint(32)
        self.writeOpaque(value.first)
        self.writeOpaque(value.second)
    }

    /// 6 bytes for IPv4, 18 for IPv6: the address, then the port.
    mutating func writeParameter(_ key: ParameterKey, _ value: Endpoint) {
        self.writeVarint(key.rawValue)
        switch value.address {
        case .v4(let bits):
            self.writeVarint(6)
            self.writeInteger(bits)
        case .v6(let bytes):
            self.writeVarint(18)
            self.writeOpaque(bytes)
        }
        self.writeInteger(value.port)
    }

    mutating func writeParameter(_ key: ParameterKey, _ value: ByteBuffer) {
        self.writeVarint(key.rawValue)
        self.writeVarint(UInt64(value.readableBytes))
        self.writeImmutableBuffer(value)
    }

    mutating func writeParameters(_ terms: Frame.Terms) {
        self.writeParameter(.initialWindow, varint: terms.initialWindow)
        self.writeParameter(.streams, varint: terms.streams)
    }

    private mutating func writeOpaque(_ value: Opaque16) {
        self.writeInteger(value.high)
        self.writeInteger(value.low)
    }
}

/// The parameters of one received frame.
struct Parameters {
    private var values: [(key: ParameterKey, bytes: ByteBuffer)] = []
    private let frame: StaticString

    /// Reads to the end of `buffer`. `frame` names the frame in violations.
    init(reading buffer: inout ByteBuffer, of frame: StaticString) throws(PeerViolation) {
        self.frame = frame
        while buffer.readableBytes > 0 {
            guard let rawKey = buffer.readVarint(), let length = buffer.readVarint(),
                let count = Int(exactly: length), let bytes = buffer.readSlice(length: count)
            else { throw PeerViolation(.malformedFrame, "\(frame) ends inside a parameter") }
            guard let key = ParameterKey(rawValue: rawKey) else { continue }
            guard !self.values.contains(where: { $0.key == key }) else {
                throw PeerViolation(.malformedFrame, "\(frame) has parameter \(rawKey) twice")
            }
            self.values.append((key, bytes))
        }
    }

    func has(_ key: ParameterKey) -> Bool {
        self.values.contains { $0.key == key }
    }

    func varint(_ key: ParameterKey) throws(PeerViolation) -> UInt64? {
        guard var bytes = self.bytes(key) else { return nil }
        guard let value = bytes.readVarint(), bytes.readableBytes == 0 else { throw self.malformed(key) }
        return value
    }

    func port(_ key: ParameterKey) throws(PeerViolation) -> UInt16? {
        guard let value = try self.varint(key) else { return nil }
        guard let port = UInt16(exactly: value), port > 0 else { throw self.malformed(key) }
        return port
    }

    /// Empty when absent. Text that is not UTF-8 or holds control characters is refused: it goes into logs.
    func text(_ key: ParameterKey) throws(PeerViolation) -> String {
        guard let bytes = self.bytes(key) else { return "" }
        guard bytes.readableBytes <= Limits.Specification.textBytes,
            let text = String(validating: bytes.readableBytesView, as: UTF8.self),
            !text.unicodeScalars.contains(where: \.isControl)
        else { throw self.malformed(key) }
        return text
    }

    /// - Parameter limit: Of its bytes.
    func bytes(_ key: ParameterKey, upTo limit: Int) throws(PeerViolation) -> ByteBuffer? {
        guard let bytes = self.bytes(key) else { return nil }
        guard bytes.readableBytes <= limit else { throw self.malformed(key) }
        return bytes
    }

    func opaque(_ key: ParameterKey) throws(PeerViolation) -> Opaque16? {
        guard var bytes = self.bytes(key) else { return nil }
        guard bytes.readableBytes == 16, let value = bytes.readOpaque() else { throw self.malformed(key) }
        return value
    }

    func token(_ key: ParameterKey) throws(PeerViolation) -> ResumeToken? {
        guard var bytes = self.bytes(key) else { return nil }
        guard bytes.readableBytes == 32, let first = bytes.readOpaque(), let second = bytes.readOpaque() else {
            throw self.malformed(key)
        }
        return ResumeToken(first, second)
    }

    func endpoint(_ key: ParameterKey) throws(PeerViolation) -> Endpoint? {
        guard var bytes = self.bytes(key) else { return nil }
        switch bytes.readableBytes {
        case 6:
            guard let bits = bytes.readInteger(as: UInt32.self), let port = bytes.readInteger(as: UInt16.self) else {
                throw self.malformed(key)
            }
            return Endpoint(.v4(bits), port: port)
        case 18:
            guard let address = bytes.readOpaque(), let port = bytes.readInteger(as: UInt16.self) else {
                throw self.malformed(key)
            }
            return Endpoint(.v6(address), port: port)
        default: throw self.malformed(key)
        }
    }

    func terms() throws(PeerViolation) -> Frame.Terms {
        guard let window = try self.varint(.initialWindow), window <= Limits.Specification.windowBytes else {
            throw self.malformed(.initialWindow)
        }
        guard let streams = try self.varint(.streams) else { throw self.malformed(.streams) }
        return Frame.Terms(initialWindow: window, streams: streams)
    }

    /// For a parameter that must be there.
    func required<Value>(_ value: Value?, _ key: ParameterKey) throws(PeerViolation) -> Value {
        guard let value else { throw self.malformed(key) }
        return value
    }

    private func bytes(_ key: ParameterKey) -> ByteBuffer? {
        self.values.first { $0.key == key }?.bytes
    }

    private func malformed(_ key: ParameterKey) -> PeerViolation {
        PeerViolation(.malformedFrame, "\(self.frame) lacks a well-formed parameter \(key.rawValue)")
    }
}

extension Unicode.Scalar {
    /// C0, delete, C1: what could move a terminal's cursor or begin a line of a log.
    fileprivate var isControl: Bool {
        self.value < 0x20 || (0x7F...0x9F).contains(self.value)
    }
}

extension ByteBuffer {
    fileprivate mutating func readOpaque() -> Opaque16? {
        guard let high = self.readInteger(as: UInt64.self), let low = self.readInteger(as: UInt64.self) else {
            return nil
        }
        return Opaque16(high: high, low: low)
    }
}
