import Testing
import WebSocketProtocol

import struct NIOCore.ByteBuffer

/// permessage-deflate on the wire (RFC 7692 §6 and §7.2).
@Suite struct CompressionTests {
    private static let takeover = PermessageDeflate()
    private static let noTakeover = PermessageDeflate(
        server: .init(noContextTakeover: true), client: .init(noContextTakeover: true))
    private static let hello = Outcome.message(.text, Array("Hello".utf8))

    /// What a client makes of a server's frames, wherever they are cut.
    private static func check(
        _ frames: String, _ expected: [Outcome], _ compression: PermessageDeflate? = Self.takeover
    ) {
        for pieces in everySplit(hex(frames)) {
            #expect(outcomes(.client, pieces, compression: compression) == expected, "\(pieces)")
        }
    }

    // MARK: The examples of RFC 7692 §7.2.3

    @Test(arguments: [
        "c1 07 f2 48 cd c9 c9 07 00",  // §7.2.3.1
        "41 03 f2 48 cd 80 04 c9 c9 07 00",  // §7.2.3.1, in two frames
        "c1 0b 00 05 00 fa ff 48 65 6c 6c 6f 00",  // §7.2.3.3: a stored block
        "c1 08 f3 48 cd c9 c9 07 00 00",  // §7.2.3.4: a block with BFINAL set
        "c1 0d f2 48 05 00 00 00 ff ff ca c9 c9 07 00",  // §7.2.3.5: two blocks
    ])
    func `Hello is Hello however it was compressed`(frames: String) {
        Self.check(frames, [Self.hello])
        Self.check(frames + frames, [Self.hello, Self.hello])
        Self.check(frames + frames, [Self.hello, Self.hello], Self.noTakeover)
    }

    @Test func `a message refers to the one before it where that was agreed on`() {
        // §7.2.3.2
        let frames = "c1 07 f2 48 cd c9 c9 07 00  c1 05 f2 00 11 00 00"
        Self.check(frames, [Self.hello, Self.hello])
        let alone = outcomes(.client, [hex(frames)], compression: Self.noTakeover)
        #expect(alone == [Self.hello, .violation(.invalidFramePayloadData)])
    }

    @Test func `a message refers to one that ended in a final block`() {
        Self.check("c1 08 f3 48 cd c9 c9 07 00 00  c1 05 f2 00 11 00 00", [Self.hello, Self.hello])
    }

    @Test func `an empty message is one zero byte`() {
        // §7.2.3.6
        Self.check("c1 01 00", [.message(.text, [])])
        Self.check("42 01 00 00 00 80 00", [.message(.binary, [])])
    }

    @Test func `what is sent is compressed, and refers to what went before only where it may`() {
        var server = WebSocketConnection(role: .server, compression: Self.takeover)
        var bytes = ByteBuffer()
        let hello = ByteBuffer(string: "Hello Hello Hello")
        server.encode(.text, hello, maskingKey: nil, into: &bytes)
        let first = bytes.readableBytes
        server.encode(.text, hello, maskingKey: nil, into: &bytes)
        #expect(bytes.bytes[0] == 0xC1)
        #expect(bytes.readableBytes - first < first, "the second message refers to the first")
        #expect(outcomes(.client, [bytes.bytes], compression: Self.takeover).count == 2)

        var other = WebSocketConnection(role: .server, compression: Self.noTakeover)
        var alike = ByteBuffer()
        other.encode(.text, hello, maskingKey: nil, into: &alike)
        other.encode(.text, hello, maskingKey: nil, into: &alike)
        #expect(alike.bytes[..<first] == alike.bytes[first...])
    }

    // MARK: RSV1, RFC 7692 §6

    @Test(arguments: [
        "41 03 f2 48 cd c0 04 c9 c9 07 00",  // on a continuation
        "c9 00", "ca 00", "c8 00",  // on a control frame
        "a1 00", "91 00", "e1 00", "d1 00", "f1 00",  // another reserved bit, with and without it
    ])
    func `a reserved bit is refused where it says nothing`(frames: String) {
        let heard = outcomes(.client, [hex(frames)], compression: Self.takeover)
        #expect(heard.contains(.violation(.protocolError)))
        #expect(!heard.contains(Self.hello))
    }

    @Test func `messages that are not compressed come between those that are`() {
        Self.check(
            "81 05 48 65 6c 6c 6f  c1 07 f2 48 cd c9 c9 07 00  82 00",
            [Self.hello, Self.hello, .message(.binary, [])])
    }

    @Test func `a ping between the frames of a compressed message comes when it came`() {
        Self.check("41 03 f2 48 cd 89 01 70 80 04 c9 c9 07 00", [.ping([0x70]), Self.hello])
    }

    // MARK: What no peer may send

    @Test(arguments: 0..<7)
    func `a message that is cut off is refused`(length: Int) {
        let payload = hex("f2 48 cd c9 c9 07 00")[..<length]
        let heard = outcomes(.client, [[0xC1, UInt8(length)] + payload], compression: Self.takeover)
        #expect(heard.contains(.violation(.invalidFramePayloadData)))
        #expect(!heard.contains { if case .message = $0 { true } else { false } })
    }

    @Test func `a reserved kind of block is refused`() {
        Self.check("c2 01 07", [.violation(.invalidFramePayloadData)])
    }

    @Test func `text is checked once it is inflated`() {
        var server = WebSocketConnection(role: .server, compression: Self.takeover)
        for (bytes, isValid) in [("e2 82 ac", true), ("e2 82", false), ("ff", false), ("ed a0 80", false)] {
            var frames = ByteBuffer()
            let payload = ByteBuffer(bytes: (0..<20).flatMap { _ in hex("61 62") } + hex(bytes))
            server.encode(.text, payload, maskingKey: nil, into: &frames)
            #expect(frames.bytes[0] == 0xC1)
            let heard = outcomes(.client, [frames.bytes], compression: Self.noTakeover)
            #expect(heard.contains(.violation(.invalidFramePayloadData)) == !isValid, "\(bytes)")
            server = WebSocketConnection(role: .server, compression: Self.takeover)
        }
    }

    @Test func `a violation while inflating comes once and closes`() throws {
        var client = WebSocketConnection(role: .client, compression: Self.takeover)
        try client.receive(ByteBuffer(bytes: hex("c2 01 07 c2 07 f2 48 cd c9 c9 07 00")))
        guard case .violation(let violation) = client.nextEvent() else {
            Issue.record("no violation")
            return
        }
        #expect(client.nextEvent() == nil)
        try client.receive(ByteBuffer(bytes: hex("89 00")))
        #expect(client.nextEvent() == nil)
        var answer = ByteBuffer()
        #expect(client.encodeClose(violation, maskingKey: MaskingKey(0), into: &answer))
        #expect(client.isClosed)
        #expect(Array(answer.bytes[6..<8]) == [0x03, 0xEF])
    }

    @Test func `a violation is told although a Close came right behind it`() throws {
        var client = WebSocketConnection(role: .client, compression: Self.takeover)
        try client.receive(ByteBuffer(bytes: hex("c2 01 07 88 00")))
        guard case .violation = client.nextEvent() else {
            Issue.record("no violation")
            return
        }
        #expect(client.nextEvent() == nil)
    }

    // MARK: Bounds

    /// What a server sends for a message of so many zeros.
    private static func zeros(_ count: Int) -> [UInt8] {
        var server = WebSocketConnection(role: .server, compression: self.takeover)
        var bytes = ByteBuffer()
        server.encode(.binary, ByteBuffer(repeating: 0, count: count), maskingKey: nil, into: &bytes)
        return bytes.bytes
    }

    @Test func `a message inflates to as much as it may, and not to a byte more`() {
        var limits = WebSocketLimits()
        limits.inflatedMessage = 1 << 20
        let message = Outcome.message(.binary, [UInt8](repeating: 0, count: 1 << 20))
        let heard = outcomes(.client, [Self.zeros(1 << 20)], limits: limits, compression: Self.takeover)
        #expect(heard == [message])

        limits.inflatedMessage -= 1
        let refused = outcomes(.client, [Self.zeros(1 << 20)], limits: limits, compression: Self.takeover)
        #expect(!refused.contains(message))
        #expect(refused.contains(.violation(.messageTooBig)))
    }

    @Test func `one piece exists at a time`() throws {
        let bytes = Self.zeros(4 << 20)
        #expect(bytes.count < 8_192)
        let limits = WebSocketLimits()
        var client = WebSocketConnection(role: .client, limits: limits, compression: Self.takeover)
        try client.receive(ByteBuffer(bytes: bytes))
        var total = 0
        while let event = client.nextEvent() {
            guard case .payload(let part) = event else { continue }
            #expect(part.bytes.readableBytes <= limits.inflatedPiece)
            #expect(part.bytes.capacity <= 2 * limits.inflatedPiece)
            total += part.bytes.readableBytes
        }
        #expect(total == 4 << 20)
    }

    @Test func `what was not taken is still there after the next bytes`() throws {
        var client = WebSocketConnection(role: .client, acceptsText: true, compression: Self.takeover)
        for byte in hex("c1 07 f2 48 cd c9 c9 07 00 81 05 48 65 6c 6c 6f") {
            try client.receive(ByteBuffer(bytes: [byte]))
        }
        var assembler = Assembler()
        assembler.drain(&client)
        #expect(assembler.all == [Self.hello, Self.hello])
    }

    // MARK: Sending

    @Test func `what does not shrink is sent as it is, and breaks no later message`() {
        var random = SplitMix64(seed: 7692)
        var server = WebSocketConnection(role: .server, compression: Self.takeover)
        var bytes = ByteBuffer()
        let noise = random.bytes(300)
        let text = Array(repeatElement("Hello", count: 50).joined().utf8)
        var expected: [Outcome] = []
        for payload in [text, noise, noise, text, [], [1], text] {
            let start = bytes.writerIndex
            server.encode(.binary, ByteBuffer(bytes: payload), maskingKey: nil, into: &bytes)
            let isCompressed = bytes.getInteger(at: start, as: UInt8.self) == 0xC2
            #expect(isCompressed == (payload == text))
            #expect(isCompressed || bytes.writerIndex - start <= payload.count + 4)
            expected.append(.message(.binary, payload))
        }
        #expect(outcomes(.client, [bytes.bytes], compression: Self.takeover) == expected)
    }

    @Test func `an end that agreed to a window of 8 bits sends its messages as they are`() {
        let compression = PermessageDeflate(server: .init(maxWindowBits: 8))
        var server = WebSocketConnection(role: .server, compression: compression)
        var bytes = ByteBuffer()
        server.encode(.binary, ByteBuffer(repeating: 0, count: 100), maskingKey: nil, into: &bytes)
        #expect(bytes.bytes[0] == 0x82)
    }

    @Test(arguments: 0..<200 as Range<UInt64>)
    func `what one end compresses the other inflates, whatever was agreed on`(seed: UInt64) {
        var random = SplitMix64(seed: seed)
        func sender() -> PermessageDeflate.Sender {
            .init(noContextTakeover: Bool.random(using: &random), maxWindowBits: Int.random(in: 8...15, using: &random))
        }
        let compression = PermessageDeflate(server: sender(), client: sender())
        let words = ["tunnel ", "stream ", "visitor ", "service ", "link ", "é€😀"]
        for role in [WebSocketConnection.Role.client, .server] {
            var from = WebSocketConnection(role: role, compression: compression)
            var bytes = ByteBuffer()
            var expected: [Outcome] = []
            for _ in 0..<Int.random(in: 1...8, using: &random) {
                let isText = Bool.random(using: &random)
                var message: [UInt8] = []
                let fragments = Int.random(in: 1...3, using: &random)
                for fragment in 1...fragments {
                    var payload: [UInt8] = []
                    for _ in 0..<Int.random(in: 0...400, using: &random) {
                        payload += words.randomElement(using: &random)!.utf8
                    }
                    if !isText { payload += random.bytes(Int.random(in: 0...50, using: &random)) }
                    let key = role == .client ? MaskingKey(UInt32.random(in: .min ... .max, using: &random)) : nil
                    from.encode(
                        isText ? .text : .binary, ByteBuffer(bytes: payload), isLast: fragment == fragments,
                        maskingKey: key, into: &bytes)
                    message += payload
                }
                expected.append(.message(isText ? .text : .binary, message))
            }
            let pieces = randomPieces(bytes.bytes, longest: 300, using: &random)
            let heard = outcomes(role == .client ? .server : .client, pieces, compression: compression)
            #expect(heard == expected, "seed \(seed)")
        }
    }

    @Test(arguments: 0..<3000 as Range<UInt64>)
    func `damaged compressed messages never trap, and mean the same however they are cut`(seed: UInt64) {
        var random = SplitMix64(seed: seed)
        let corpus = [
            "c1 07 f2 48 cd c9 c9 07 00", "41 03 f2 48 cd 80 04 c9 c9 07 00", "c1 08 f3 48 cd c9 c9 07 00 00",
            "c1 0d f2 48 05 00 00 00 ff ff ca c9 c9 07 00", "c2 01 00", "c2 05 f2 00 11 00 00", "89 01 70",
        ]
        var bytes = (0..<3).flatMap { _ in hex(corpus.randomElement(using: &random)!) }
        for _ in 0..<Int.random(in: 1...4, using: &random) {
            bytes[Int.random(in: bytes.indices, using: &random)] ^= 1 << UInt8.random(in: 0..<8, using: &random)
        }
        let whole = outcomes(.client, [bytes], compression: Self.takeover)
        let cut = outcomes(.client, randomPieces(bytes, longest: 5, using: &random), compression: Self.takeover)
        // Of what turns out to be invalid, as much was passed on as the cuts allowed; all else is the same.
        func comparable(_ outcomes: [Outcome]) -> [Outcome] {
            guard outcomes.contains(where: { if case .violation = $0 { true } else { false } }) else { return outcomes }
            return outcomes.filter {
                switch $0 {
                case .message, .ping, .pong: true
                case .unfinished, .closed, .violation, .disorder: false
                }
            }
        }
        #expect(comparable(whole) == comparable(cut), "seed \(seed): \(bytes)")
        #expect(!whole.contains { if case .disorder = $0 { true } else { false } }, "seed \(seed)")
    }
}
