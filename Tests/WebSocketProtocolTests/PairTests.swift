import Testing
import WebSocketProtocol

import struct NIOCore.ByteBuffer

/// Two ends, with bytes between them that are cut and damaged at will.
@Suite struct PairTests {
    /// Random messages, fragmented, with pings and pongs in between, and a Close in the end; and what they come to.
    private static func conversation(
        from role: WebSocketConnection.Role, longest: Int, using random: inout SplitMix64
    ) -> (bytes: [UInt8], expected: [Outcome]) {
        var connection = WebSocketConnection(role: role)
        var bytes = ByteBuffer()
        var expected: [Outcome] = []
        for _ in 0..<Int.random(in: 1...6, using: &random) {
            let kind = Bool.random(using: &random) ? MessageKind.binary : .text
            let lengths = [0, 1, 80, 125, 126, 300, longest - 1, longest]
            let text = "aé€😀"
            var message: [UInt8] = []
            let fragments = Int.random(in: 1...4, using: &random)
            for fragment in 1...fragments {
                let length = lengths.randomElement(using: &random)!
                var payload = random.bytes(length)
                if kind == .text { payload = (0..<length / 10).flatMap { _ in Array(text.utf8) } }
                let key = role == .client ? MaskingKey(UInt32.random(in: .min ... .max, using: &random)) : nil
                connection.encode(
                    kind, ByteBuffer(bytes: payload), isLast: fragment == fragments, maskingKey: key, into: &bytes)
                message += payload
                if fragment < fragments, Bool.random(using: &random) {
                    let payload = random.bytes(Int.random(in: 0...125, using: &random))
                    if Bool.random(using: &random) {
                        connection.encodePing(ByteBuffer(bytes: payload), maskingKey: key, into: &bytes)
                        expected.append(.ping(payload))
                    } else {
                        connection.encodePong(ByteBuffer(bytes: payload), maskingKey: key, into: &bytes)
                        expected.append(.pong(payload))
                    }
                }
            }
            expected.append(.message(kind, message))
        }
        let key = role == .client ? MaskingKey(UInt32.random(in: .min ... .max, using: &random)) : nil
        connection.encodeClose(.normalClosure, reason: "done", maskingKey: key, into: &bytes)
        return (bytes.bytes, expected + [.closed(1000, "done")])
    }

    @Test(arguments: 0..<200 as Range<UInt64>)
    func `what one end says the other hears, however it is fragmented and cut`(seed: UInt64) {
        var random = SplitMix64(seed: seed)
        for (from, to) in [(WebSocketConnection.Role.client, WebSocketConnection.Role.server), (.server, .client)] {
            // The longest form of length, in one case of twenty: it is slow to make.
            let isLong = seed.isMultiple(of: 20)
            let (bytes, expected) = Self.conversation(from: from, longest: isLong ? 65_536 : 1000, using: &random)
            let piece = (isLong ? [5000, 200_000] : [7, 100, 5000]).randomElement(using: &random)!
            let heard = outcomes(to, randomPieces(bytes, longest: piece, using: &random))
            #expect(heard == expected, "seed \(seed)")
        }
    }

    /// All sorts of frames, right and wrong, short enough that damage strikes headers often.
    private static let corpus = [
        "81 05 48 65 6c 6c 6f", "01 03 48 65 6c 80 02 6c 6f", "89 05 48 65 6c 6c 6f", "02 01 61 89 00 80 01 62",
        "82 7e 00 7e 61 62 63", "88 06 0b b8 e2 82 ac 21", "82 00 8a 00 88 00", "82 7f 00 00 00 00 00 01 00 00 61",
        "81 85 37 fa 21 3d 7f 9f 4d 51 58", "82 81 00 00 00 00 61 89 80 01 02 03 04 88 82 00 00 00 00 03 e8",
    ]

    @Test(arguments: 0..<5000 as Range<UInt64>)
    func `damaged frames never trap, and mean the same however they are cut`(seed: UInt64) {
        var random = SplitMix64(seed: seed)
        var bytes = (0..<3).flatMap { _ in hex(Self.corpus.randomElement(using: &random)!) }
        for _ in 0..<Int.random(in: 0...5, using: &random) {
            let at = Int.random(in: bytes.indices, using: &random)
            switch UInt8.random(in: 0..<4, using: &random) {
            case 0: bytes[at] = UInt8.random(in: .min ... .max, using: &random)
            case 1: bytes[at] ^= 1 << UInt8.random(in: 0..<8, using: &random)
            case 2: bytes.remove(at: at)
            default: bytes.insert(UInt8.random(in: .min ... .max, using: &random), at: at)
            }
        }
        for role in [WebSocketConnection.Role.client, .server] {
            let whole = outcomes(role, [bytes])
            let cut = outcomes(role, randomPieces(bytes, longest: 5, using: &random))
            // Text that turns out to be invalid was passed on as far as the cuts allowed; all else is the same.
            func comparable(_ outcomes: [Outcome]) -> [Outcome] {
                guard outcomes.contains(.violation(.invalidFramePayloadData)) else { return outcomes }
                return outcomes.filter { if case .unfinished = $0 { false } else { true } }
            }
            #expect(comparable(whole) == comparable(cut), "seed \(seed): \(bytes)")
            #expect(!whole.contains { if case .disorder = $0 { true } else { false } }, "seed \(seed)")
        }
    }
}
