import WebSocketProtocol

import struct NIOCore.ByteBuffer

/// Sebastiano Vigna's SplitMix64: the same numbers for the same seed, everywhere.
struct SplitMix64: RandomNumberGenerator {
    private var state: UInt64

    init(seed: UInt64) {
        self.state = seed
    }

    mutating func next() -> UInt64 {
        self.state &+= 0x9E37_79B9_7F4A_7C15
        var z = self.state
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }

    mutating func bytes(_ count: Int) -> [UInt8] {
        (0..<count).map { _ in UInt8.random(in: .min ... .max, using: &self) }
    }
}

/// Bytes written in hexadecimal; `;` begins a comment that ends with its line.
func hex(_ text: String) -> [UInt8] {
    let digits = text.split(whereSeparator: \.isNewline)
        .flatMap { $0.prefix { $0 != ";" }.filter { !$0.isWhitespace } }
        .map { $0.hexDigitValue! }
    precondition(digits.count.isMultiple(of: 2), "half a byte")
    return stride(from: 0, to: digits.count, by: 2).map { UInt8(digits[$0] << 4 | digits[$0 + 1]) }
}

extension ByteBuffer {
    var bytes: [UInt8] { Array(self.readableBytesView) }
    var text: String { String(buffer: self) }
}

/// `bytes` cut in two at every place, the ends included, then byte by byte.
func everySplit(_ bytes: [UInt8]) -> [[[UInt8]]] {
    (0...bytes.count).map { [Array(bytes[..<$0]), Array(bytes[$0...])] } + [bytes.map { [$0] }]
}

/// `bytes` cut in pieces of 0 to `longest` bytes.
func randomPieces(_ bytes: [UInt8], longest: Int, using random: inout SplitMix64) -> [[UInt8]] {
    var pieces: [[UInt8]] = []
    var rest = bytes[...]
    while !rest.isEmpty {
        let count = Int.random(in: 0...longest, using: &random)
        pieces.append(Array(rest.prefix(count)))
        rest = rest.dropFirst(count)
    }
    return pieces
}

/// What a peer's bytes come to once the parts of messages are put together, so that it does not depend on how the bytes
/// were cut.
enum Outcome: Equatable, Sendable {
    case message(MessageKind, [UInt8])
    /// A message whose end did not come.
    case unfinished(MessageKind, [UInt8])
    case ping([UInt8])
    case pong([UInt8])
    case closed(UInt16?, String)
    case violation(CloseCode)
    /// Parts out of order: never right.
    case disorder(String)
}

/// Puts the parts of messages together, and checks that they come in order.
struct Assembler {
    private(set) var outcomes: [Outcome] = []
    private var message: (kind: MessageKind, bytes: [UInt8])?

    mutating func take(_ event: WebSocketConnection.Event) {
        switch event {
        case .payload(let part):
            if part.isFirst != (self.message == nil) { self.outcomes.append(.disorder("isFirst is \(part.isFirst)")) }
            if part.bytes.readableBytes == 0, !part.isLast { self.outcomes.append(.disorder("an empty part")) }
            if part.isFirst { self.message = (part.kind, []) }
            if part.kind != self.message?.kind { self.outcomes.append(.disorder("another kind")) }
            self.message?.bytes += part.bytes.bytes
            if part.isLast, let message {
                self.outcomes.append(.message(message.kind, message.bytes))
                self.message = nil
            }
        case .ping(let payload): self.outcomes.append(.ping(payload.bytes))
        case .pong(let payload): self.outcomes.append(.pong(payload.bytes))
        case .closed(let code, let reason): self.outcomes.append(.closed(code?.rawValue, reason))
        case .violation(let violation): self.fail(violation)
        }
    }

    mutating func drain(_ connection: inout WebSocketConnection) {
        while let event = connection.nextEvent() { self.take(event) }
    }

    mutating func fail(_ violation: WebSocketViolation) {
        self.outcomes.append(.violation(violation.closeCode))
    }

    /// All outcomes, with the message that is still unfinished.
    var all: [Outcome] {
        self.outcomes + (self.message.map { [.unfinished($0.kind, $0.bytes)] } ?? [])
    }
}

/// What one end makes of these pieces.
func outcomes(
    _ role: WebSocketConnection.Role, _ pieces: [[UInt8]], limits: WebSocketLimits = WebSocketLimits(),
    acceptsText: Bool = true, compression: PermessageDeflate? = nil
) -> [Outcome] {
    var connection = WebSocketConnection(
        role: role, limits: limits, acceptsText: acceptsText, compression: compression)
    var assembler = Assembler()
    for piece in pieces {
        do throws(WebSocketViolation) {
            try connection.receive(ByteBuffer(bytes: piece))
            assembler.drain(&connection)
        } catch {
            assembler.drain(&connection)
            assembler.fail(error)
        }
    }
    return assembler.all
}

extension WebSocketConnection {
    /// Takes a copy of the bytes, which the caller keeps.
    mutating func receive(_ bytes: ByteBuffer) throws(WebSocketViolation) {
        var copy = bytes
        try self.receive(&copy)
    }
}
