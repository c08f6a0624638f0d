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

/// Opens a tunnel connection: TCP, TLS, WebSocket, HELLO.
package struct Dialer: Sendable {
    package static let subprotocol = "ws-tunnel.1"

    private let url: ServerURL
    /// For the connections to come; as there was one at first or not, so it stays.
    package var tls: TLSContext?
    private let key: String
    private let compresses: Bool

    /// - Parameters:
    ///   - tls: Required for a `wss` URL.
    ///   - key: The pre-shared key; sent once the server's certificate has been verified.
    ///   - compresses: Offers permessage-deflate.
    package init(url: ServerURL, tls: TLSContext?, key: String, compresses: Bool) {
        precondition(url.isSecure == (tls != nil), "wss with TLS, ws without")
        self.url = url
        self.tls = tls
        self.key = key
        self.compresses = compresses
    }

    /// - Parameters:
    ///   - agent: The program's name and version.
    ///   - hello: Asked for on the event loop once the upgrade is accepted: what it says about the link is true then.
    /// - Returns: When the server has accepted the upgrade. WELCOME follows through the delegate.
    package func dial(
        on eventLoop: any EventLoop, agent: String, keepalive: KeepaliveConfiguration,
        hello: @escaping @Sendable () -> Frame.Hello, delegate: @escaping @Sendable () -> any TunnelConnectionDelegate
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
        ClientBootstrap(group: eventLoop)
            .connectTimeout(TransportLimits.connect)
            .tunnelConnectionOptions()
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try self.prepare(channel, handshake, promise, keepalive, hello, delegate())
                }
            }
            .connect(host: self.url.host, port: Int(self.url.port))
            .whenFailure { error in promise.fail(Self.failure(error, self.url)) }
        return promise.futureResult
    }

    private func prepare(
        _ channel: any Channel, _ handshake: ClientHandshake, _ promise: EventLoopPromise<Void>,
        _ keepalive: KeepaliveConfiguration, _ hello: @escaping () -> Frame.Hello, _ delegate: any TunnelConnectionDelegate
    ) throws {
        let eventLoop = channel.eventLoop
        let upgrader = ClientUpgrader(handshake: handshake, promise: promise) { transport, compression in
            _ = TunnelConnection(
                transport: transport, hello: hello(), compression: compression, keepalive: keepalive, eventLoop: eventLoop,
                delegate: delegate)
        }
        let tls = try self.tls.map { try TLSConnection(context: $0, role: .client(host: self.url.host)) }
        let transport = TransportHandler(tls: tls, user: upgrader)
        upgrader.take(transport)
        try channel.pipeline.syncOperations.addHandler(transport)
        transport.limit(to: TransportLimits.connect + TransportLimits.greeting, "connecting to \(self.url)")
    }

    private static func failure(_ error: any Error, _ url: ServerURL) -> any Error {
        switch error {
        case let error as NIOConnectionError:
            guard let first = error.connectionErrors.first else {
                return DialFailure.resolve("the name \(url.host) does not resolve")
            }
            return DialFailure.connect(describe(first.error))
        case let error as TLSConfigurationError:
            return OperatorError(.badConfiguration, "\(error)")
        default:
            return DialFailure.connect(describe(error))
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
