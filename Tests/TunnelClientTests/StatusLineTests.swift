import HTTPMessages
import NIOCore
import NIOHTTP1
import Testing

@testable import TunnelClient

struct StatusLineTests {
    /// The reason phrase of a head that came in these pieces.
    private func reason(_ pieces: [[UInt8]], status: Int = 200) -> [UInt8]? {
        var line = StatusLine()
        for piece in pieces { line.append(ByteBuffer(bytes: piece)) }
        return line.status(decoded: HTTPResponseStatus(statusCode: status))?.reasonPhrase.opaqueBytes
    }

    @Test(arguments: ["Sure", "Not quite OK", "caf\u{E9}", "\u{FF}\u{FE}", "\u{EE}\u{BE}\u{80}", " two blanks", "a\tb"])
    func `a reason phrase is the service's, wherever its line is cut`(phrase: String) {
        let bytes = phrase.unicodeScalars.map { UInt8(truncatingIfNeeded: $0.value) }
        let head = Array("HTTP/1.1 200 ".utf8) + bytes + Array("\r\nX: 1\r\n\r\n".utf8)
        for first in 0...head.count {
            for second in first...head.count {
                #expect(self.reason([Array(head[..<first]), Array(head[first..<second]), Array(head[second...])]) == bytes)
            }
        }
    }

    @Test(arguments: [
        "HTTP/1.1 200 OK\r\n", "HTTP/1.1 200\r\n", "HTTP/1.1 200 \r\n", "\r\nHTTP/1.1 200 Yes\r\n", "HTTP/1.1 2000 Yes\r\n", "HTTP/1.1  200 Yes\r\n",
        "HTTP/1.1 200 a\u{1}b\r\n", "HTTP/1.1 200 Yes", "", "\n", "HTTP/1.1 200 \(String(repeating: "x", count: 5_000))\r\n",
    ])
    func `where there is none to be passed on it is the usual one`(head: String) {
        #expect(self.reason([Array(head.utf8)]) == nil)
        #expect(self.reason(head.utf8.map { [$0] }) == nil)
    }

    @Test func `a line is not the next response's`() {
        var line = StatusLine()
        line.append(ByteBuffer(string: "HTTP/1.1 103 Hints\r\n\r\n"))
        #expect(line.status(decoded: .custom(code: 103, reasonPhrase: ""))?.reasonPhrase == "Hints")
        #expect(line.status(decoded: .ok) == nil)
        line.append(ByteBuffer(string: "HTTP/1.1 200 Done\r\n\r\n"))
        #expect(line.status(decoded: .ok)?.reasonPhrase == "Done")
    }
}
