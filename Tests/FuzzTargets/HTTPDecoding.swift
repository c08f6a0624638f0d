import HTTPMessages
import NIOCore
import NIOEmbedded
import NIOHTTP1

/// A request or response as NIO's decoder gives it.
struct DecodedMessage<Head> {
    var head: Head
    var body: [UInt8] = []
    var trailers: HTTPHeaders?
    var isWhole = false
}

/// What NIO's decoder reads from bytes, as the server and the client use it.
struct DecodedMessages<Head> {
    var messages: [DecodedMessage<Head>] = []
    var hasError = false
}

private final class Requests: ChannelInboundHandler {
    typealias InboundIn = HTTPServerRequestPart
    var decoded = DecodedMessages<HTTPRequestHead>()

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        switch self.unwrapInboundIn(data) {
        case .head(let head): self.decoded.messages.append(DecodedMessage(head: head))
        case .body(let part): self.decoded.appendBody(part)
        case .end(let trailers): self.decoded.end(trailers)
        }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) { self.decoded.hasError = true }
}

private final class Responses: ChannelInboundHandler {
    typealias InboundIn = HTTPClientResponsePart
    var decoded = DecodedMessages<HTTPResponseHead>()

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        switch self.unwrapInboundIn(data) {
        case .head(let head): self.decoded.messages.append(DecodedMessage(head: head))
        case .body(let part): self.decoded.appendBody(part)
        case .end(let trailers): self.decoded.end(trailers)
        }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) { self.decoded.hasError = true }
}

extension DecodedMessages {
    fileprivate mutating func appendBody(_ part: ByteBuffer) {
        self.messages[self.messages.count - 1].body += Array(part.readableBytesView)
    }

    fileprivate mutating func end(_ trailers: HTTPHeaders?) {
        self.messages[self.messages.count - 1].trailers = trailers
        self.messages[self.messages.count - 1].isWhole = true
    }
}

/// - Parameter hasBinaryBodies: What is not UTF-8 is in bodies, and not in heads, which the programs alone would find among them.
func decodedRequests(in pieces: [[UInt8]], hasBinaryBodies: Bool = false) throws -> DecodedMessages<HTTPRequestHead> {
    let (channel, sink) = (EmbeddedChannel(), Requests())
    try channel.pipeline.syncOperations.addHandlers(ByteToMessageHandler(HTTPRequestDecoder()), sink)
    for piece in pieces.map(ByteBuffer.init(bytes:)) where piece.readableBytes > 0 {
        _ = try? channel.writeInbound(hasBinaryBodies ? piece : OpaqueBytes.escaped(piece))
    }
    _ = try? channel.finish(acceptAlreadyClosed: true)
    return sink.decoded
}

/// - Parameter methods: Of the requests that are answered.
func decodedResponses(in pieces: [[UInt8]], to methods: [String]) throws -> DecodedMessages<HTTPResponseHead> {
    let (channel, sink) = (EmbeddedChannel(), Responses())
    let decoder = HTTPResponseDecoder(leftOverBytesStrategy: .dropBytes, informationalResponseStrategy: .forward)
    try channel.pipeline.syncOperations.addHandlers(ByteToMessageHandler(decoder), sink)
    for method in methods {
        let head = HTTPRequestHead(version: .http1_1, method: HTTPMethod(rawValue: method), uri: "/")
        _ = try? channel.writeOutbound(HTTPClientRequestPart.head(head))
    }
    for piece in pieces where !piece.isEmpty { _ = try? channel.writeInbound(OpaqueBytes.escaped(ByteBuffer(bytes: piece))) }
    _ = try? channel.finish(acceptAlreadyClosed: true)
    return sink.decoded
}

extension HTTPHeaders {
    /// Every value is bytes of the input.
    func checkBytes(of input: [UInt8]) throws {
        for (name, value) in self where !["host", "connection", "upgrade"].contains(name.lowercased()) {
            try require(value.isEmpty || input.firstRange(of: value.opaqueBytes) != nil, "\(name) has other bytes than came: \(value.opaqueBytes)")
        }
    }

    /// As they are read in one piece: a cut leaves its mark in a text, though not in its bytes.
    var joined: HTTPHeaders { HTTPHeaders(self.map { ($0.name, String(opaque: $0.value.opaqueBytes)) }) }
}
