import HTTPMessages
import NIOCore
import NIOEmbedded
import NIOHTTP1
import Testing

@testable import TunnelClient

/// What a service's bytes are for whoever asked it, however they come.
struct ServiceConnectionTests {
    private final class Reader: ServiceConnectionUser {
        var connection: ServiceConnection?
        var reason: [UInt8] = []
        var value: [UInt8] = []
        var body: [UInt8] = []
        var trailer: [UInt8] = []
        var isWhole = false
        var failure: ServiceConnection.Failure?

        func connected() {}
        func taken(_ count: Int) {}
        func received(_ head: HTTPResponseHead) {
            self.reason = head.status.reasonPhrase.opaqueBytes
            self.value = head.headers.first(name: "X")?.opaqueBytes ?? []
            if head.headers.contains(name: "Transfer-Encoding") { self.connection?.bodyIsChunked() }
        }
        func received(_ body: ByteBuffer) { self.body += body.readableBytesView }
        func receivedEnd(_ trailers: HTTPHeaders?) {
            self.trailer = trailers?.first(name: "Y")?.opaqueBytes ?? []
            self.isWhole = true
        }
        func readComplete() {}
        func failed(_ failure: ServiceConnection.Failure) { self.failure = failure }
    }

    /// What a reader makes of an answer in these pieces.
    private func read(_ pieces: [[UInt8]]) throws -> Reader {
        let (reader, channel) = (Reader(), EmbeddedChannel())
        let connection = ServiceConnection(user: reader)
        reader.connection = connection
        try connection.install(in: channel)
        channel.pipeline.fireChannelActive()
        connection.write(head: ByteBuffer(string: "GET / HTTP/1.1\r\n\r\n"), method: "GET")
        for piece in pieces where !piece.isEmpty { try channel.writeInbound(ByteBuffer(bytes: piece)) }
        _ = try? channel.finish(acceptAlreadyClosed: true)
        reader.connection = nil
        return reader
    }

    private static let reason: [UInt8] = [0xC9, 0x74, 0xE9]
    private static let value: [UInt8] = [0xC3, 0xA9, 0xE9, 0xEE, 0xBE, 0x80, 0xF0, 0x9F, 0x98, 0x80, 0xF0, 0x9F]

    @Test(arguments: [true, false]) func `they are the same wherever they are cut`(isChunked: Bool) throws {
        let body: [UInt8] = [0xE9, 0xEE, 0xBE, 0x80, 0x0D, 0x0A, 0x30, 0x0D, 0x0A, 0xFF]
        let framed = Array("a\r\n".utf8) + body + Array("\r\n0\r\nY: ".utf8) + Self.value + Array("\r\n\r\n".utf8)
        let answer = Array("HTTP/1.1 200 ".utf8) + Self.reason + Array("\r\nX: ".utf8) + Self.value
            + Array("\r\n\(isChunked ? "Transfer-Encoding: chunked" : "Content-Length: 10")\r\n\r\n".utf8) + (isChunked ? framed : body)
        for cut in 0...answer.count {
            for next in Set([cut, min(cut + 1, answer.count), (cut + answer.count) / 2]) {
                let reader = try self.read([Array(answer[..<cut]), Array(answer[cut..<next]), Array(answer[next...])])
                #expect(reader.failure == nil || reader.isWhole, "cut at \(cut) and \(next)")
                #expect(reader.isWhole, "cut at \(cut) and \(next)")
                #expect(reader.reason == Self.reason && reader.value == Self.value && reader.body == body, "cut at \(cut) and \(next)")
                #expect(reader.trailer == (isChunked ? Self.value : []), "cut at \(cut) and \(next)")
            }
        }
    }

    @Test func `a body up to the end of the connection is not taken for chunks`() throws {
        let body = Array("5\r\nhello\r\n0\r\nX: ".utf8) + [0xE9] + Array("\r\n\r\n".utf8)
        let reader = try self.read([Array("HTTP/1.1 200 OK\r\n\r\n".utf8), body])
        #expect(reader.body == body)
    }

    @Test func `a head of such bytes may be as long as any, and trailers not longer`() throws {
        let value = [UInt8](repeating: 0xE9, count: MessageLimits.headBytes - 1_000)
        let head = Array("HTTP/1.1 200 OK\r\nX: ".utf8) + value + Array("\r\nContent-Length: 0\r\n\r\n".utf8)
        #expect(try self.read([head]).value == value)
        let trailers = (0..<5).flatMap { Array("Y\($0): ".utf8) + [UInt8](repeating: 0x61, count: MessageLimits.headBytes / 4) + [0x0D, 0x0A] }
        let long = try self.read([Array("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n".utf8), trailers + [0x0D, 0x0A]])
        #expect(!long.isWhole && long.failure != nil)
    }
}
