import HTTPMessages
import NIOCore
import NIOHTTP1
import Testing
import TunnelProtocol

struct MessageCodecTests {
    private static let request = RequestMessage(
        visitor: Endpoint(.v4(0xCB00_7109), port: 41_258), scheme: "https", id: "f81d4fae", method: "POST", target: "/a?b",
        fields: ["Host": "app.example.com", "X-Two": "1", "x-two": "2"], body: .bytes(5))

    @Test func `what is written is read, in pieces of any size`() throws {
        var bytes = ByteBuffer()
        bytes.writeRecord(Self.request)
        bytes.writeBodyRecordHead(5)
        bytes.writeString("hello")
        bytes.writeEndRecord(trailers: ["X-Sum": "1"])
        for size in 1...bytes.readableBytes {
            var (decoder, rest, records) = (MessageDecoder(.requests), bytes, [MessageRecord]())
            while rest.readableBytes > 0 {
                if let piece = rest.readSlice(length: min(size, rest.readableBytes)) { decoder.receive(piece) }
                while let record = try decoder.next() { records.append(record) }
            }
            var body = ByteBuffer()
            for case .body(var part) in records { body.writeBuffer(&part) }
            #expect(records.first == .request(Self.request))
            #expect(String(buffer: body) == "hello")
            #expect(records.last == .end(["X-Sum": "1"]))
            #expect(decoder.isBetweenMessages)
        }
    }

    private static func record(_ fields: HTTPHeaders, body: BodyLength = .none, asksForUpgrade: Bool = false) -> ByteBuffer {
        var bytes = ByteBuffer()
        bytes.writeRecord(
            RequestMessage(scheme: "http", id: "id", method: "GET", target: "/", fields: fields, body: body, asksForUpgrade: asksForUpgrade))
        return bytes
    }

    private static func response(_ fields: HTTPHeaders, status: UInt16 = 200, body: BodyLength = .none) -> ByteBuffer {
        var bytes = ByteBuffer()
        bytes.writeRecord(ResponseMessage(status: status, reason: "", fields: fields, body: body))
        return bytes
    }

    /// All records in some bytes.
    private static func records(_ direction: MessageDecoder.Direction, _ bytes: ByteBuffer) throws(MalformedRecord) -> [MessageRecord] {
        var (decoder, records) = (MessageDecoder(direction), [MessageRecord]())
        decoder.receive(bytes)
        while let record = try decoder.next() { records.append(record) }
        return records
    }

    private static let refused: [(rule: String, direction: MessageDecoder.Direction, bytes: ByteBuffer)] = [
        ("a response among requests", .requests, response([:])),
        ("a request among responses", .responses, record(["Host": "a"])),
        ("a body without a head", .requests, ByteBuffer(bytes: [3, 1, 0])),
        ("an end without a head", .requests, ByteBuffer(bytes: [4, 1, 0])),
        ("an unknown type", .requests, ByteBuffer(bytes: [5, 1, 0])),
        ("a head that has to be held beyond its limit", .requests, ByteBuffer(bytes: [1, 0x80, 0x02, 0, 1])),
        ("no Host", .requests, record([:])),
        ("Host in second place", .requests, record(["X": "y", "Host": "a"])),
        ("two Hosts", .requests, record(["Host": "a", "host": "b"])),
        ("Content-Length in a request", .requests, record(["Host": "a", "content-length": "1"])),
        ("Content_Length in a request", .requests, record(["Host": "a", "Content_Length": "1"])),
        ("Connection without an upgrade", .requests, record(["Host": "a", "Connection": "close"])),
        ("Expect in a request", .requests, record(["Host": "a", "Expect": "100-continue"])),
        ("a line end in a value", .requests, record(["Host": "a\r\nX: y"])),
        ("a NUL in a value", .requests, record(["Host": "a", "X": "\0"])),
        ("a name that is no token", .requests, record(["Host": "a", "X Y": "z"])),
        ("257 fields", .requests, record(HTTPHeaders([("Host", "a")] + (0..<256).map { ("X-\($0)", "") }))),
        ("Content-Length in a response", .responses, response(["Content-Length": "1"])),
        ("Transfer-Encoding in a response", .responses, response(["Transfer-Encoding": "chunked"])),
        ("Connection in a response", .responses, response(["Connection": "close"])),
        ("status 99", .responses, response([:], status: 99)),
        ("status 600", .responses, response([:], status: 600)),
        ("bytes behind a record", .requests, ByteBuffer(bytes: [1, 14, 0, 0, 1, 97, 1, 71, 1, 47, 1, 1, 72, 0, 0, 0])),
        ("a body that nothing speaks of", .requests, record(["Host": "a"]) + [3, 1, 0]),
        ("a body beyond its length", .requests, record(["Host": "a"], body: .bytes(2)) + [3, 3, 0, 0, 0]),
        ("a body short of its length", .requests, record(["Host": "a"], body: .bytes(2)) + [3, 1, 0, 4, 1, 0]),
        ("a response's body short of its length", .responses, response([:], body: .bytes(2)) + [3, 1, 0, 4, 1, 0]),
        ("an empty body record", .requests, record(["Host": "a"], body: .unknown) + [3, 0]),
        ("Content-Length as a trailer", .requests, record(["Host": "a"]) + [4, 18, 1, 14] + Array("Content-Length".utf8) + [1, 49]),
    ]

    @Test(arguments: refused.indices) func `a record that breaks a rule is refused`(index: Int) {
        let (rule, direction, bytes) = Self.refused[index]
        #expect(throws: MalformedRecord.self, "\(rule)") { try Self.records(direction, bytes) }
    }

    @Test func `no body follows where only the server knows that none may`() throws {
        #expect(try Self.records(.responses, Self.response([:], body: .bytes(2)) + [4, 1, 0]).count == 2)
    }

    @Test func `both directions of an upgrade carry any number of bytes`() throws {
        let request = Self.record(["Host": "a", "Connection": "Upgrade", "Upgrade": "x"], asksForUpgrade: true)
        #expect(try Self.records(.requests, request + [3, 2, 0, 0, 4, 1, 0]).count == 3)
        let response = Self.response(["Connection": "Upgrade", "Upgrade": "x"], status: 101)
        #expect(try Self.records(.responses, response + [3, 2, 0, 0, 4, 1, 0]).count == 3)
    }

    @Test func `trailers that must not be are not written`() throws {
        var bytes = Self.record(["Host": "a"], body: .unknown)
        bytes.writeEndRecord(trailers: ["X-Sum": "1", "Content-Length": "5", "Set-Cookie": "a", "X-Forwarded-For": "1.2.3.4", "Host": "b"])
        #expect(try Self.records(.requests, bytes).last == .end(["X-Sum": "1"]))
    }
}

private func + (bytes: ByteBuffer, more: [UInt8]) -> ByteBuffer {
    var bytes = bytes
    bytes.writeBytes(more)
    return bytes
}
