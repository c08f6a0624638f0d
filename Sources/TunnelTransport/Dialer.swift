package import Intermediaries
package import NIOCore
internal import NIOPosix
package import OpenSSL
package import TunnelProtocol
package import WebSocketProtocol

/// Why no tunnel connection came about.
package enum DialFailure: Error, Sendable {
    /// The name does not resolve.
    case resolve(String)
    /// The TCP connection failed.
    case connect(String)
    case transport(TransportEnd)
    case handshake(ClientHandshakeError)
}

/// How far an attempt has come; each of these once, in this order, and some not at all.
package enum DialProgress: Sendable {
    /// The TCP connection stands: to the proxy, if there is one.
    case connected(to: String)
    /// The proxy leads to the server.
    case proxied
    /// The server's certificate is accepted, and the connection encrypted.
    case secured(TLSConnection.Parameters?, CertificateSummary?)
    /// It is a WebSocket.
    case upgraded
}

/// A forward proxy on the way to a server.
package struct ProxyRoute: Sendable {
    package let url: ProxyURL
    fileprivate let tls: TLSContext?

    /// - Parameter tls: Required for an `https` proxy: whom to believe to be it.
    package init(_ url: ProxyURL, tls: TLSContext?) {
        precondition((url.scheme == .https) == (tls != nil), "https with TLS, anything else without")
        self.url = url
        self.tls = tls
    }
}

/// Opens a tunnel connection: TCP, a way through a proxy if there is one, TLS, WebSocket, HELLO.
package struct Dialer: Sendable {
    package static let subprotocol = "ws-tunnel.1"

    private let url: ServerURL
    /// For the connections to come; as there was one at first or not, so it stays.
    package var tls: TLSContext?
    private let key: String
    private let compresses: Bool
    private let proxy: ProxyRoute?

    /// - Parameters:
    ///   - tls: Required for a `wss` URL.
    ///   - key: The pre-shared key; sent once the server's certificate has been verified.
    ///   - compresses: Offers permessage-deflate.
    ///   - proxy: `nil`: straight to the server.
    package init(url: ServerURL, tls: TLSContext?, key: String, compresses: Bool, proxy: ProxyRoute? = nil) {
        precondition(url.isSecure == (tls != nil), "wss with TLS, ws without")
        self.url = url
        self.tls = tls
        self.key = key
        self.compresses = compresses
        self.proxy = proxy
    }

    /// - Parameters:
    ///   - agent: The program's name and version.
    ///   - hello: Asked for on the event loop once the upgrade is accepted: what it says about the link is true then.
    ///   - progress: Told on the event loop how far it has come.
    /// - Returns: When the server has accepted the upgrade. WELCOME follows through the delegate.
    package func dial(
        on eventLoop: any EventLoop, agent: String, keepalive: KeepaliveConfiguration,
        hello: @escaping @Sendable () -> Frame.Hello, delegate: @escaping @Sendable () -> any TunnelConnectionDelegate,
        progress: @escaping @Sendable (DialProgress) -> Void = { _ in }
    ) -> EventLoopFuture<Void> {
        let promise = eventLoop.makePromise(of: Void.self)
        let handshake: ClientHandshake
        do {
            handshake = try ClientHandshake(
                host: self.url.authority, path: self.url.path, subprotocols: [Self.subprotocol],
                compression: self.compresses ? .tunnel : nil,
                extraFields: ["Authorization": "Bearer \(self.key)", "User-Agent": agent],
                nonce: Randomness.bytes(AcceptKey.nonceLength))
        } catch {
            promise.fail(OperatorError(.badConfiguration, "the request to \(self.url) cannot be written: \(error.sentence)"))
            return promise.futureResult
        }
        self.makeProxyHandshake(on: eventLoop, agent: agent).flatMap { proxyHandshake in
            ClientBootstrap(group: eventLoop)
                .connectTimeout(TransportLimits.connect)
                .tunnelConnectionOptions()
                .channelInitializer { channel in
                    channel.eventLoop.makeCompletedFuture {
                        try self.prepare(channel, proxyHandshake, handshake, promise, keepalive, hello, delegate(), progress)
                    }
                }
                .connect(host: self.proxy?.url.host ?? self.url.host, port: Int(self.proxy?.url.port ?? self.url.port))
        }
        .whenFailure { error in promise.fail(self.failure(error)) }
        return promise.futureResult
    }

    private func prepare(
        _ channel: any Channel, _ proxyHandshake: (any ProxyHandshake)?, _ handshake: ClientHandshake,
        _ promise: EventLoopPromise<Void>, _ keepalive: KeepaliveConfiguration, _ hello: @escaping () -> Frame.Hello,
        _ delegate: any TunnelConnectionDelegate, _ progress: @escaping (DialProgress) -> Void
    ) throws {
        let eventLoop = channel.eventLoop
        let upgrader = ClientUpgrader(handshake: handshake, promise: promise, progress: progress) { transport, compression in
            _ = TunnelConnection(
                transport: transport, hello: hello(), compression: compression, keepalive: keepalive, eventLoop: eventLoop,
                delegate: delegate)
        }
        let tls = try self.tls.map { try TLSConnection(context: $0, role: .client(host: self.url.host)) }
        let transport = TransportHandler(tls: tls, user: upgrader)
        upgrader.take(transport)
        try channel.pipeline.syncOperations.addHandler(
            Milestone { progress(.connected(to: $0.remoteAddress.map(describe(address:)) ?? "an unknown address")) })
        if let proxy, let proxyHandshake {
            if let context = proxy.tls {
                let tls = try TLSConnection(context: context, role: .client(host: proxy.url.host))
                try channel.pipeline.syncOperations.addHandler(ClientTLSHandler(tls, with: .proxy))
            }
            try channel.pipeline.syncOperations.addHandler(ProxyHandler(proxyHandshake))
            try channel.pipeline.syncOperations.addHandler(Milestone { _ in progress(.proxied) })
        }
        try channel.pipeline.syncOperations.addHandler(transport)
        transport.limit(to: TransportLimits.connect + TransportLimits.greeting, "connecting to \(self.url)\(self.through)")
    }

    private var through: String { self.proxy.map { " through the proxy \($0.url)" } ?? "" }

    /// The name of the server is the proxy's to resolve, except for `socks5`.
    private func makeProxyHandshake(on eventLoop: any EventLoop, agent: String) -> EventLoopFuture<(any ProxyHandshake)?> {
        guard let proxy else { return eventLoop.makeSucceededFuture(nil) }
        switch proxy.url.scheme {
        case .http, .https:
            do {
                return eventLoop.makeSucceededFuture(
                    try ConnectHandshake(
                        host: self.url.host, port: self.url.port, credentials: proxy.url.credentials, agent: agent))
            } catch {
                return eventLoop.makeFailedFuture(
                    OperatorError(
                        .badConfiguration, "the request to the proxy \(proxy.url) cannot be written: \(error.sentence)"))
            }
        case .socks5, .socks5h:
            return self.socksDestination(proxy.url.scheme, on: eventLoop).flatMapThrowing { destination in
                guard let handshake = SOCKSHandshake(
                    destination: destination, port: self.url.port, credentials: proxy.url.credentials)
                else {
                    throw OperatorError(.badConfiguration, "the name \(self.url.host) is longer than SOCKS can say (255 bytes)")
                }
                return handshake
            }
        }
    }

    private func socksDestination(
        _ scheme: ProxyURL.Scheme, on eventLoop: any EventLoop
    ) -> EventLoopFuture<SOCKSHandshake.Destination> {
        let host = self.url.host
        if let address = Endpoint.Address(text: host) { return eventLoop.makeSucceededFuture(.address(address)) }
        guard scheme == .socks5 else { return eventLoop.makeSucceededFuture(.name(host)) }
        return NameLookup.endpoint(host, port: self.url.port, on: eventLoop).map { .address($0.address) }
    }

    private func failure(_ error: any Error) -> any Error {
        switch error {
        case is OperatorError, is DialFailure:
            return error
        case let error as TLSConfigurationError:
            return OperatorError(.badConfiguration, "\(error)")
        case let error as NIOConnectionError where error.connectionErrors.isEmpty:
            let why = "the name \(error.host) does not resolve"
            return self.proxy == nil ? DialFailure.resolve(why) : DialFailure.transport(.proxy(.unreachable(why)))
        default:
            let why = describe((error as? NIOConnectionError)?.connectionErrors.first?.error ?? error)
            return self.proxy == nil ? DialFailure.connect(why) : DialFailure.transport(.proxy(.unreachable(why)))
        }
    }
}

extension ClientBootstrap {
    func tunnelConnectionOptions() -> ClientBootstrap {
        self.channelOption(.socketOption(.so_keepalive), value: 1)
            .channelOption(.tcpOption(.unsentLowWater), value: TransportLimits.unsentBytes)
            .channelOption(.recvAllocator, value: ConnectionReadAllocator())
            .channelOption(.maxMessagesPerRead, value: 1)
            .channelOption(
                .writeBufferWaterMark,
                value: .init(low: TransportLimits.connectionLowWater, high: TransportLimits.connectionHighWater))
    }
}

extension NIOBSDSocket.Option {
    /// `TCP_NOTSENT_LOWAT`, which NIO has no name for.
    #if canImport(Darwin)
    static let unsentLowWater = NIOBSDSocket.Option(rawValue: 0x201)
    #else
    static let unsentLowWater = NIOBSDSocket.Option(rawValue: 25)
    #endif
}
