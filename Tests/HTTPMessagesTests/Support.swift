import Foundation
import HTTPMessages
import NIOCore
import NIOEmbedded
import NIOHTTP1

/// What a decoder makes of bytes, and how the rules judge the heads in them.
enum Reading<Head> {
    case head(Head)
    case body(String)
    case end(HTTPHeaders)
    case error
}

/// Reads requests with NIO's decoder, as the server does.
func requests(in text: String, pieceBytes: Int = .max) throws -> [Reading<HTTPRequestHead>] {
    final class Sink: ChannelInboundHandler {
        typealias InboundIn = HTTPServerRequestPart
        var readings: [Reading<HTTPRequestHead>] = []
        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            switch self.unwrapInboundIn(data) {
            case .head(let head): self.readings.append(.head(head))
            case .body(let bytes): self.readings.append(.body(String(buffer: bytes)))
            case .end(let trailers): self.readings.append(.end(trailers ?? HTTPHeaders()))
            }
        }
        func errorCaught(context: ChannelHandlerContext, error: any Error) { self.readings.append(.error) }
    }
    let (channel, sink) = (EmbeddedChannel(), Sink())
    try channel.pipeline.syncOperations.addHandlers(ByteToMessageHandler(HTTPRequestDecoder()), sink)
    feed(text, to: channel, pieceBytes: pieceBytes)
    _ = try? channel.finish(acceptAlreadyClosed: true)
    return sink.readings
}

/// Reads the responses to a request with NIO's decoder, as the client does.
func responses(in text: String, to method: HTTPMethod = .GET, closes: Bool = false) throws -> [Reading<HTTPResponseHead>] {
    final class Sink: ChannelInboundHandler {
        typealias InboundIn = HTTPClientResponsePart
        var readings: [Reading<HTTPResponseHead>] = []
        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            switch self.unwrapInboundIn(data) {
            case .head(let head): self.readings.append(.head(head))
            case .body(let bytes): self.readings.append(.body(String(buffer: bytes)))
            case .end(let trailers): self.readings.append(.end(trailers ?? HTTPHeaders()))
            }
        }
        func errorCaught(context: ChannelHandlerContext, error: any Error) { self.readings.append(.error) }
    }
    let (channel, sink) = (EmbeddedChannel(), Sink())
    let decoder = HTTPResponseDecoder(leftOverBytesStrategy: .forwardBytes, informationalResponseStrategy: .forward)
    try channel.pipeline.syncOperations.addHandlers(ByteToMessageHandler(decoder), sink)
    try channel.writeOutbound(HTTPClientRequestPart.head(HTTPRequestHead(version: .http1_1, method: method, uri: "/")))
    feed(text, to: channel, pieceBytes: .max)
    if closes { _ = try? channel.finish(acceptAlreadyClosed: true) }
    return sink.readings
}

private func feed(_ text: String, to channel: EmbeddedChannel, pieceBytes: Int) {
    var bytes = ByteBuffer(string: text)
    while bytes.readableBytes > 0, let piece = bytes.readSlice(length: min(pieceBytes, bytes.readableBytes)) {
        // Errors arrive at the sink.
        _ = try? channel.writeInbound(piece)
    }
}

extension [Reading<HTTPRequestHead>] {
    var heads: [HTTPRequestHead] { self.compactMap { if case .head(let head) = $0 { head } else { nil } } }
    var body: String { self.compactMap { if case .body(let part) = $0 { part } else { nil } }.joined() }
    var hasError: Bool { self.contains { if case .error = $0 { true } else { false } } }
    var ends: Int { self.count { if case .end = $0 { true } else { false } } }
}

extension [Reading<HTTPResponseHead>] {
    var heads: [HTTPResponseHead] { self.compactMap { if case .head(let head) = $0 { head } else { nil } } }
    var body: String { self.compactMap { if case .body(let part) = $0 { part } else { nil } }.joined() }
    var hasError: Bool { self.contains { if case .error = $0 { true } else { false } } }
    var trailers: HTTPHeaders? { self.compactMap { if case .end(let trailers) = $0 { trailers } else { nil } }.first }
}

/// The inputs of a fuzz target, by their titles, as far as they are hexadecimal.
func fuzzFixtures(_ name: String) throws -> [String: [UInt8]] {
    let root = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
    let text = try String(contentsOf: root.appending(path: "Fixtures/Fuzz/\(name).hex"), encoding: .utf8)
    var (fixtures, title): ([String: [UInt8]], String?) = ([:], nil)
    for line in text.split(separator: "\n") {
        if line.hasPrefix("= ") {
            title = String(line.dropFirst(2))
        } else if let title {
            fixtures[title, default: []] += line.prefix { $0 != "#" }.split(separator: " ").compactMap { UInt8($0, radix: 16) }
        }
    }
    return fixtures
}
