internal import HTTPMessages
internal import NIOCore
internal import NIOHTTP1

/// The top of a visitor's pipeline: takes what NIO's decoder made of the bytes to the visitor's connection.
///
///     TransportHandler ──pass(up:)──▶ HTTPRequestDecoder ──▶ RequestReader ──▶ VisitorConnection
final class RequestReader: ChannelInboundHandler {
    typealias InboundIn = HTTPServerRequestPart

    /// As long as the socket is open.
    private var connection: VisitorConnection?

    private init(_ connection: VisitorConnection) {
        self.connection = connection
    }

    static func add(to pipeline: ChannelPipeline.SynchronousOperations, for connection: VisitorConnection) throws {
        var limits = NIOHTTPDecoderLimitConfiguration()
        limits.maxHeaderFieldSize = MessageLimits.decodedHeadBytes
        limits.maxHeaderListSize = MessageLimits.decodedHeadBytes
        // One more, so that it is the judge who says that there are too many.
        limits.maxHeaderFieldCount = MessageLimits.fields + 1
        let decoder = HTTPRequestDecoder(
            leftOverBytesStrategy: .dropBytes, informationalResponseStrategy: .drop, limitConfiguration: limits)
        try pipeline.addHandler(ByteToMessageHandler(decoder))
        try pipeline.addHandler(RequestReader(connection))
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        self.connection?.received(self.unwrapInboundIn(data))
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        self.connection = nil
    }

    func channelReadComplete(context: ChannelHandlerContext) {}

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        let refusal =
            switch error as? HTTPParserError {
            case .headerOverflow?: MessageRefusal(431, "its header fields are too many or too long")
            case .invalidVersion?: MessageRefusal(505, "only HTTP/1.1 and HTTP/1.0 are spoken here")
            default: MessageRefusal(400, "it does not follow the grammar of HTTP/1.1")
            }
        self.connection?.decodingFailed(refusal)
    }
}
