internal import NIOCore

/// Rests for a moment when a listener cannot accept, for want of descriptors or memory, instead of trying as fast as it can.
///
/// NIO's own `AcceptBackoffHandler` withholds the next `read()`, but a failed accept leaves the last one pending and the
/// listener registered; only `autoRead` takes it out of the selector.
final class AcceptPause: ChannelInboundHandler {
    typealias InboundIn = any Channel

    private let report: (String) -> Void
    private var isResting = false
    private var hasReported = false

    /// - Parameter report: Told why, once until a connection is accepted again.
    init(report: @escaping (String) -> Void) {
        self.report = report
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        self.hasReported = false
        context.fireChannelRead(data)
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        guard error is IOError else { return context.fireErrorCaught(error) }
        if !self.hasReported {
            self.hasReported = true
            self.report(describe(error))
        }
        guard !self.isResting else { return }
        self.isResting = true
        let channel = context.channel
        channel.setOption(.autoRead, value: false).whenFailure { _ in channel.close(promise: nil) }
        context.eventLoop.assumeIsolated().scheduleTask(in: TransportLimits.acceptPause) {
            self.isResting = false
            // It fails only when the listener has been closed meanwhile.
            _ = channel.setOption(.autoRead, value: true)
        }
    }
}
