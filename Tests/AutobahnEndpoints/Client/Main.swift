import AutobahnEcho
import NIOCore
import NIOPosix
import WebSocketProtocol

/// `ws-tunnel-autobahn-client URL`: runs all cases that Autobahn's fuzzing server offers at `ws://HOST:PORT`, and has it
/// write its report.
@main
enum Main {
    static let agent = "ws-tunnel"

    static func main() async throws {
        guard CommandLine.arguments.count == 2, let server = Address(CommandLine.arguments[1]) else {
            print("usage: ws-tunnel-autobahn-client ws://HOST:PORT")
            return
        }
        let answer = try await Self.run("/getCaseCount", at: server, repeatsMessages: false)
        guard let count = Int(answer), count > 0 else {
            print("\(CommandLine.arguments[1]) offers no cases")
            return
        }
        for number in 1...count {
            _ = try await Self.run("/runCase?case=\(number)&agent=\(Self.agent)", at: server)
        }
        _ = try await Self.run("/updateReports?agent=\(Self.agent)", at: server, repeatsMessages: false)
        print("ran \(count) cases")
    }

    /// One connection, until it is closed.
    ///
    /// - Returns: The last message, where they are not repeated.
    private static func run(_ path: String, at server: Address, repeatsMessages: Bool = true) async throws -> String {
        let eventLoop = MultiThreadedEventLoopGroup.singleton.next()
        let ended = eventLoop.makePromise(of: String.self)
        do {
            let handshake = try ClientHandshake(
                host: "\(server.host):\(server.port)", path: path, compression: PermessageDeflate(),
                nonce: (0..<16).map { _ in .random(in: .min ... .max) })
            _ = try await ClientBootstrap(group: eventLoop)
                .channelInitializer { channel in
                    channel.eventLoop.makeCompletedFuture {
                        try channel.pipeline.syncOperations.addHandler(
                            EchoClient(handshake, repeatsMessages: repeatsMessages, ended: ended))
                    }
                }
                .connect(host: server.host, port: server.port).get()
        } catch {
            ended.fail(error)
        }
        return try await ended.futureResult.get()
    }
}

/// What `ws://HOST:PORT` names.
private struct Address {
    let host: String
    let port: Int

    init?(_ url: String) {
        guard url.hasPrefix("ws://") else { return nil }
        let parts = url.dropFirst(5).split(separator: ":")
        guard parts.count == 2, let port = UInt16(parts[1].prefix { $0 != "/" }) else { return nil }
        self.host = String(parts[0])
        self.port = Int(port)
    }
}

private final class EchoClient: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    /// RFC 6455 §7.1.1: after both Close frames the server closes; it is given this long.
    private static let patience = TimeAmount.seconds(1)

    private var handshake: ClientHandshake
    private let repeatsMessages: Bool
    private let ended: EventLoopPromise<String>
    private var echo: Echo?

    init(_ handshake: ClientHandshake, repeatsMessages: Bool, ended: EventLoopPromise<String>) {
        self.handshake = handshake
        self.repeatsMessages = repeatsMessages
        self.ended = ended
    }

    func channelActive(context: ChannelHandlerContext) {
        context.writeAndFlush(self.wrapOutboundOut(self.handshake.request), promise: nil)
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        var bytes = self.unwrapInboundIn(data)
        if self.echo == nil {
            do {
                guard let accepted = try self.handshake.receive(&bytes) else { return }
                self.echo = Echo(role: .client, compression: accepted.compression)
            } catch {
                self.ended.fail(error)
                context.close(promise: nil)
                return
            }
        }
        let wasOver = self.echo?.isOver ?? true
        guard let answers = self.echo?.receive(&bytes, repeatsMessages: self.repeatsMessages) else { return }
        if answers.readableBytes > 0 { context.writeAndFlush(self.wrapOutboundOut(answers), promise: nil) }
        if self.echo?.isOver == true, !wasOver {
            let bound = NIOLoopBound(context, eventLoop: context.eventLoop)
            context.eventLoop.scheduleTask(in: Self.patience) { bound.value.close(promise: nil) }
        }
    }

    func channelInactive(context: ChannelHandlerContext) {
        self.ended.succeed(self.echo?.lastMessage ?? "")
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        context.close(promise: nil)
    }
}
