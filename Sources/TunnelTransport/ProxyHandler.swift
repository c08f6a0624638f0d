package import Intermediaries
internal import NIOCore
package import OpenSSL

/// Speaks with a proxy until it leads to the server; then it is gone, and bytes pass as if it had never been.
///
///     socket ── TLS to the proxy, if any ── ProxyHandler ── TransportHandler
///
/// Whoever is above learns that the channel is active once the way through the proxy stands.
final class ProxyHandler: ChannelInboundHandler, RemovableChannelHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    private var handshake: any ProxyHandshake
    private var hasEnded = false

    init(_ handshake: any ProxyHandshake) {
        self.handshake = handshake
    }

    func channelActive(context: ChannelHandlerContext) {
        context.writeAndFlush(self.wrapOutboundOut(self.handshake.start()), promise: nil)
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        guard !self.hasEnded else { return }
        var bytes = self.unwrapInboundIn(data)
        // `send` is answered by the proxy: one read brings one answer.
        do {
            switch try self.handshake.receive(&bytes) {
            case .wantsMore: break
            case .send(let bytes):
                context.writeAndFlush(self.wrapOutboundOut(bytes), promise: nil)
            case .established:
                self.hasEnded = true
                context.fireChannelActive()
                context.pipeline.syncOperations.removeHandler(self, promise: nil)
            }
        } catch {
            self.fail(.refused(error), context)
        }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        if error is TransportEnd || self.hasEnded { return context.fireErrorCaught(error) }
        self.fail(.failed(describe(error)), context)
    }

    func channelInactive(context: ChannelHandlerContext) {
        if !self.hasEnded { self.fail(.closed, context) }
        context.fireChannelInactive()
    }

    private func fail(_ end: ProxyEnd, _ context: ChannelHandlerContext) {
        self.hasEnded = true
        context.fireErrorCaught(TransportEnd.proxy(end))
    }
}

/// How a connection ended that had not come past its proxy.
package enum ProxyEnd: Error, Sendable {
    /// No TCP connection to the proxy: refused, timed out, or its name does not resolve.
    case unreachable(String)
    case refused(ProxyRefusal)
    /// The TLS connection to the proxy itself, not the one through it.
    case tls(TLSFailure)
    /// The proxy closed it.
    case closed
    /// The socket failed.
    case failed(String)
}
