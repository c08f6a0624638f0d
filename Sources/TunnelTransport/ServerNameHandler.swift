internal import HTTPMessages
internal import Intermediaries
package import NIOCore
package import TunnelProtocol

/// A tunnel with a name, as whoever meets its visitors reaches it: its link may live on another event loop.
package struct RemoteTunnel: Sendable {
    /// Where its session lives.
    package let home: any EventLoop
    /// Opens a stream for a visitor; called on `home`. `nil` when there is none to be had.
    package let open:
        @Sendable (any StreamEnd, _ visitor: Endpoint?, _ destination: Endpoint?) -> (link: LinkDriver, id: StreamID)?

    package init(
        home: any EventLoop,
        open: @escaping @Sendable (any StreamEnd, _ visitor: Endpoint?, _ destination: Endpoint?) -> (link: LinkDriver, id: StreamID)?
    ) {
        self.home = home
        self.open = open
    }
}

/// Reads the name that a TLS connection asks for off its first bytes, and makes room for whoever goes on with it, from the first
/// byte on: TLS is not ended here.
///
///     ClientHello ──names a TLS tunnel──▶ a stream of that tunnel, as the bytes are
///          └──anything else──▶ whoever listens here besides; nobody: an alert, and the end
final class ServerNameHandler: ChannelInboundHandler, RemovableChannelHandler {
    typealias InboundIn = ByteBuffer
    typealias InboundOut = ByteBuffer
    typealias OutboundOut = ByteBuffer

    private let addresses: ProxyHeader.Addresses?
    private let tunnel: (String) -> RemoteTunnel?
    private let otherwise: ((any Channel) throws -> Void)?
    private let accepted: NIODeadline
    private var hello = ClientHello()
    private var bytes = ByteBuffer()
    private var deadline: Scheduled<Void>?
    private var isOver = false

    /// - Parameters:
    ///   - addresses: Those that a trusted proxy gave.
    ///   - tunnel: Whose name it is.
    ///   - otherwise: Adds the handlers for connections that ask for no tunnel; `nil`: there is nobody for those.
    init(
        addresses: ProxyHeader.Addresses?, accepted: NIODeadline, tunnel: @escaping (String) -> RemoteTunnel?,
        otherwise: ((any Channel) throws -> Void)?
    ) {
        self.addresses = addresses
        self.accepted = accepted
        self.tunnel = tunnel
        self.otherwise = otherwise
    }

    func handlerAdded(context: ChannelHandlerContext) {
        let bound = NIOLoopBound(context, eventLoop: context.eventLoop)
        self.deadline = context.eventLoop.assumeIsolated().scheduleTask(deadline: self.accepted + TransportLimits.greeting) {
            bound.value.close(promise: nil)
        }
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        self.deadline?.cancel()
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        guard !self.isOver else { return }
        let bytes = self.unwrapInboundIn(data)
        self.bytes.writeImmutableBuffer(bytes)
        switch self.hello.receive(bytes) {
        case .wantsMore: return
        case .name(let name):
            guard let tunnel = self.tunnel(name) else { return self.pass(context) }
            self.goOn(context) { try $0.addVisitor(of: tunnel, self.addresses) }
        case .noName, .notTLS: self.pass(context)
        }
    }

    private func pass(_ context: ChannelHandlerContext) {
        guard let otherwise = self.otherwise else { return self.refuse(context) }
        self.goOn(context, otherwise)
    }

    private func goOn(_ context: ChannelHandlerContext, _ add: (any Channel) throws -> Void) {
        self.isOver = true
        do {
            try add(context.channel)
        } catch {
            return context.close(promise: nil)
        }
        context.fireChannelRead(self.wrapInboundOut(self.bytes))
        context.fireChannelReadComplete()
        context.pipeline.syncOperations.removeHandler(self, promise: nil)
    }

    /// A fatal alert unrecognized_name (RFC 8446 §6.2, RFC 6066 §3), which browsers and curl tell their users of.
    private func refuse(_ context: ChannelHandlerContext) {
        self.isOver = true
        let alert = ByteBuffer(bytes: [0x15, 0x03, 0x03, 0x00, 0x02, 0x02, 0x70])
        let bound = NIOLoopBound(context, eventLoop: context.eventLoop)
        context.writeAndFlush(self.wrapOutboundOut(alert)).assumeIsolated().whenComplete { _ in bound.value.close(promise: nil) }
    }
}

extension Channel {
    /// Makes a visitor's stream of a connection that was accepted as something else. Called on its loop.
    fileprivate func addVisitor(of tunnel: RemoteTunnel, _ addresses: ProxyHeader.Addresses?) throws {
        if let options = self.syncOptions {
            try options.setOption(.allowRemoteHalfClosure, value: true)
            try options.setOption(.recvAllocator, value: StreamReadAllocator())
            try options.setOption(.maxMessagesPerRead, value: StreamSocket.readsPerTurn)
            try options.setOption(.writeBufferWaterMark, value: StreamSocket.waterMark)
        }
        try self.pipeline.syncOperations.addHandler(StreamSocket(origin: .remoteVisitor(tunnel, addresses)))
    }
}
