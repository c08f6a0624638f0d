import AutobahnEcho
import NIOCore
import NIOPosix
import WebSocketProtocol

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#else
import Darwin
#endif

/// `ws-tunnel-autobahn-server PORT`: an echo server on loopback, for Autobahn's fuzzing client.
@main
enum Main {
    static func main() async throws {
        guard CommandLine.arguments.count == 2, let port = UInt16(CommandLine.arguments[1]) else {
            print("usage: ws-tunnel-autobahn-server PORT")
            return
        }
        let channel = try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(EchoServer())
                }
            }
            .bind(host: "127.0.0.1", port: Int(port)).get()
        print("listening on \(channel.localAddress?.port ?? 0)")
        // While standard output is a file, the line would wait for more.
        fflush(nil)
        try await channel.closeFuture.get()
    }
}

/// One connection: the opening handshake, then the echo.
private final class EchoServer: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    private var handshake = ServerHandshake()
    private var echo: Echo?
    private var isOver = false

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        var bytes = self.unwrapInboundIn(data)
        if self.echo == nil { self.open(&bytes, context) }
        guard self.echo != nil, !self.isOver, let answers = self.echo?.receive(&bytes) else { return }
        if answers.readableBytes > 0 { context.writeAndFlush(self.wrapOutboundOut(answers), promise: nil) }
        // RFC 6455 §7.1.1: the server closes first.
        if self.echo?.isOver == true { self.finish(context) }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        context.close(promise: nil)
    }

    private func open(_ bytes: inout ByteBuffer, _ context: ChannelHandlerContext) {
        var answer = ByteBuffer()
        do {
            guard let request = try self.handshake.receive(&bytes) else { return }
            let compression = try WebSocketUpgrade(request).encodeAcceptance(
                subprotocol: nil, compression: PermessageDeflate(), into: &answer)
            self.echo = Echo(role: .server, compression: compression)
            context.writeAndFlush(self.wrapOutboundOut(answer), promise: nil)
        } catch {
            self.finish(context)
        }
    }

    private func finish(_ context: ChannelHandlerContext) {
        guard !self.isOver else { return }
        self.isOver = true
        context.close(promise: nil)
    }
}
