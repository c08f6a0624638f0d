import Foundation
import NIOCore
import Testing

@testable import TunnelProtocol

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

    mutating func chance(_ percent: Int) -> Bool {
        Int.random(in: 0..<100, using: &self) < percent
    }

    /// All lengths of varints are as likely as each other.
    mutating func varint() -> UInt64 {
        let bits = UInt64([6, 14, 30, 62].randomElement(using: &self) ?? 62)
        return UInt64.random(in: 0..<(1 << bits), using: &self)
    }
}

/// Bytes written in hexadecimal; `#` begins a comment that ends with its line.
func hex(_ text: some StringProtocol) -> [UInt8] {
    let digits = text.split(whereSeparator: \.isNewline)
        .flatMap { $0.prefix { $0 != "#" }.filter { !$0.isWhitespace } }
        .map { $0.hexDigitValue! }
    precondition(digits.count.isMultiple(of: 2), "half a byte")
    return stride(from: 0, to: digits.count, by: 2).map { UInt8(digits[$0] << 4 | digits[$0 + 1]) }
}

extension ByteBuffer {
    var bytes: [UInt8] { Array(self.readableBytesView) }
}

extension Frame {
    var encoded: [UInt8] {
        var buffer = ByteBuffer()
        self.encode(into: &buffer)
        return buffer.bytes
    }
}

/// A file of the repository, found from this one.
func repositoryFile(_ path: String) throws -> String {
    let root = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent()
    return try String(contentsOf: root.appending(path: path), encoding: .utf8)
}

/// What one message comes to, put together again so that it does not depend on how the message was cut.
enum Decoded: Equatable, Sendable {
    case frame(Frame)
    case data(StreamID, [UInt8])
    case ignored(type: UInt8)
    case incomplete
    case violation(PeerViolation.Rule)
}

/// - Parameter endsWithLast: Whether the last part ends the message.
func decode(_ parts: [[UInt8]], endsWithLast: Bool = true) -> Decoded {
    var decoder = FrameDecoder()
    var payload: (stream: StreamID, bytes: [UInt8])?
    do throws(PeerViolation) {
        for (index, part) in parts.enumerated() {
            let isLast = endsWithLast && index == parts.count - 1
            switch try decoder.receive(ByteBuffer(bytes: part), isLast: isLast) {
            case nil: continue
            case .frame(let frame): return .frame(frame)
            case .ignored(let type): return .ignored(type: type)
            case .data(let stream, let bytes, let ends):
                payload = (stream, (payload?.bytes ?? []) + bytes.bytes)
                if ends { return .data(stream, payload?.bytes ?? []) }
            }
        }
        return .incomplete
    } catch {
        return .violation(error.rule)
    }
}

func decode(_ message: [UInt8]) -> Decoded { decode([message]) }

/// `bytes` cut in pieces of 0 to `longest` bytes.
func randomPieces(_ bytes: [UInt8], longest: Int, using random: inout SplitMix64) -> [[UInt8]] {
    var pieces: [[UInt8]] = []
    var rest = bytes[...]
    while !rest.isEmpty {
        let count = Int.random(in: 0...longest, using: &random)
        pieces.append(Array(rest.prefix(count)))
        rest = rest.dropFirst(count)
    }
    return pieces.isEmpty ? [[]] : pieces
}

extension Instant {
    static let start = Instant(nanoseconds: 1_000_000_000_000)
    static func at(_ seconds: Double) -> Instant { .start + .seconds(seconds) }
}

/// The rule that `body` says the peer broke.
func violation(_ body: () throws -> Void) -> PeerViolation.Rule? {
    do {
        try body()
        return nil
    } catch {
        return (error as? PeerViolation)?.rule
    }
}
