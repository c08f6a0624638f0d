internal import NIOCore

/// Tells when the channel has become active as far as this place in its pipeline, and is gone.
final class Milestone: ChannelInboundHandler, RemovableChannelHandler {
    typealias InboundIn = ByteBuffer

    private let reached: (any Channel) -> Void

    init(_ reached: @escaping (any Channel) -> Void) {
        self.reached = reached
    }

    func channelActive(context: ChannelHandlerContext) {
        self.reached(context.channel)
        context.fireChannelActive()
        context.pipeline.syncOperations.removeHandler(self, promise: nil)
    }
}
