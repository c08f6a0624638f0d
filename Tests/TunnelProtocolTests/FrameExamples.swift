import NIOCore

@testable import TunnelProtocol

/// The example frames of the wire specification, read from the page itself:
///
///     ```frame name
///     20 02 01     # comment
///     ```
struct FrameExample: Sendable, CustomStringConvertible {
    let name: String
    let bytes: [UInt8]

    var description: String { self.name }

    static func all() throws -> [FrameExample] {
        let page = try repositoryFile("Sources/TunnelProtocol/Documentation.docc/WireProtocol.md")
        var examples: [FrameExample] = []
        var open: (name: String, lines: [Substring])?
        for line in page.split(separator: "\n", omittingEmptySubsequences: false) {
            if let name = line.wholeMatch(of: #/```frame (.+)/#)?.1 {
                open = (String(name), [])
            } else if line == "```", let block = open {
                examples.append(FrameExample(name: block.name, bytes: hex(block.lines.joined(separator: "\n"))))
                open = nil
            } else {
                open?.lines.append(line)
            }
        }
        return examples
    }
}

/// Messages that must be refused: a line that names the rule and says why, then the bytes.
///
///     = malformed frame: a PING of seven bytes
///     04 00 00 00 00 00 00 01
struct RefusedMessage: Sendable, CustomStringConvertible {
    let rule: String
    let description: String
    let bytes: [UInt8]

    static func all() throws -> [RefusedMessage] {
        try repositoryFile("Fixtures/Frames/refused.hex").split(separator: "\n= ").dropFirst().map { entry in
            let lines = entry.split(separator: "\n", maxSplits: 1, omittingEmptySubsequences: false)
            return RefusedMessage(
                rule: String(lines[0].prefix { $0 != ":" }), description: String(lines[0]),
                bytes: lines.count > 1 ? hex(lines[1]) : [])
        }
    }
}

extension Frame {
    /// A frame of any kind with any values that a sender may give it.
    static func random(using random: inout SplitMix64) -> Frame {
        switch Int.random(in: 0..<15, using: &random) {
        case 0: .hello(.random(using: &random))
        case 1: .welcome(.random(using: &random))
        case 2: .acknowledgement(count: random.varint())
        case 3: .ping(random.next())
        case 4: .pong(random.next())
        case 5:
            .goAway(GoAway(reason: GoAwayReason(rawValue: random.varint()), graceMilliseconds: random.varint()))
        case 6:
            .listen(
                Listen(
                    tunnel: TunnelNumber(random.varint()), kind: TunnelKind(rawValue: random.varint()),
                    port: .randomPort(using: &random), portIsRequired: random.chance(50),
                    label: .randomText(using: &random), hostname: .randomText(using: &random),
                    hostnameIsRequired: random.chance(50), group: .randomText(using: &random),
                    policy: random.chance(50) ? ByteBuffer(integer: random.next()) : nil))
        case 7:
            .listening(
                Listening(
                    tunnel: TunnelNumber(random.varint()), id: TunnelID(random: .random(using: &random)),
                    url: .randomText(using: &random), port: .randomPort(using: &random)))
        case 8:
            .refused(
                Refused(
                    tunnel: TunnelNumber(random.varint()), code: RefusalCode(rawValue: random.varint()),
                    message: .randomText(using: &random)))
        case 9: .unlisten(TunnelNumber(random.varint()))
        case 10:
            .open(
                Open(
                    stream: StreamID(random.varint()), tunnel: TunnelNumber(random.varint()),
                    visitor: .random(using: &random), destination: .random(using: &random)))
        case 14: .health(TunnelNumber(random.varint()), isWell: random.chance(50))
        case 11: .opened(StreamID(random.varint()))
        case 12: .finish(StreamID(random.varint()))
        case 13: .reset(StreamID(random.varint()), ResetCode(rawValue: random.varint()))
        default: .credit(StreamID(random.varint()), bytes: random.varint())
        }
    }
}

extension Frame.Hello {
    fileprivate static func random(using random: inout SplitMix64) -> Self {
        var hello = Self(
            agent: .randomText(using: &random), terms: .random(using: &random),
            clientID: .randomText(using: &random), pingIntervalMilliseconds: random.chance(50) ? random.varint() : nil)
        if random.chance(50) {
            hello.resumption = Frame.Resumption(
                session: SessionID(.random(using: &random)), token: .random(using: &random),
                received: random.varint(), link: UInt64.random(in: 0..<Limits.Implementation.links, using: &random),
                attempt: random.varint())
        }
        return hello
    }
}

extension Frame.Welcome {
    fileprivate static func random(using random: inout SplitMix64) -> Self {
        Self(
            agent: .randomText(using: &random), terms: .random(using: &random),
            session: SessionID(.random(using: &random)), token: .random(using: &random), received: random.varint(),
            resumeWindowMilliseconds: random.varint())
    }
}

extension Frame.Terms {
    fileprivate static func random(using random: inout SplitMix64) -> Self {
        Self(
            initialWindow: min(random.varint(), Limits.Specification.windowBytes), streams: random.varint())
    }
}

extension ResumeToken {
    fileprivate static func random(using random: inout SplitMix64) -> Self {
        Self(.random(using: &random), .random(using: &random))
    }
}

extension Opaque16 {
    fileprivate static func random(using random: inout SplitMix64) -> Self {
        Self(high: random.next(), low: random.next())
    }
}

extension Endpoint? {
    fileprivate static func random(using random: inout SplitMix64) -> Self {
        switch Int.random(in: 0..<3, using: &random) {
        case 0: nil
        case 1: Endpoint(.v4(UInt32(truncatingIfNeeded: random.next())), port: UInt16(truncatingIfNeeded: random.next()))
        default: Endpoint(.v6(.random(using: &random)), port: UInt16(truncatingIfNeeded: random.next()))
        }
    }
}

extension UInt16? {
    fileprivate static func randomPort(using random: inout SplitMix64) -> Self {
        random.chance(30) ? nil : UInt16.random(in: 1 ... .max, using: &random)
    }
}

extension String {
    /// Up to 512 bytes of what may stand in a log.
    fileprivate static func randomText(using random: inout SplitMix64) -> String {
        let characters: [Character] = ["a", "Z", "0", "-", " ", "~", "é", "ß", "€", "語", "🙂", "\u{A0}"]
        var text = ""
        for _ in 0..<Int.random(in: 0...(random.chance(10) ? 400 : 20), using: &random) {
            guard let character = characters.randomElement(using: &random),
                text.utf8.count + character.utf8.count <= Limits.Specification.textBytes
            else { break }
            text.append(character)
        }
        return text
    }
}
