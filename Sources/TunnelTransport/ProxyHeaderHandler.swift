package import Intermediaries
internal import NIOCore
package import TunnelProtocol

/// The PROXY protocol on a listener: in which versions, and from whom.
package struct ProxyListening: Sendable {
    let versions: Set<ProxyVersion>
    let trusted: TrustedProxies
    let refused: @Sendable (_ peer: Endpoint?, _ local: Endpoint?, ProxyHeaderFailure) -> Void

    /// - Parameters:
    ///   - versions: Not empty.
    ///   - refused: Told of each connection that is closed before its header was whole, on its loop, with the socket's addresses.
    package init(
        versions: Set<ProxyVersion>, trusted: TrustedProxies,
        refused: @escaping @Sendable (_ peer: Endpoint?, _ local: Endpoint?, ProxyHeaderFailure) -> Void
    ) {
        self.versions = versions
        self.trusted = trusted
        self.refused = refused
    }
}

/// Why a connection was closed before its PROXY header was whole.
package enum ProxyHeaderFailure: Error, Sendable {
    /// It does not come from a trusted proxy: what it would say first is nothing to us.
    case untrusted
    case header(ProxyHeaderError)
    case late
    /// - Parameter isSilent: Without a single byte, as load balancers do to see whether we live.
    case ended(isSilent: Bool)
    case failed(String)

    /// Half a sentence for a log line.
    package var explanation: String {
        switch self {
        case .untrusted: "a PROXY header is taken from --trusted-proxies only, and this is none of them"
        case .header(let error): error.sentence
        case .late: "its PROXY header took longer than \(TransportLimits.greeting.nanoseconds / 1_000_000_000) s"
        case .ended(let isSilent):
            isSilent ? "the peer closed the connection" : "the peer closed the connection inside its PROXY header"
        case .failed(let why): why
        }
    }
}

/// Takes the PROXY header off the front of a connection, then makes room for whoever goes on with it: nothing of this handler is
/// in the way of the bytes behind the header.
final class ProxyHeaderHandler: ChannelInboundHandler, RemovableChannelHandler {
    typealias InboundIn = ByteBuffer
    typealias InboundOut = ByteBuffer

    private let listening: ProxyListening
    private let next: (any Channel, ProxyHeader) throws -> Void
    private var decoder: ProxyHeaderDecoder
    private var deadline: Scheduled<Void>?
    private var isOver = false

    /// - Parameter next: Called once with the header: adds the handlers for everything behind it.
    init(_ listening: ProxyListening, next: @escaping (any Channel, ProxyHeader) throws -> Void) {
        self.listening = listening
        self.next = next
        self.decoder = ProxyHeaderDecoder(accepting: listening.versions)
    }

    func handlerAdded(context: ChannelHandlerContext) {
        if context.channel.isActive { self.begin(context) }
    }

    func channelActive(context: ChannelHandlerContext) {
        self.begin(context)
    }

    private func begin(_ context: ChannelHandlerContext) {
        guard !self.isOver, self.deadline == nil else { return }
        // Whoever connects and resets at once, as some load balancers do, is gone before it can be asked for its address.
        guard let peer = context.remoteAddress.flatMap(Endpoint.init) else {
            return self.refuse(context, .ended(isSilent: true))
        }
        guard self.listening.trusted.contains(peer.address) else { return self.refuse(context, .untrusted) }
        let bound = NIOLoopBound(context, eventLoop: context.eventLoop)
        self.deadline = context.eventLoop.assumeIsolated().scheduleTask(in: TransportLimits.greeting) {
            self.refuse(bound.value, .late)
        }
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        guard !self.isOver else { return }
        var bytes = self.unwrapInboundIn(data)
        do {
            guard let header = try self.decoder.receive(&bytes) else { return }
            self.isOver = true
            self.deadline?.cancel()
            try self.next(context.channel, header)
        } catch let error as ProxyHeaderError {
            return self.refuse(context, .header(error))
        } catch {
            self.isOver = false
            return self.refuse(context, .failed("\(error)"))
        }
        if bytes.readableBytes > 0 { context.fireChannelRead(self.wrapInboundOut(bytes)) }
        context.pipeline.syncOperations.removeHandler(self, promise: nil)
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        // The input has ended, on a socket that would still take output.
        if case .some(.inputClosed) = event as? ChannelEvent { self.end(context) }
    }

    func channelInactive(context: ChannelHandlerContext) {
        self.end(context)
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        // Some load balancers leave with a reset.
        self.refuse(context, self.decoder.hasBegun ? .failed(describe(error)) : .ended(isSilent: true))
    }

    private func end(_ context: ChannelHandlerContext) {
        self.refuse(context, .ended(isSilent: !self.decoder.hasBegun))
    }

    private func refuse(_ context: ChannelHandlerContext, _ failure: ProxyHeaderFailure) {
        guard !self.isOver else { return }
        self.isOver = true
        self.deadline?.cancel()
        self.listening.refused(
            context.remoteAddress.flatMap(Endpoint.init), context.localAddress.flatMap(Endpoint.init), failure)
        context.close(promise: nil)
    }
}
