import NIOCore
import Testing

@testable import TunnelProtocol

struct FrameDecoderTests {
    @Test(arguments: 0..<200 as Range<UInt64>)
    func `every frame comes back as it went`(seed: UInt64) {
        var random = SplitMix64(seed: seed)
        for _ in 0..<30 {
            let frame = Frame.random(using: &random)
            let message = frame.encoded
            #expect(message.count <= Limits.Specification.controlFrameBytes)
            #expect(decode(message) == .frame(frame), "seed \(seed)")
            #expect(
                decode(randomPieces(message, longest: 40, using: &random)) == .frame(frame), "seed \(seed), in pieces")
        }
    }

    @Test(arguments: 0..<50 as Range<UInt64>)
    func `the payload of DATA comes back whole, however it is cut`(seed: UInt64) {
        var random = SplitMix64(seed: seed)
        let stream = StreamID(random.varint())
        var message = ByteBuffer()
        DataHeader(stream).encode(into: &message)
        let payload = random.bytes(Int.random(in: 0...300, using: &random))
        message.writeBytes(payload)
        #expect(decode(message.bytes) == .data(stream, payload), "seed \(seed)")
        #expect(
            decode(randomPieces(message.bytes, longest: 7, using: &random)) == .data(stream, payload), "seed \(seed)")
    }

    @Test func `a frame means the same wherever its message is cut, empty parts included`() throws {
        for example in try FrameExample.all() {
            let whole = decode(example.bytes)
            for cut in 0...example.bytes.count {
                let parts = [Array(example.bytes[..<cut]), [], Array(example.bytes[cut...])]
                #expect(decode(parts) == whole, "\(example), cut at \(cut)")
            }
            #expect(decode(example.bytes.map { [$0] }) == whole, "\(example), byte by byte")
            #expect(decode(example.bytes.map { [$0] } + [[]]) == whole, "\(example), ended by an empty part")
        }
    }

    @Test func `a message that ends early is refused or means less, and one that goes on is incomplete`() throws {
        // Where parameters end, a shorter frame is as good as the whole; DATA is good from its stream on.
        let open: [String: Set<Int>] = [
            "hello": [24], "hello that resumes": [24], "hello that joins": [24, 82], "welcome": [79], "listen": [3, 7, 9], "listen-http": [3, 8, 10], "listening": [20, 45],
            "refused": [3], "open": [3], "open with both addresses": [4, 24], "data": [2, 3, 4, 5, 6, 7],
            "unknown": [1, 2, 3],
        ]
        for example in try FrameExample.all() {
            for count in 0..<example.bytes.count {
                let prefix = Array(example.bytes[..<count])
                let decoded = decode(prefix)
                if open[example.name]?.contains(count) == true {
                    if case .violation = decoded { Issue.record("\(example) to byte \(count): \(decoded)") }
                } else {
                    #expect(decoded == .violation(.malformedFrame), "\(example) to byte \(count)")
                }
                #expect(decode([prefix], endsWithLast: false) == .incomplete, "\(example) to byte \(count)")
            }
        }
    }

    @Test func `each message that breaks a rule is refused for it`() throws {
        let refused = try RefusedMessage.all()
        #expect(refused.count > 40)
        for message in refused {
            let rule = try #require(PeerViolation.Rule(rawValue: message.rule), "\(message)")
            #expect(decode(message.bytes) == .violation(rule), "\(message)")
            #expect(decode(message.bytes.map { [$0] } + [[]]) == .violation(rule), "\(message), byte by byte")
        }
    }

    @Test func `the types that may be ignored are, and the others are not`() {
        for type in UInt8.min ... .max {
            switch decode([type, 0xFF]) {
            case .ignored(let ignored): #expect(ignored == type && type < 0x40)
            case .violation(.unknownFrame): #expect(type >= 0x40)
            case .violation(.malformedFrame): #expect(type < 0x40)
            case .frame, .data, .incomplete, .violation: Issue.record("type \(type)")
            }
        }
    }

    @Test func `varints that are longer than need be, and parameters of later versions, are accepted`() {
        #expect(decode(hex("23 40 02")) == .frame(.finish(StreamID(2))))
        #expect(decode(hex("25 c0 00 00 00 00 00 00 02 80 00 00 01")) == .frame(.credit(StreamID(2), bytes: 1)))
        let listen = Frame.listen(Frame.Listen(tunnel: TunnelNumber(1), kind: .tcp, port: 8000))
        #expect(decode(hex("10 01 00 3f 00 10 02 5f 40 7f ff 02 aa bb 3f 00")) == .frame(listen))
    }

    @Test func `HELLO without a link means link 0, and without a session it resumes nothing`() {
        let session = "04 10" + String(repeating: " 00", count: 16) + "05 20" + String(repeating: " 00", count: 32)
        let zero = Opaque16(high: 0, low: 0)
        for (link, text) in [(0, ""), (0, "09 01 00"), (1, "09 01 01"), (7, "09 02 40 07")] as [(UInt64, String)] {
            let resumption = Frame.Resumption(
                session: SessionID(zero), token: ResumeToken(zero, zero), received: 3, link: link, attempt: 2)
            let hello = Frame.Hello(agent: "", terms: Frame.Terms(initialWindow: 16, streams: 16), resumption: resumption)
            let message = hex("01 02 01 10 03 01 10" + session + "06 01 03 0a 01 02" + text)
            #expect(decode(message) == .frame(.hello(hello)), "\(text)")
            #expect(decode(Frame.hello(hello).encoded) == .frame(.hello(hello)), "\(text)")
        }
        let fresh = Frame.hello(Frame.Hello(agent: "", terms: Frame.Terms(initialWindow: 16, streams: 16)))
        #expect(decode(hex("01 02 01 10 03 01 10 06 01 03 09 01 01 0a 01 02")) == .frame(fresh))
    }

    @Test func `a text as long as a line of a log is accepted, and a longer one is not`() {
        func refused(_ count: Int) -> Decoded {
            decode([0x12, 1, 0, 0x15, 0x40 | UInt8(count >> 8), UInt8(count & 0xFF)] + Array(repeating: 0x61, count: count))
        }
        let text = String(repeating: "a", count: 512)
        #expect(refused(512) == .frame(.refused(Frame.Refused(tunnel: TunnelNumber(1), code: .taken, message: text))))
        #expect(refused(513) == .violation(.malformedFrame))
    }

    @Test func `whatever text a sender has, its receiver accepts`() {
        func received(_ text: String) -> String? {
            let sent = Frame.refused(Frame.Refused(tunnel: TunnelNumber(1), code: .taken, message: text))
            guard case .frame(.refused(let refused)) = decode(sent.encoded) else { return nil }
            return refused.message
        }
        #expect(received("port 80:\n\taddress in use\u{7F}\u{85}") == "port 80:  address in use  ")
        #expect(received("\r\n") == " ")
        // 512 bytes end inside the last character.
        #expect(received(String(repeating: "€", count: 171)) == String(repeating: "€", count: 170))
        #expect(received(String(repeating: "e\u{301}", count: 200)) == String(repeating: "e\u{301}", count: 170))
        // One character as long as that, and nothing else.
        #expect(received("e" + String(repeating: "\u{301}", count: 300)) == "")
    }

    @Test func `what is held of a control frame is bounded while it is still incomplete`() throws {
        var decoder = FrameDecoder()
        #expect(try decoder.receive(ByteBuffer(bytes: [0x3F]), isLast: false) == nil)
        let block = ByteBuffer(repeating: 0, count: 4_095)
        for _ in 0..<4 { #expect(try decoder.receive(block, isLast: false) == nil) }
        #expect(try decoder.receive(ByteBuffer(repeating: 0, count: 3), isLast: false) == nil)
        #expect(violation { _ = try decoder.receive(ByteBuffer(bytes: [0]), isLast: false) } == .limit)

        var another = FrameDecoder()
        let tooLong = ByteBuffer(repeating: 0x10, count: Limits.Specification.controlFrameBytes + 1)
        #expect(violation { _ = try another.receive(tooLong, isLast: false) } == .limit)
        #expect(decode(Array(repeating: 0x3F, count: Limits.Specification.controlFrameBytes)) == .ignored(type: 0x3F))
    }

    @Test func `collecting byte by byte moves what is held only when it has to grow`() throws {
        var decoder = FrameDecoder()
        var places = Set<UnsafeRawPointer?>()
        for _ in 0..<Limits.Specification.controlFrameBytes {
            _ = try decoder.receive(ByteBuffer(bytes: [0x3F]), isLast: false)
            places.insert(decoder.held.withVeryUnsafeBytes { $0.baseAddress })
        }
        #expect(places.count < 20)
        #expect(try decoder.receive(ByteBuffer(), isLast: true) == .ignored(type: 0x3F))
        #expect(decoder.held.readableBytes == 0)
    }

    @Test func `a part that is held does not keep the buffer alive that it came in`() throws {
        for first in [[0x3F, 0], [0x22, 0xC0]] as [[UInt8]] {
            var decoder = FrameDecoder()
            var received = ByteBuffer(repeating: 0, count: 1 << 20)
            received.setBytes(first, at: 0)
            received.moveWriterIndex(to: 2)
            #expect(try decoder.receive(received, isLast: false) == nil)
            #expect(decoder.held.bytes == first)
            #expect(decoder.held.storageCapacity < 100)
        }
    }

    @Test func `a DATA frame may be as long as the specification says, in any number of parts, and no longer`() throws {
        var decoder = FrameDecoder()
        _ = try decoder.receive(ByteBuffer(bytes: [0x22, 2]), isLast: false)
        let block = ByteBuffer(repeating: 0, count: 1 << 16)
        for _ in 0..<16 { _ = try decoder.receive(block, isLast: false) }
        #expect(violation { _ = try decoder.receive(ByteBuffer(bytes: [0]), isLast: false) } == .limit)
    }

    @Test func `the parts of DATA are handed on as they come`() throws {
        var decoder = FrameDecoder()
        let stream = StreamID(300)
        #expect(try decoder.receive(ByteBuffer(bytes: [0x22, 0x41]), isLast: false) == nil)
        #expect(
            try decoder.receive(ByteBuffer(bytes: [0x2C, 7]), isLast: false)
                == .data(stream, ByteBuffer(bytes: [7]), isLast: false))
        #expect(try decoder.receive(ByteBuffer(), isLast: true) == .data(stream, ByteBuffer(), isLast: true))
        #expect(try decoder.receive(ByteBuffer(bytes: [0x21, 2]), isLast: true) == .frame(.opened(StreamID(2))))
    }

    @Test(arguments: 0..<400 as Range<UInt64>)
    func `no mutation of an example traps`(seed: UInt64) throws {
        var random = SplitMix64(seed: seed)
        let corpus = try FrameExample.all().map(\.bytes) + RefusedMessage.all().map(\.bytes)
        for _ in 0..<20 {
            var message = try #require(corpus.randomElement(using: &random))
            for _ in 0..<Int.random(in: 1...4, using: &random) {
                let place = Int.random(in: 0...message.count, using: &random)
                switch Int.random(in: 0..<5, using: &random) {
                case 0 where place < message.count: message[place] = UInt8.random(in: .min ... .max, using: &random)
                case 1 where place < message.count: message[place] ^= 1 << UInt8.random(in: 0..<8, using: &random)
                case 2 where place < message.count: message.remove(at: place)
                case 3: message.insert(contentsOf: corpus.randomElement(using: &random)?.prefix(9) ?? [], at: place)
                default: message.insert([0x00, 0x3F, 0x7F, 0xC0, 0xFF].randomElement(using: &random) ?? 0, at: place)
                }
            }
            let whole = decode(message)
            let pieces = randomPieces(message, longest: 5, using: &random)
            #expect(decode(pieces) == whole, "seed \(seed): \(message)")
            // Whatever was understood can be said again, and is then understood the same way.
            if case .frame(let frame) = whole { #expect(decode(frame.encoded) == whole, "seed \(seed): \(message)") }
        }
    }
}
