import NIOConcurrencyHelpers
import NIOCore
import NIOPosix

/// The way between a client and its server, on loopback.
final class Wire: Sendable {
    enum State {
        case carrying
        /// What either side sends disappears.
        case swallowing
        /// What was connected is cut, and who comes is turned away.
        case refusing
    }

    private struct Inside {
        var state = State.carrying
        var channels: [any Channel] = []
        /// Of those, the ones a client opened.
        var arrivals: [any Channel] = []
        var listener: (any Channel)?
    }

    private let inside = NIOLockedValueBox(Inside())

    init(to target: Int) async throws {
        let group = MultiThreadedEventLoopGroup.singleton
        let listener = try await ServerBootstrap(group: group)
            .childChannelOption(.autoRead, value: false)
            .childChannelInitializer { [inside] near in
                // Both ends share a loop, so each can write to the other at once.
                ClientBootstrap(group: near.eventLoop).channelOption(.autoRead, value: false)
                    .connect(host: "127.0.0.1", port: target).flatMapThrowing { far in
                        let isWanted = inside.withLockedValue { inside in
                            guard inside.state != .refusing else { return false }
                            inside.channels += [near, far]
                            inside.arrivals.append(near)
                            return true
                        }
                        guard isWanted else {
                            far.close(promise: nil)
                            throw ChannelError.ioOnClosedChannel
                        }
                        for (one, other) in [(near, far), (far, near)] {
                            try one.pipeline.syncOperations.addHandler(
                                Pipe(to: other) { inside.withLockedValue { $0.state } == .carrying })
                            other.eventLoop.execute { one.setOption(.autoRead, value: true).whenComplete { _ in } }
                        }
                    }
            }
            .bind(host: "127.0.0.1", port: 0).get()
        self.inside.withLockedValue { $0.listener = listener }
    }

    var port: Int { self.inside.withLockedValue { $0.listener?.localAddress?.port ?? 0 } }

    func set(_ state: State) {
        let cut = self.inside.withLockedValue { inside in
            inside.state = state
            guard state == .refusing else { return [any Channel]() }
            defer { inside.channels = [] }
            return inside.channels
        }
        for channel in cut { channel.close(promise: nil) }
    }

    /// Says something to every client in the server's place.
    func tellClients(_ bytes: [UInt8]) {
        for channel in self.inside.withLockedValue({ $0.arrivals }) {
            channel.writeAndFlush(ByteBuffer(bytes: bytes), promise: nil)
        }
    }

    func close() {
        self.set(.refusing)
        self.inside.withLockedValue { $0.listener }?.close(promise: nil)
    }
}

/// Hands what arrives to another channel of the same loop.
private final class Pipe: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    private let other: any Channel
    private let isOpen: () -> Bool

    init(to other: any Channel, isOpen: @escaping () -> Bool) {
        self.other = other
        self.isOpen = isOpen
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        if self.isOpen() { self.other.writeAndFlush(self.unwrapInboundIn(data), promise: nil) }
    }

    func channelInactive(context: ChannelHandlerContext) { self.other.close(promise: nil) }

    func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }
}

/// Bytes that arrived and were not asked for yet.
final class Tally: Sendable {
    private let count = NIOLockedValueBox(0)

    func add(_ count: Int) { self.count.withLockedValue { $0 += count } }

    /// - Returns: Whether there were as many.
    func take(_ count: Int) -> Bool {
        self.count.withLockedValue { stored in
            guard stored >= count else { return false }
            stored -= count
            return true
        }
    }
}

final class Meter: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    private let tally: Tally

    init(_ tally: Tally) { self.tally = tally }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) { self.tally.add(self.unwrapInboundIn(data).readableBytes) }
}

final class Echo: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer

    func channelRead(context: ChannelHandlerContext, data: NIOAny) { context.writeAndFlush(data, promise: nil) }
}
