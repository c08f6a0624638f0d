import Testing
import WebSocketProtocol

import struct NIOCore.ByteBuffer

@Suite struct HeadParserTests {
    private static let sample =
        "GET /chat?x=1 HTTP/1.1\r\nHost: example.com\r\nX-Empty:\r\nx-list: a, b ,,c\r\nX-List:\td \r\n\r\n"

    @Test func `a request is taken apart`() throws {
        var bytes = ByteBuffer(string: Self.sample + "rest")
        var parser = HeadParser<RequestHead>()
        let head = try #require(try parser.receive(&bytes))
        #expect(head.method == "GET")
        #expect(head.target == "/chat?x=1")
        #expect(head.version == .http1_1)
        #expect(head.fields.all.map(\.name) == ["Host", "X-Empty", "x-list", "X-List"])
        #expect(head.fields.only("HOST") == "example.com")
        #expect(head.fields.only("x-empty") == "")
        #expect(head.fields.only("x-list") == nil, "there are two")
        #expect(head.fields.list("X-LIST") == ["a", "b", "c", "d"])
        #expect(head.fields.list("x-list", contains: "C"))
        #expect(bytes.text == "rest")
    }

    @Test func `a request cut anywhere is the same, and what follows it is left`() throws {
        for pieces in everySplit(Array(Self.sample.utf8)) where !pieces[pieces.count - 1].isEmpty {
            var parser = HeadParser<RequestHead>()
            for piece in pieces.dropLast() {
                var bytes = ByteBuffer(bytes: piece)
                #expect(try parser.receive(&bytes) == nil)
                #expect(bytes.readableBytes == 0)
            }
            var bytes = ByteBuffer(bytes: pieces[pieces.count - 1] + Array("\u{0}rest".utf8))
            let head = try #require(try parser.receive(&bytes))
            #expect(head.target == "/chat?x=1")
            #expect(head.fields.list("x-list") == ["a", "b", "c", "d"])
            #expect(bytes.text == "\u{0}rest")
        }
    }

    @Test func `no prefix of a request is a request`() throws {
        let bytes = Array(Self.sample.utf8)
        for count in bytes.indices {
            var parser = HeadParser<RequestHead>()
            var prefix = ByteBuffer(bytes: bytes[..<count])
            #expect(try parser.receive(&prefix) == nil)
            #expect(prefix.readableBytes == 0)
        }
    }

    @Test(arguments: [
        ("GET / HTTP/1.1\nHost: a\r\n\r\n", HeadError.bareLineFeed),
        ("GET / HTTP/1.1\r\nHost: a\n\r\n", .bareLineFeed),
        ("GET / HTTP/1.1\rHost: a\r\n\r\n", .bareCarriageReturn),
        ("GET / HTTP/1.1\r\nHost: a\r\r\n\r\n", .bareCarriageReturn),
        ("GET / HTTP/1.1\r\nA: \u{0}\r\n\r\n", .controlCharacter(0)),
        ("GET / HTTP/1.1\r\nA: \u{1B}[31m\r\n\r\n", .controlCharacter(27)),
        ("GET / HTTP/1.1\r\nA: \u{7F}\r\n\r\n", .controlCharacter(127)),
        ("\u{16}\u{3}\u{1}", .controlCharacter(22)),  // A TLS hello; no line's end is waited for.
        ("\r\nGET / HTTP/1.1\r\n\r\n", .malformedStartLine),
        ("GET /\r\n\r\n", .malformedStartLine),
        ("GET  / HTTP/1.1\r\n\r\n", .malformedStartLine),
        ("GET / HTTP/1.1 \r\n\r\n", .malformedStartLine),
        ("GET /a b HTTP/1.1\r\n\r\n", .malformedStartLine),
        (" GET / HTTP/1.1\r\n\r\n", .malformedStartLine),
        ("G(T / HTTP/1.1\r\n\r\n", .malformedMethod),
        ("GET\t / HTTP/1.1\r\n\r\n", .malformedMethod),
        ("GET /\t HTTP/1.1\r\n\r\n", .malformedTarget),
        ("GET /ü HTTP/1.1\r\n\r\n", .malformedTarget),
        ("GET /#top HTTP/1.1\r\n\r\n", .malformedTarget),
        ("GET / HTTP/1.10\r\n\r\n", .malformedVersion),
        ("GET / http/1.1\r\n\r\n", .malformedVersion),
        ("GET / HTTP/1,1\r\n\r\n", .malformedVersion),
        ("GET / HTTP/x.1\r\n\r\n", .malformedVersion),
        ("GET / HTTP/0.9\r\n\r\n", .unsupportedVersion),
        ("PRI * HTTP/2.0\r\n\r\n", .unsupportedVersion),
        ("GET / HTTP/1.1\r\n Host: a\r\n\r\n", .foldedLine),
        ("GET / HTTP/1.1\r\nHost: a\r\n b\r\n\r\n", .foldedLine),
        ("GET / HTTP/1.1\r\nHost: a\r\n\tb\r\n\r\n", .foldedLine),
        ("GET / HTTP/1.1\r\nHost\r\n\r\n", .missingColon),
        ("GET / HTTP/1.1\r\nHost : a\r\n\r\n", .blankBeforeColon),
        ("GET / HTTP/1.1\r\nHost\t: a\r\n\r\n", .blankBeforeColon),
        ("GET / HTTP/1.1\r\n: a\r\n\r\n", .malformedFieldName),
        ("GET / HTTP/1.1\r\nHo st: a\r\n\r\n", .malformedFieldName),
        ("GET / HTTP/1.1\r\nHöst: a\r\n\r\n", .malformedFieldName),
        ("GET / HTTP/1.1\r\n(Host): a\r\n\r\n", .malformedFieldName),
    ])
    func `a malformed request is refused for its own reason, however it is cut`(text: String, reason: HeadError) {
        for pieces in everySplit(Array(text.utf8)) {
            var parser = HeadParser<RequestHead>()
            #expect(throws: reason) {
                for piece in pieces {
                    var bytes = ByteBuffer(bytes: piece)
                    guard try parser.receive(&bytes) == nil else { break }
                }
            }
            var more = ByteBuffer(string: "GET / HTTP/1.1\r\n\r\n")
            #expect(throws: reason, "it stays refused") { try parser.receive(&more) }
        }
    }

    @Test func `every limit is reached exactly, and is 431 beyond`() throws {
        func parse(_ text: String) throws -> RequestHead? {
            var parser = HeadParser<RequestHead>()
            var bytes = ByteBuffer(string: text)
            return try parser.receive(&bytes)
        }
        let start = "GET / HTTP/1.1\r\n"
        func field(line: Int) -> String { "A: " + String(repeating: "a", count: line - 3) + "\r\n" }

        #expect(try parse(start + field(line: 8192) + "\r\n") != nil)
        #expect(throws: HeadError.lineTooLong(limit: 8192)) { try parse(start + field(line: 8193)) }

        let rest = 16384 - start.utf8.count - 8194 - 2
        #expect(try parse(start + field(line: 8192) + field(line: rest - 2) + "\r\n") != nil)
        #expect(throws: HeadError.headTooLong(limit: 16384)) {
            try parse(start + field(line: 8192) + field(line: rest - 1) + "\r\n")
        }

        #expect(try parse(start + String(repeating: "A: b\r\n", count: 100) + "\r\n") != nil)
        #expect(throws: HeadError.tooManyFields(limit: 100)) {
            try parse(start + String(repeating: "A: b\r\n", count: 101))
        }
        for error in [HeadError.lineTooLong(limit: 1), .headTooLong(limit: 1), .tooManyFields(limit: 1)] {
            #expect(error.status == 431)
        }
        #expect(HeadError.unsupportedVersion.status == 505)
        #expect(HeadError.bareLineFeed.status == 400)
    }

    @Test(arguments: [
        ("HTTP/1.1 200 OK\r\n\r\n", 200, "OK"), ("HTTP/1.0 407 Proxy says no\r\n\r\n", 407, "Proxy says no"),
        ("HTTP/1.1 204 \r\n\r\n", 204, ""), ("HTTP/1.1 204\r\n\r\n", 204, ""),
    ])
    func `a response is taken apart`(text: String, status: Int, reason: String) throws {
        var parser = HeadParser<ResponseHead>()
        var bytes = ByteBuffer(string: text)
        let head = try #require(try parser.receive(&bytes))
        #expect(head.status == status)
        #expect(head.reason == reason)
    }

    @Test(arguments: [
        ("SSH-2.0-OpenSSH_9.2\r\n", HeadError.malformedStartLine), ("HTTP/1.1\r\n", .malformedStartLine),
        ("220 mail.example.com ESMTP\r\n", .malformedVersion), ("HTTP/2.0 200 OK\r\n", .unsupportedVersion),
        ("HTTP/1.1 20 OK\r\n", .malformedStatus), ("HTTP/1.1 2000 OK\r\n", .malformedStatus),
        ("HTTP/1.1 600 OK\r\n", .malformedStatus), ("HTTP/1.1 099 OK\r\n", .malformedStatus),
        ("HTTP/1.1 +20 OK\r\n", .malformedStatus), ("HTTP/1.1  200 OK\r\n", .malformedStatus),
    ])
    func `a malformed response is refused for its own reason`(text: String, reason: HeadError) {
        var parser = HeadParser<ResponseHead>()
        var bytes = ByteBuffer(string: text)
        #expect(throws: reason) { try parser.receive(&bytes) }
    }

    @Test func `two heads in one buffer come one after the other`() throws {
        var parser = HeadParser<ResponseHead>()
        var bytes = ByteBuffer(string: "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nA: b\r\n\r\n!")
        #expect(try parser.receive(&bytes)?.status == 100)
        #expect(try parser.receive(&bytes)?.status == 200)
        #expect(bytes.text == "!")
    }

    @Test(arguments: 0..<2000 as Range<UInt64>)
    func `a damaged head never traps, and means the same however it is cut`(seed: UInt64) {
        var random = SplitMix64(seed: seed)
        var bytes = Array(Self.sample.utf8)
        for _ in 0..<Int.random(in: 1...4, using: &random) {
            let at = Int.random(in: bytes.indices, using: &random)
            switch UInt8.random(in: 0..<3, using: &random) {
            case 0: bytes[at] = UInt8.random(in: .min ... .max, using: &random)
            case 1: bytes.remove(at: at)
            default: bytes.insert([0x0A, 0x0D, 0x20, 0x3A, 0x00].randomElement(using: &random)!, at: at)
            }
        }
        func result(_ pieces: [[UInt8]]) -> Result<RequestHead?, HeadError> {
            var parser = HeadParser<RequestHead>()
            do throws(HeadError) {
                for piece in pieces {
                    var bytes = ByteBuffer(bytes: piece)
                    if let head = try parser.receive(&bytes) { return .success(head) }
                }
                return .success(nil)
            } catch {
                return .failure(error)
            }
        }
        #expect(result([bytes]) == result(randomPieces(bytes, longest: 9, using: &random)), "seed \(seed)")
    }
}
