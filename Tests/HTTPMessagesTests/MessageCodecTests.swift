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
}
