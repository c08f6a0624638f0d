import HTTPMessages
import NIOCore
import NIOHTTP1
import Testing

struct MessageWritingTests {
    private func request(_ message: RequestMessage, keepsAlive: Bool = true) -> String {
        var bytes = ByteBuffer()
        bytes.writeRequestHead(message, keepsAlive: keepsAlive)
        return String(buffer: bytes)
    }

    private func response(
        _ message: ResponseMessage, to method: String = "GET", isHTTP10: Bool = false, keepsAlive: Bool = true
    ) -> (text: String, written: WrittenResponse) {
        var bytes = ByteBuffer()
        let written = bytes.writeResponseHead(message, toMethod: method, toHTTP10: isHTTP10, keepsAlive: keepsAlive)
        return (String(buffer: bytes), written)
    }

    @Test func `a request is written with the framing of its body`() {
        var message = RequestMessage(scheme: "http", id: "id", method: "POST", target: "/a?b", fields: ["Host": "a", "X": "y"])
        #expect(self.request(message) == "POST /a?b HTTP/1.1\r\nHost: a\r\nX: y\r\n\r\n")
        message.body = .bytes(0)
        #expect(self.request(message) == "POST /a?b HTTP/1.1\r\nHost: a\r\nX: y\r\nContent-Length: 0\r\n\r\n")
        message.body = .unknown
        #expect(
            self.request(message, keepsAlive: false)
                == "POST /a?b HTTP/1.1\r\nHost: a\r\nX: y\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n")
    }

    @Test(arguments: [true, false])
    func `a response gets the request's id unless it has one, be it a list or a record that was read`(fromRecord: Bool) throws {
        func head(_ fields: HTTPHeaders) throws -> String {
            var message = ResponseMessage(status: 200, reason: "OK", fields: fields)
            if fromRecord {
                var (decoder, record) = (MessageDecoder(.responses), ByteBuffer())
                record.writeRecord(message)
                decoder.receive(record)
                guard case .response(let read)? = try decoder.next() else { throw MissingResponse() }
                message = read
            }
            var bytes = ByteBuffer()
            bytes.writeResponseHead(message, toMethod: "GET", toHTTP10: false, keepsAlive: true, id: "ours")
            return String(buffer: bytes)
        }
        #expect(try head(["A": "b"]) == "HTTP/1.1 200 OK\r\nA: b\r\nX-Request-Id: ours\r\nContent-Length: 0\r\n\r\n")
        #expect(try head(["x-request-ID": "theirs"]) == "HTTP/1.1 200 OK\r\nx-request-ID: theirs\r\nContent-Length: 0\r\n\r\n")
    }

    private struct MissingResponse: Error {}

    @Test func `whatever is in a message, it is written as one`() throws {
        let message = RequestMessage(
            scheme: "http", id: "id", method: "GET /x HTTP/1.1\r\n", target: "/ HTTP/1.1\r\nX: y",
            fields: ["Host": "a\r\nX-Evil: 1\r\n\r\nGET / HTTP/1.1", "X\r\nEvil": "1", "": "2", "Nul": "a\0b"])
        let text = self.request(message)
        #expect(text == "GET / HTTP/1.1\r\nHost: a  X-Evil: 1    GET / HTTP/1.1\r\nNul: a b\r\n\r\n")
        let (answer, _) = self.response(ResponseMessage(status: 200, reason: "OK\r\nSet-Cookie: a", body: .none))
        #expect(answer == "HTTP/1.1 200 OK  Set-Cookie: a\r\nContent-Length: 0\r\n\r\n")
    }

    @Test func `a response to HTTP/1.1 is chunked when its length is not known, to HTTP/1.0 it goes on to the end`() {
        let message = ResponseMessage(status: 200, reason: "OK", body: .unknown)
        var (text, written) = self.response(message)
        #expect(text == "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        #expect(written == WrittenResponse(framing: .chunked, keepsAlive: true))
        (text, written) = self.response(message, isHTTP10: true)
        #expect(text == "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n")
        #expect(written == WrittenResponse(framing: .untilClose, keepsAlive: false))
    }

    @Test func `a response says what becomes of the connection`() {
        let message = ResponseMessage(status: 200, reason: "OK", body: .bytes(3))
        #expect(self.response(message).text == "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n")
        #expect(self.response(message, keepsAlive: false).text == "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nConnection: close\r\n\r\n")
        #expect(self.response(message, isHTTP10: true).text == "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nConnection: keep-alive\r\n\r\n")
        #expect(self.response(message).written == WrittenResponse(framing: .bytes(3), keepsAlive: true))
    }

    @Test func `nothing of a body is written where none may be`() {
        let length = ResponseMessage(status: 200, reason: "OK", body: .bytes(3))
        #expect(self.response(length, to: "HEAD").text == "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n")
        #expect(self.response(length, to: "HEAD").written.framing == .none)
        let unknown = ResponseMessage(status: 200, reason: "OK", body: .unknown)
        #expect(self.response(unknown, to: "HEAD").text == "HTTP/1.1 200 OK\r\n\r\n")
        #expect(self.response(unknown, to: "HEAD", isHTTP10: true).written.keepsAlive)
        #expect(self.response(ResponseMessage(status: 204, reason: "", body: .bytes(3))).text == "HTTP/1.1 204 \r\n\r\n")
        #expect(self.response(ResponseMessage(status: 304, reason: "", body: .bytes(3))).text == "HTTP/1.1 304 \r\nContent-Length: 3\r\n\r\n")
        #expect(self.response(ResponseMessage(status: 304, reason: "", body: .unknown)).text == "HTTP/1.1 304 \r\n\r\n")
        #expect(
            self.response(ResponseMessage(status: 101, reason: "", fields: ["Connection": "Upgrade", "Upgrade": "x"]), keepsAlive: false).text
                == "HTTP/1.1 101 \r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n")
    }

    @Test func `chunks and trailers are read as they were meant`() throws {
        var bytes = ByteBuffer()
        bytes.writeResponseHead(ResponseMessage(status: 200, reason: "OK", body: .unknown), toMethod: "GET", toHTTP10: false, keepsAlive: true)
        for part in ["hello", String(repeating: "x", count: 300)] {
            bytes.writeChunkHead(part.utf8.count)
            bytes.writeString(part)
            bytes.writeChunkEnd()
        }
        bytes.writeLastChunk(trailers: ["X-Sum": "1", "Transfer-Encoding": "chunked", "Authorization": "x", "Content_Length": "3"])
        let read = try responses(in: String(buffer: bytes))
        #expect(!read.hasError && read.body == "hello" + String(repeating: "x", count: 300))
        #expect(read.trailers == ["X-Sum": "1"])
    }
}
