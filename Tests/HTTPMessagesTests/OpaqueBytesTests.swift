import HTTPMessages
import NIOCore
import NIOHTTP1
import Testing

/// Bytes that are not UTF-8 go through texts, and come out as they were.
struct OpaqueBytesTests {
    /// Bytes in every relation to UTF-8, with something behind each.
    static let samples: [[UInt8]] = [
        // ISO-8859-1, and bytes that are never in UTF-8.
        [0x63, 0xE9], [0xFF, 0xFE], [0xC9, 0x74, 0xE9], [0x80], [0x85, 0xA0, 0xAD],
        // UTF-8 that breaks off, and its ends alone.
        [0xC3], [0xE2, 0x82], [0xF0, 0x9F, 0x98], [0xA9], [0x82, 0xAC],
        // Longer than need be, surrogates, beyond U+10FFFF.
        [0xC0, 0x80], [0xC0, 0x8D, 0xC0, 0x8A], [0xE0, 0x80, 0x8A], [0xED, 0xA0, 0x80], [0xF4, 0x90, 0x80, 0x80], [0xF8, 0x88, 0x80, 0x80, 0x80],
        // What stands for bytes, sent by somebody: whole, in part, and its neighbours.
        [0xEE, 0xBE, 0x80], [0xEE, 0xBF, 0xBF], [0xEE, 0xBE, 0xBF, 0xEE, 0xBF, 0x80], [0xEE], [0xEE, 0xBE], [0xEE, 0xBD, 0xBF], [0xEF, 0x80, 0x80],
        [0xEE, 0x80, 0x80], [0xEE, 0xBE, 0xE9], [0xEE, 0xEE, 0xBE, 0x8D],
        // UTF-8.
        Array("é€😀\u{FFFD}\u{FEFF}\u{10FFFF}e\u{301}".utf8), [0xC3, 0xA9, 0xE9, 0xC3, 0xA9],
    ].flatMap { [$0, $0 + [0x3B, 0x20]] }

    private static func text(_ bytes: ByteBuffer) -> String? { String(validating: bytes.readableBytesView, as: UTF8.self) }

    private static func areKept(_ bytes: [UInt8]) -> Bool {
        let text = String(opaque: bytes)
        return text.opaqueBytes == bytes && text.opaqueByteCount == bytes.count
            && Self.text(OpaqueBytes.escaped(ByteBuffer(bytes: bytes)))?.opaqueBytes == bytes
    }

    @Test func `every byte, and every two, come out as they went in`() {
        for one in UInt8.min ... .max {
            #expect(Self.areKept([one]))
            #expect((UInt8.min ... .max).filter { !Self.areKept([one, $0]) } == [], "behind \(one)")
        }
    }

    @Test func `what the standard library takes for UTF-8 is a text, and nothing else`() {
        // Around every border that RFC 3629 §4 draws, and ours.
        let borders: [UInt8] = [0x7F, 0x80, 0x8F, 0x90, 0x9F, 0xA0, 0xBD, 0xBE, 0xBF, 0xC0]
        for first in UInt8(0x80) ... .max {
            for second in borders {
                for third in borders {
                    let sequences = [[first, second, third], [first, second, third, 0x80], [first, second, third, 0xC0]]
                    #expect(sequences.filter { !Self.areKept($0) || !Self.isLeftAlone($0) } == [])
                }
            }
        }
    }

    private static func isLeftAlone(_ bytes: [UInt8]) -> Bool {
        guard let text = String(validating: bytes, as: UTF8.self) else { return true }
        let isOurs = text.unicodeScalars.contains { 0xEF80...0xEFFF ~= $0.value }
        return isOurs == (OpaqueBytes.escaped(ByteBuffer(bytes: bytes)) != ByteBuffer(bytes: bytes))
    }

    @Test(arguments: samples) func `they come out as they went in wherever they were cut`(bytes: [UInt8]) {
        #expect(Self.areKept(bytes))
        for first in 0...bytes.count {
            for second in first...bytes.count {
                let pieces = [bytes[..<first], bytes[first..<second], bytes[second...]].map { OpaqueBytes.escaped(ByteBuffer(bytes: $0)) }
                let joined = pieces.reduce(into: ByteBuffer()) { $0.writeImmutableBuffer($1) }
                #expect(Self.text(joined)?.opaqueBytes == bytes, "cut at \(first) and \(second)")
            }
        }
    }

    @Test func `UTF-8 stays as it is`() {
        let scalars = (0...UInt32(0x10FFFF)).lazy.compactMap(UnicodeScalar.init).filter { !(0xEF80...0xEFFF ~= $0.value) }
        for scalar in scalars where scalar.value < 0x800 || 0xE000...0x10400 ~= scalar.value || scalar.value % 97 == 0 {
            let text = String(scalar)
            #expect(String(opaque: text.utf8) == text)
            #expect(text.opaqueBytes == Array(text.utf8))
            #expect(text.shown == text)
        }
    }

    @Test func `no more is ever made of a text than bytes beyond ASCII`() {
        for value in UInt32(0xEF80)...0xEFFF {
            let bytes = UnicodeScalar(value).map { String($0).opaqueBytes }
            #expect(bytes == [UInt8(truncatingIfNeeded: value)] && value & 0xFF >= 0x80)
        }
        let text = "a: b\r\n"
        #expect(String(opaque: Array(text.utf8) + [0xE9]).unicodeScalars.filter(\.isASCII).elementsEqual(text.unicodeScalars))
    }

    @Test func `what stands before the trailers is left alone`() {
        let (body, trailers): ([UInt8], [UInt8]) = ([0xE9, 0xEE, 0xBE, 0x80], [0x58, 0x3A, 0xE9])
        let escaped = OpaqueBytes.escaped(ByteBuffer(bytes: body + trailers), from: body.count)
        #expect(Array(escaped.readableBytesView.prefix(body.count)) == body)
        #expect(String(decoding: escaped.readableBytesView.dropFirst(body.count), as: UTF8.self).opaqueBytes == trailers)
        #expect(OpaqueBytes.escaped(ByteBuffer(bytes: body), from: body.count) == ByteBuffer(bytes: body))
    }

    @Test func `people see a replacement character`() {
        #expect(String(opaque: [0x63, 0x61, 0x66, 0xE9, 0x2E]).shown == "caf\u{FFFD}.")
        #expect(String(opaque: [0xEE, 0xBE, 0x80]).shown == "\u{EF80}")
        #expect("café".shown == "café")
    }

    // MARK: In messages

    private static func contains(_ bytes: ByteBuffer, _ part: [UInt8]) -> Bool {
        Array(bytes.readableBytesView).firstRange(of: part) != nil
    }

    /// Through a record, changed on the way or not, into a head.
    @Test(arguments: samples, [false, true]) func `a request has its bytes behind the tunnel`(bytes: [UInt8], isEdited: Bool) throws {
        let text = String(opaque: bytes).replacing(" ", with: "")
        let message = RequestMessage(
            scheme: "http", id: "id", method: "GET", target: "/" + text, fields: ["Host": "a.example", "X": "[\(text)]", "Gone": text])
        var record = ByteBuffer()
        record.writeRecord(message)
        var decoder = MessageDecoder(.requests)
        decoder.receive(record)
        guard case .request(var read)? = try decoder.next() else {
            Issue.record("no request")
            return
        }
        if isEdited {
            HostHeader.rewrite.apply(to: &read.fields, service: "127.0.0.1:80")
            var edits = FieldEdits()
            try edits.remove("gone")
            // An operator's text is what it is, even this one.
            try edits.add("Added", "\u{EF8A}")
            edits.apply(to: &read.fields)
        }
        var head = ByteBuffer()
        head.writeRequestHead(read)
        let raw = text.opaqueBytes
        #expect(Self.contains(head, Array("GET /".utf8) + raw + Array(" HTTP/1.1\r\n".utf8)))
        #expect(Self.contains(head, Array("\r\nX: [".utf8) + raw + Array("]\r\n".utf8)))
        if isEdited { #expect(Self.contains(head, Array("\r\nAdded: \u{EF8A}\r\n".utf8))) }
        // And once more through a record: as the inspector keeps it.
        var again = ByteBuffer()
        again.writeRecord(read)
        #expect(Self.contains(again, [0x5B] + raw + [0x5D]))
    }

    @Test(arguments: samples) func `a response and its trailers have their bytes behind the tunnel`(bytes: [UInt8]) throws {
        let text = String(opaque: bytes)
        var record = ByteBuffer()
        record.writeRecord(ResponseMessage(status: 200, reason: text, fields: ["X": "[\(text)]"], body: .unknown))
        record.writeEndRecord(trailers: ["Y": "[\(text)]"])
        var decoder = MessageDecoder(.responses)
        decoder.receive(record)
        guard case .response(let head)? = try decoder.next(), case .end(let trailers)? = try decoder.next() else {
            Issue.record("no response with an end")
            return
        }
        var written = ByteBuffer()
        written.writeResponseHead(head, toMethod: "GET", toHTTP10: false, keepsAlive: true, id: "id")
        #expect(Self.contains(written, Array("HTTP/1.1 200 ".utf8) + bytes + Array("\r\nX: [".utf8) + bytes + Array("]\r\nX-Request-Id: id\r\n".utf8)))
        var end = ByteBuffer()
        end.writeLastChunk(trailers: trailers)
        #expect(end == ByteBuffer(bytes: Array("0\r\nY: [".utf8) + bytes + Array("]\r\n\r\n".utf8)))
    }

    @Test func `limits count what came`() throws {
        func judge(_ count: Int) throws {
            let value = String(opaque: [UInt8](repeating: 0xE9, count: count))
            let head = HTTPRequestHead(version: .http1_1, method: .GET, uri: "/", headers: ["Host": "a", "X": value, "Y": value])
            _ = try JudgedRequest(head)
        }
        #expect(throws: Never.self) { try judge(MessageLimits.headBytes / 2 - 10) }
        #expect(throws: MessageRefusal.self) { try judge(MessageLimits.headBytes / 2) }
    }

    @Test func `chunks are told from the trailers behind them`() throws {
        let (body, trailers) = (Array("3\r\nabc\r\n0\r\n".utf8), Array("X: y\r\nZ: \r\n\r\n".utf8))
        let bytes = body + trailers
        for cut in 0...bytes.count {
            var scan = ChunkScan()
            var found: [Int] = []
            for (start, piece) in [(0, bytes[..<cut]), (cut, bytes[cut...])] {
                #expect(try scan.scan(piece) == piece.count)
                if let trailers = scan.trailers { found += start + trailers..<start + piece.count }
            }
            #expect(scan.isAtEnd)
            #expect(found == Array(body.count..<bytes.count), "cut at \(cut)")
        }
    }
}
