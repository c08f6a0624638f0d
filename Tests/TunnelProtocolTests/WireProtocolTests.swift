import NIOCore
import Testing

@testable import TunnelProtocol

/// The examples of the specification against the code, in both directions.
struct WireProtocolTests {
    private static let terms = Frame.Terms(initialWindow: 262_144, streams: 16_384)
    private static let session = SessionID(Opaque16(high: 0x0001_0203_0405_0607, low: 0x0809_0A0B_0C0D_0E0F))
    private static let token = ResumeToken(
        Opaque16(high: 0x1011_1213_1415_1617, low: 0x1819_1A1B_1C1D_1E1F),
        Opaque16(high: 0x2021_2223_2425_2627, low: 0x2829_2A2B_2C2D_2E2F))

    /// What each example means.
    private static let meanings: [String: Decoded] = [
        "hello": .frame(.hello(Frame.Hello(agent: "example/1", terms: terms, clientID: "laptop"))),
        "hello that resumes": .frame(
            .hello(
                Frame.Hello(
                    agent: "example/1", terms: terms,
                    resumption: Frame.Resumption(session: session, token: token, received: 300, attempt: 5)))),
        "hello that joins": .frame(
            .hello(
                Frame.Hello(
                    agent: "example/1", terms: Frame.Terms(),
                    resumption: Frame.Resumption(session: session, token: token, received: 0, link: 1, attempt: 1)))),
        "welcome": .frame(
            .welcome(
                Frame.Welcome(
                    agent: "example/1", terms: terms, session: session, token: token, resumeWindowMilliseconds: 60_000))),
        "ack": .frame(.acknowledgement(count: 300)),
        "ping": .frame(.ping(7)),
        "pong": .frame(.pong(7)),
        "goaway": .frame(.goAway(Frame.GoAway(reason: .shutdown, graceMilliseconds: 30_000))),
        "listen": .frame(
            .listen(Frame.Listen(tunnel: TunnelNumber(1), kind: .tcp, port: 8000, portIsRequired: true, label: "web"))),
        "listening": .frame(
            .listening(
                Frame.Listening(
                    tunnel: TunnelNumber(1),
                    id: TunnelID(bytes: Opaque16(high: 0xF81D_4FAE_7DEC_41D0, low: 0xA765_00A0_C91E_6BF6)),
                    url: "tunnel.example.com:8000", port: 8000))),
        "refused": .frame(
            .refused(Frame.Refused(tunnel: TunnelNumber(1), code: .taken, message: "port 8000 is taken"))),
        "listen-http": .frame(
            .listen(
                Frame.Listen(tunnel: TunnelNumber(2), kind: .http, hostname: "app", hostnameIsRequired: true, group: "blue"))),
        "health": .frame(.health(TunnelNumber(2), isWell: false)),
        "unlisten": .frame(.unlisten(TunnelNumber(1))),
        "open": .frame(
            .open(
                Frame.Open(
                    stream: StreamID(2), tunnel: TunnelNumber(1), visitor: Endpoint(.v4(0xCB00_7109), port: 41_258)))),
        "open with both addresses": .frame(
            .open(
                Frame.Open(
                    stream: StreamID(100), tunnel: TunnelNumber(1),
                    visitor: Endpoint(.v6(Opaque16(high: 0x2001_0DB8_0000_0000, low: 1)), port: 41_258),
                    destination: Endpoint(.v4(0xC633_6407), port: 8000)))),
        "opened": .frame(.opened(StreamID(2))),
        "data": .data(StreamID(2), Array("hello\n".utf8)),
        "fin": .frame(.finish(StreamID(2))),
        "reset": .frame(.reset(StreamID(2), .refused)),
        "credit": .frame(.credit(StreamID(2), bytes: 131_072)),
        "unknown": .ignored(type: 0x3F),
    ]

    @Test func `every example of the specification decodes to what it says`() throws {
        let examples = try FrameExample.all()
        #expect(Set(examples.map(\.name)) == Set(Self.meanings.keys))
        #expect(examples.count == Self.meanings.count, "a name is used twice")
        for example in examples {
            #expect(decode(example.bytes) == Self.meanings[example.name], "\(example)")
        }
    }

    @Test func `every example of the specification is what the encoder writes`() throws {
        for example in try FrameExample.all() {
            switch try #require(Self.meanings[example.name]) {
            case .frame(let frame): #expect(frame.encoded == example.bytes, "\(example)")
            case .data(let stream, let payload):
                let header = DataHeader(stream)
                var buffer = ByteBuffer()
                header.encode(into: &buffer)
                #expect(header.encodedLength == buffer.readableBytes)
                #expect(buffer.bytes + payload == example.bytes, "\(example)")
            case .ignored: break  // Nothing here writes what it does not know.
            case .incomplete, .violation: Issue.record("\(example) is no frame")
            }
        }
    }

    @Test func `the specification shows every type of frame that the decoder knows`() throws {
        let known = (UInt8.min ... .max).filter { type in
            switch decode([type]) {
            case .ignored, .violation(.unknownFrame): false
            case .frame, .data, .incomplete, .violation: true
            }
        }
        let shown = Set(try FrameExample.all().compactMap(\.bytes.first))
        #expect(known.count == 17)
        #expect(Set(known).subtracting(shown).isEmpty)
    }

    @Test func `the codes the specification lists are those of the code`() throws {
        let page = try repositoryFile("Sources/TunnelProtocol/Documentation.docc/WireProtocol.md")
        #expect(Self.codes(of: "RESET", in: page) == [0, 1, 2, 3, 4, 5, 6, 7, 8])
        #expect(ResetCode.policy.rawValue == 8 && ResetCode(rawValue: 9).description == "reset code 9")
        #expect(Self.codes(of: "REFUSED", in: page) == [0, 1, 2, 3, 4])
        #expect(RefusalCode.internalError.rawValue == 4)
        #expect(Self.codes(of: "GOAWAY", in: page) == [0, 1, 2])
        #expect(GoAwayReason.replaced.rawValue == 2 && GoAwayReason(rawValue: 3).description == "reason 3")
    }

    /// The first column of the table whose head begins with `frame`.
    private static func codes(of frame: String, in page: String) -> [UInt64] {
        page.split(separator: "\n", omittingEmptySubsequences: false)
            .drop { !$0.hasPrefix("| \(frame) |") }.dropFirst(2).prefix { $0.hasPrefix("|") }
            .compactMap { UInt64($0.dropFirst(2).prefix { $0.isNumber }) }
    }
}
