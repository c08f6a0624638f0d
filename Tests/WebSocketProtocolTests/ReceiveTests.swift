import Testing
import WebSocketProtocol

import struct NIOCore.ByteBuffer

/// What a connection makes of bytes, however they are cut.
@Suite struct ReceiveTests {
    private static let key: UInt32 = 0x37FA_213D

    /// The bytes of a client's frame, from the plain bytes of a server's.
    private static func masked(_ plain: [UInt8]) -> [UInt8] {
        var bytes: [UInt8] = []
        var rest = plain[...]
        while rest.count >= 2 {
            let short = Int(rest[rest.startIndex + 1] & 0x7F)
            let header = short < 126 ? 2 : short == 126 ? 4 : 10
            let length =
                short < 126
                ? short : rest.dropFirst(2).prefix(header - 2).reduce(0) { $0 << 8 | Int($1) }
            bytes += rest.prefix(header).enumerated().map { $0.offset == 1 ? $0.element | 0x80 : $0.element }
            bytes += [0x37, 0xFA, 0x21, 0x3D]
            var payload = ByteBuffer()
            payload.writeMasked(ByteBuffer(bytes: rest.dropFirst(header).prefix(length)), with: MaskingKey(self.key))
            bytes += payload.bytes
            rest = rest.dropFirst(header + length)
        }
        return bytes
    }

    private static func check(
        _ role: WebSocketConnection.Role, _ bytes: [UInt8], _ expected: [Outcome],
        limits: WebSocketLimits = WebSocketLimits(), location: SourceLocation = #_sourceLocation
    ) {
        for pieces in everySplit(bytes) {
            let found = outcomes(role, pieces, limits: limits)
            #expect(found == expected, "cut at \(pieces[0].count)", sourceLocation: location)
        }
    }

    /// Both roles: the bytes as a server sends them, and masked as a client does.
    private static func check(
        _ plain: String, _ expected: [Outcome], limits: WebSocketLimits = WebSocketLimits(),
        location: SourceLocation = #_sourceLocation
    ) {
        self.check(.client, hex(plain), expected, limits: limits, location: location)
        self.check(.server, self.masked(hex(plain)), expected, limits: limits, location: location)
    }

    private static let hello = Array("Hello".utf8)

    // MARK: RFC 6455 §5.7

    @Test func `a text message in one frame`() {
        Self.check(.client, hex("81 05 48 65 6c 6c 6f"), [.message(.text, Self.hello)])
    }

    @Test func `a masked text message in one frame`() {
        Self.check(.server, hex("81 85 37 fa 21 3d 7f 9f 4d 51 58"), [.message(.text, Self.hello)])
    }

    @Test func `a text message in two frames`() {
        Self.check("01 03 48 65 6c  80 02 6c 6f", [.message(.text, Self.hello)])
    }

    @Test func `a ping, and the pong that answers it`() {
        Self.check(.client, hex("89 05 48 65 6c 6c 6f"), [.ping(Self.hello)])
        Self.check(.server, hex("8a 85 37 fa 21 3d 7f 9f 4d 51 58"), [.pong(Self.hello)])
    }

    @Test(arguments: [(256, "82 7e 01 00"), (65_536, "82 7f 00 00 00 00 00 01 00 00")])
    func `a binary message with a long length`(count: Int, header: String) {
        var random = SplitMix64(seed: 1)
        let payload = random.bytes(count)
        let bytes = hex(header) + payload
        for (role, bytes) in [(WebSocketConnection.Role.client, bytes), (.server, Self.masked(bytes))] {
            for cut in 0...20 {
                let pieces = [Array(bytes[..<cut]), Array(bytes[cut...])]
                #expect(outcomes(role, pieces) == [.message(.binary, payload)])
            }
            #expect(outcomes(role, bytes.map { [$0] }) == [.message(.binary, payload)])
        }
    }

    // MARK: Messages

    @Test func `an empty message is one part, first and last`() throws {
        var connection = WebSocketConnection(role: .client)
        try connection.receive(ByteBuffer(bytes: hex("82 00")))
        let part = MessagePart(kind: .binary, bytes: ByteBuffer(), isFirst: true, isLast: true)
        #expect(connection.nextEvent() == .payload(part))
        #expect(connection.nextEvent() == nil)
        Self.check("82 00", [.message(.binary, [])])
        Self.check("02 00  80 00", [.message(.binary, [])])
        Self.check("02 00  00 00  80 01 61", [.message(.binary, [0x61])])
        Self.check("02 01 61  00 00  80 00", [.message(.binary, [0x61])])
    }

    @Test func `parts do not wait for more bytes`() throws {
        var connection = WebSocketConnection(role: .client)
        try connection.receive(ByteBuffer(bytes: hex("82 05 48 65")))
        #expect(
            connection.nextEvent()
                == .payload(
                    MessagePart(kind: .binary, bytes: ByteBuffer(string: "He"), isFirst: true, isLast: false)))
        try connection.receive(ByteBuffer(bytes: hex("6c 6c 6f")))
        #expect(
            connection.nextEvent()
                == .payload(
                    MessagePart(kind: .binary, bytes: ByteBuffer(string: "llo"), isFirst: false, isLast: true)))
    }

    @Test func `control frames may come between the fragments of a message`() {
        Self.check(
            "02 01 61  89 01 70  00 01 62  8a 00  80 01 63  82 01 64",
            [.ping([0x70]), .pong([]), .message(.binary, Array("abc".utf8)), .message(.binary, [0x64])])
    }

    @Test func `events that were not taken are kept, in order`() throws {
        var connection = WebSocketConnection(role: .server)
        let bytes = Self.masked(hex("82 02 61 62  89 01 70  82 01 63  8a 00"))
        for byte in bytes { try connection.receive(ByteBuffer(bytes: [byte])) }
        var assembler = Assembler()
        assembler.drain(&connection)
        #expect(
            assembler.all
                == [.message(.binary, Array("ab".utf8)), .ping([0x70]), .message(.binary, [0x63]), .pong([])])
    }

    @Test func `bytes that somebody else still holds are not changed`() throws {
        var connection = WebSocketConnection(role: .server)
        let bytes = ByteBuffer(bytes: Self.masked(hex("82 05 48 65 6c 6c 6f")))
        let before = bytes.bytes
        try connection.receive(bytes)
        guard case .payload(let part) = connection.nextEvent() else { return #expect(Bool(false)) }
        #expect(part.bytes.text == "Hello")
        #expect(bytes.bytes == before)
    }

    @Test func `a buffer read from the middle is read right`() throws {
        var connection = WebSocketConnection(role: .server)
        var bytes = ByteBuffer(bytes: [1, 2, 3] + Self.masked(hex("82 05 48 65 6c 6c 6f  89 01 70")))
        bytes.moveReaderIndex(forwardBy: 3)
        try connection.receive(bytes)
        var assembler = Assembler()
        assembler.drain(&connection)
        #expect(assembler.all == [.message(.binary, Self.hello), .ping([0x70])])
    }

    // MARK: Rules, RFC 6455 §5

    @Test(arguments: ["c2 00", "a2 00", "92 00", "f2 00", "c9 00"])
    func `a reserved bit is refused`(frame: String) {
        Self.check(frame, [.violation(.protocolError)])
    }

    @Test(arguments: ["83 00", "84 00", "87 00", "8b 00", "8f 00", "03 00"])
    func `a reserved opcode is refused`(frame: String) {
        Self.check(frame, [.violation(.protocolError)])
    }

    @Test(arguments: ["08 00", "09 00", "0a 00", "09 01 70"])
    func `a fragmented control frame is refused`(frame: String) {
        Self.check(frame, [.violation(.protocolError)])
    }

    @Test func `a control frame of 125 bytes is whole, and one of 126 is refused`() {
        let payload = [UInt8](repeating: 0x70, count: 125)
        Self.check(.client, hex("89 7d") + payload, [.ping(payload)])
        Self.check(.server, Self.masked(hex("8a 7d") + payload), [.pong(payload)])
        Self.check(.client, hex("89 7e"), [.violation(.protocolError)])
        Self.check(.server, hex("89 fe"), [.violation(.protocolError)])
        Self.check(.server, hex("88 ff"), [.violation(.protocolError)])
    }

    @Test func `a client's frame without a mask is refused, and a server's with one`() {
        Self.check(.server, hex("82 01 61"), [.violation(.protocolError)])
        Self.check(.server, hex("89 00"), [.violation(.protocolError)])
        Self.check(.client, hex("82 81 00 00 00 00 61"), [.violation(.protocolError)])
    }

    @Test(arguments: [
        "82 7e 00 00", "82 7e 00 7d", "82 7f 00 00 00 00 00 00 00 00", "82 7f 00 00 00 00 00 00 ff ff",
    ])
    func `a length that is not in its shortest form is refused`(frame: String) {
        Self.check(.client, hex(frame), [.violation(.protocolError)])
    }

    @Test(arguments: ["82 7f 80 00 00 00 00 00 00 00", "82 7f ff ff ff ff ff ff ff ff"])
    func `a length of 64 bits is refused`(frame: String) {
        Self.check(.client, hex(frame), [.violation(.protocolError)])
    }

    @Test func `a length of 63 bits is only too big`() {
        Self.check(.client, hex("82 7f 7f ff ff ff ff ff ff ff"), [.violation(.messageTooBig)])
        var limits = WebSocketLimits()
        limits.framePayload = .max
        limits.message = .max
        Self.check(
            .client, hex("02 01 61  80 7f 7f ff ff ff ff ff ff ff"),
            [.violation(.messageTooBig), .unfinished(.binary, [0x61])], limits: limits)
        limits.message = nil
        Self.check(.client, hex("82 7f 7f ff ff ff ff ff ff ff 61"), [.unfinished(.binary, [0x61])], limits: limits)
    }

    @Test(arguments: ["80 00", "00 00", "82 01 61  80 01 62"])
    func `a continuation frame with no message to continue is refused`(frames: String) {
        let before: [Outcome] = frames.hasPrefix("82") ? [.message(.binary, [0x61])] : []
        Self.check(frames, before + [.violation(.protocolError)])
    }

    @Test(arguments: ["02 01 61  82 01 62", "02 01 61  01 00", "02 01 61  89 00  82 00"])
    func `a message inside another is refused`(frames: String) {
        let ping: [Outcome] = frames.contains("89") ? [.ping([])] : []
        Self.check(frames, ping + [.violation(.protocolError), .unfinished(.binary, [0x61])])
    }

    @Test func `a text message is refused where only binary ones are accepted`() {
        #expect(outcomes(.client, [hex("81 01 61")], acceptsText: false) == [.violation(.unsupportedData)])
        #expect(outcomes(.client, [hex("82 01 61")], acceptsText: false) == [.message(.binary, [0x61])])
    }

    // MARK: Limits

    @Test func `a frame over the limit is refused by its header`() {
        var limits = WebSocketLimits()
        limits.framePayload = 3
        Self.check("82 03 61 62 63", [.message(.binary, Array("abc".utf8))], limits: limits)
        Self.check(.client, hex("82 04"), [.violation(.messageTooBig)], limits: limits)
    }

    @Test func `a message over the limit is refused by the header that exceeds it`() {
        var limits = WebSocketLimits()
        limits.message = 3
        Self.check(
            "02 02 61 62  80 01 63  82 03 61 62 63",
            [
                .message(.binary, Array("abc".utf8)), .message(.binary, Array("abc".utf8)),
            ], limits: limits)
        Self.check(
            .client, hex("02 02 61 62  00 02"), [.violation(.messageTooBig), .unfinished(.binary, [0x61, 0x62])],
            limits: limits)
    }

    @Test func `empty fragments without end are refused`() {
        let fragments = [UInt8](repeating: 0, count: 63 * 2)
        Self.check(.client, hex("02 00") + fragments + hex("80 00"), [.message(.binary, [])])
        Self.check(.client, hex("02 00") + fragments + hex("00 00"), [.violation(.policyViolation)])
        Self.check(
            .client, hex("02 00") + fragments + hex("00 01 61") + fragments + hex("80 00"),
            [.message(.binary, [0x61])])
    }

    // MARK: Text, RFC 6455 §8.1

    @Test func `a character may be cut by fragments and control frames`() {
        Self.check(
            "01 01 e2  89 00  00 01 82  80 01 ac", [.ping([]), .message(.text, Array("€".utf8))])
    }

    @Test(arguments: ["81 01 ff", "81 02 c0 80", "01 01 e2  80 01 41", "81 03 ed a0 80"])
    func `invalid UTF-8 is 1007`(frames: String) {
        let found = outcomes(.client, [hex(frames)])
        #expect(found.contains(.violation(.invalidFramePayloadData)))
    }

    @Test func `invalid UTF-8 is noticed before its frame is whole`() {
        // What was valid and came by itself has been passed on: only its cuts tell how much.
        for pieces in everySplit(hex("81 7d 61 62 ff")) {
            #expect(outcomes(.client, pieces).contains(.violation(.invalidFramePayloadData)))
        }
    }

    @Test func `a text that ends inside a character is 1007`() {
        #expect(outcomes(.client, [hex("81 01 e2")]) == [.violation(.invalidFramePayloadData)])
        Self.check("01 01 e2  80 00", [.violation(.invalidFramePayloadData), .unfinished(.text, [0xE2])])
    }

    // MARK: Close, RFC 6455 §5.5.1

    @Test func `a Close frame has nothing, or a code, or a code and a reason`() {
        Self.check("88 00", [.closed(nil, "")])
        Self.check("88 02 03 e8", [.closed(1000, "")])
        Self.check("88 06 0b b8 e2 82 ac 21", [.closed(3000, "€!")])
    }

    @Test func `what follows a Close frame is ignored, whatever it is`() {
        Self.check("88 02 03 e8  82 01 61", [.closed(1000, "")])
        Self.check(.client, hex("88 00 ff ff ff ff"), [.closed(nil, "")])
    }

    @Test func `what follows a violation is ignored`() {
        Self.check(
            .client, hex("82 01 61  83 00  82 01 61  89 00"),
            [
                .message(.binary, [0x61]), .violation(.protocolError),
            ])
    }

    @Test func `a close frame of one byte is refused`() {
        Self.check("88 01 03", [.violation(.protocolError)])
    }

    @Test(arguments: [0, 999, 1004, 1005, 1006, 1015, 1016, 1999, 2000, 2999, 5000, 65535] as [UInt16])
    func `a close code that may not travel is refused`(code: UInt16) {
        let bytes = [0x88, 2, UInt8(code >> 8), UInt8(code & 0xFF)]
        Self.check(.client, bytes, [.violation(.protocolError)])
    }

    @Test func `a close reason that is not UTF-8 is 1007`() {
        Self.check("88 03 03 e8 ff", [.violation(.invalidFramePayloadData)])
        Self.check("88 04 03 e8 e2 82", [.violation(.invalidFramePayloadData)])
    }
}
