import HTTPMessages
import NIOCore
import Testing

@testable import TunnelServer

/// Where a visitor's messages end, however their bytes arrive.
@Suite struct RequestFeedTests {
    private static let head = "POST / HTTP/1.1\r\nHost: a\r\n\r\n"

    /// Everything the feed gives, one message after the other: each begins with a head that is followed by what `body` says.
    private func fed(_ text: String, _ body: BodyLength, inPiecesOf size: Int) throws -> [String] {
        var feed = RequestFeed()
        var messages: [String] = []
        var message = ""
        var bytes = Array(text.utf8)[...]
        while !bytes.isEmpty {
            feed.append(ByteBuffer(bytes: bytes.prefix(size)))
            bytes = bytes.dropFirst(size)
            while let given = try feed.next() {
                message += String(buffer: given)
                if message.hasSuffix("\r\n\r\n"), message.hasPrefix(Self.head), message.count == Self.head.count { feed.headEnded(body) }
                let isWhole =
                    switch body {
                    case .none: message == Self.head
                    case .bytes(let count): message.count == Self.head.count + Int(count)
                    case .unknown: message.hasPrefix(Self.head) && message.count > Self.head.count && message.hasSuffix("\r\n\r\n")
                    }
                if isWhole {
                    messages.append(message)
                    message = ""
                }
            }
        }
        return messages
    }

    @Test(arguments: 1...90) func `each message ends where it says`(size: Int) throws {
        let counted = Self.head + "hello"
        #expect(try self.fed(counted + counted, .bytes(5), inPiecesOf: size) == [counted, counted])
        #expect(try self.fed(Self.head + Self.head, .none, inPiecesOf: size) == [Self.head, Self.head])
        let chunked = Self.head + "5;a=b\r\nhello\r\n00A\r\n0123456789\r\n0\r\nX: y\r\n\r\n"
        #expect(try self.fed(chunked + chunked, .unknown, inPiecesOf: size) == [chunked, chunked])
    }

    @Test(arguments: 1...90) func `what is not UTF-8 in a head or in trailers is given in its other form, and bodies as they are`(size: Int) throws {
        let head = Array("POST /".utf8) + [0xE9] + Array(" HTTP/1.1\r\nHost: a\r\nX: é".utf8) + [0xFF, 0xC3] + Array("\r\n\r\n".utf8)
        let body = Array("3\r\n".utf8) + [0xE9, 0xEE, 0xFF] + Array("\r\n0\r\n".utf8)
        let trailers = Array("Y: é".utf8) + [0xE9] + Array("\r\n\r\n".utf8)
        var (feed, given, heads) = (RequestFeed(), [UInt8](), [[UInt8]]())
        var bytes = (head + body + trailers)[...]
        while !bytes.isEmpty {
            feed.append(ByteBuffer(bytes: bytes.prefix(size)))
            bytes = bytes.dropFirst(size)
            while let part = try feed.next() {
                given += part.readableBytesView
                if heads.isEmpty { heads.append([]) }
                guard feed.isBetweenMessages, !feed.isInsideHead, heads.count == 1 else { continue }
                // For who takes the connection over.
                heads = [Array(feed.head.readableBytesView), given]
                given = []
                feed.headEnded(.unknown)
            }
        }
        #expect(heads.first == head)
        #expect(String(validating: heads[1], as: UTF8.self)?.opaqueBytes == head)
        #expect(Array(given.prefix(body.count)) == body)
        #expect(String(validating: given.dropFirst(body.count), as: UTF8.self)?.opaqueBytes == trailers)
    }

    @Test(arguments: [
        "\r\n", ";x\r\n", "5\nhello\r\n", "5\r\nhello\n", "5\r\nhello\rX", "5\r\nhelloX", "5 \r\nhello\r\n", "0x5\r\nhello\r\n", "-1\r\n", "+1\r\n",
        "0000000000000005\r\n", "fffffffffffffffff\r\n", "5\r\rhello", "0\r\n\n", "0\r\nX: y\n\r\n", "0\r\nX: \u{0}\r\n\r\n", "5;\n\r\n",
    ])
    func `a chunked body that others may read otherwise is refused`(body: String) {
        #expect(throws: MessageRefusal.self) {
            _ = try self.fed(Self.head + body, .unknown, inPiecesOf: 1_000)
        }
    }

    @Test func `extensions and trailers without end are refused`() {
        for body in ["5;" + String(repeating: "x", count: 20_000), "0\r\n" + String(repeating: "X: y\r\n", count: 5_000)] {
            #expect(throws: MessageRefusal.self) { _ = try self.fed(Self.head + body, .unknown, inPiecesOf: 1_000) }
        }
        let small = String(repeating: "1;aaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\r\nx\r\n", count: 1_000)
        #expect(throws: MessageRefusal.self) { _ = try self.fed(Self.head + small, .unknown, inPiecesOf: 1_000) }
    }

    @Test(arguments: [1, 7, 4_096, 100_000]) func `a head without end is refused`(size: Int) {
        let head = "GET / HTTP/1.1\r\nHost: a\r\nX: " + String(repeating: "x", count: 70_000)
        #expect(throws: MessageRefusal.self) { _ = try self.fed(head, .none, inPiecesOf: size) }
    }
}
