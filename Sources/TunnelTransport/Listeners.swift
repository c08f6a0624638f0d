internal import Intermediaries
package import NIOCore
internal import NIOPosix
package import OpenSSL
package import TunnelProtocol

/// The sockets that wait for others to connect.
package enum Listeners {
    /// Listens for tunnel connections; each is taken to one of the loops of `connections`.
    ///
    /// - Parameters:
    ///   - proxies: Whose PROXY header comes first, before TLS; `nil`: there is none.
    ///   - failed: Told why no connection can be accepted for now.
    ///   - names: Asked for each connection: whose visitors TLS connections are, by the name they ask for; `nil`: nobody's.
    ///   - tls: Asked for each connection; `nil` for one without TLS.
    ///   - delegate: Made once for each connection, on its loop.
    package static func connections(
        host: String, port: Int, group: any EventLoopGroup, connections: any EventLoopGroup,
        tls: @escaping @Sendable () -> TLSContext?, proxies: ProxyListening?,
        names: @escaping @Sendable () -> (@Sendable (String) -> RemoteTunnel?)?,
        failed: @escaping @Sendable (String) -> Void,
        delegate: @escaping @Sendable (any EventLoop) -> any UpgradeDelegate
    ) -> EventLoopFuture<any Channel> {
        ServerBootstrap(group: group, childGroup: connections)
            .listenerOptions(failed)
            .childChannelOption(.tcpOption(.tcp_nodelay), value: 1)
            .childChannelOption(.socketOption(.so_keepalive), value: 1)
            .childChannelOption(.tcpOption(.unsentLowWater), value: TransportLimits.unsentBytes)
            .childChannelOption(.recvAllocator, value: ConnectionReadAllocator())
            .childChannelOption(.maxMessagesPerRead, value: 1)
            .childChannelOption(
                .writeBufferWaterMark,
                value: .init(low: TransportLimits.connectionLowWater, high: TransportLimits.connectionHighWater))
            .childChannelInitializer { channel in
                let accepted = NIODeadline.now()
                return channel.eventLoop.makeCompletedFuture {
                    try channel.addHandlers(behind: proxies) { channel, header in
                        func addTransport(_ channel: any Channel) throws {
                            let upgrader = ServerUpgrader(eventLoop: channel.eventLoop, delegate: delegate(channel.eventLoop))
                            let transport = TransportHandler(
                                tls: try tls().map { try TLSConnection(context: $0, role: .server) }, user: upgrader)
                            transport.forwarded = (header?.addresses?.source).map { ForwardedAddresses(origin: ForwardedNode($0)) }
                            upgrader.take(transport)
                            try channel.pipeline.syncOperations.addHandler(transport)
                            transport.limit(to: TransportLimits.greeting, since: accepted, "the handshake")
                        }
                        guard let tunnel = names() else { return try addTransport(channel) }
                        try channel.pipeline.syncOperations.addHandler(
                            ServerNameHandler(
                                addresses: header?.addresses, accepted: accepted, tunnel: tunnel, otherwise: addTransport))
                    }
                }
            }
            .bind(host: host, port: port)
    }

    /// Listens for TLS connections alone, each of which asks for its tunnel by name.
    ///
    /// - Parameters: As above.
    package static func serverNames(
        host: String, port: Int, group: any EventLoopGroup, connections: any EventLoopGroup, proxies: ProxyListening?,
        tunnel: @escaping @Sendable (String) -> RemoteTunnel?, failed: @escaping @Sendable (String) -> Void
    ) -> EventLoopFuture<any Channel> {
        ServerBootstrap(group: group, childGroup: connections)
            .listenerOptions(failed)
            .childChannelOption(.tcpOption(.tcp_nodelay), value: 1)
            .childStreamOptions()
            .childChannelInitializer { channel in
                let accepted = NIODeadline.now()
                return channel.eventLoop.makeCompletedFuture {
                    try channel.addHandlers(behind: proxies) { channel, header in
                        try channel.pipeline.syncOperations.addHandler(
                            ServerNameHandler(addresses: header?.addresses, accepted: accepted, tunnel: tunnel, otherwise: nil))
                    }
                }
            }
            .bind(host: host, port: port)
    }

    /// Listens for the visitors of one tunnel, on its session's loop. Called there.
    ///
    /// - Parameters:
    ///   - proxies: Whose PROXY header comes first: a stream is opened once it is whole, for the visitor it names. `nil`: there is
    ///     none.
    ///   - admits: Asked for each visitor's address; who may not come is reset, and no stream is opened.
    ///   - link: Asked for each visitor: the link that takes it.
    ///   - failed: Told why no visitor can be accepted for now.
    ///   - opened: Told of each visitor that became a stream.
    package static func visitors(
        host: String, port: Int, of tunnel: TunnelNumber, on eventLoop: any EventLoop, proxies: ProxyListening?,
        admits: @escaping @Sendable (Endpoint.Address) -> Bool, link: @escaping () -> LinkDriver,
        failed: @escaping @Sendable (String) -> Void,
        opened: @escaping (StreamID, Endpoint?) -> Void
    ) -> EventLoopFuture<any Channel> {
        let bound = NIOLoopBound((link, opened), eventLoop: eventLoop)
        return ServerBootstrap(group: eventLoop)
            .listenerOptions(failed)
            .childChannelOption(.tcpOption(.tcp_nodelay), value: 1)
            .childStreamOptions()
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.addHandlers(behind: proxies) { channel, header in
                        let visitor = header?.addresses?.source ?? channel.remoteAddress.flatMap(Endpoint.init)
                        guard visitor.map({ admits($0.address) }) ?? true else {
                            channel.resetOnClose()
                            return channel.close(promise: nil)
                        }
                        let (link, opened) = bound.value
                        try channel.pipeline.syncOperations.addHandler(
                            StreamSocket(origin: .visitor(link(), tunnel, header?.addresses), opened: opened))
                    }
                }
            }
            .bind(host: host, port: port)
    }
}

extension Channel {
    /// Adds handlers at once, or behind the PROXY header once that is whole. Called on the channel's loop.
    fileprivate func addHandlers(
        behind proxies: ProxyListening?, _ add: @escaping (any Channel, ProxyHeader?) throws -> Void
    ) throws {
        guard let proxies else { return try add(self, nil) }
        try self.pipeline.syncOperations.addHandler(ProxyHeaderHandler(proxies, next: add))
    }
}

extension ServerBootstrap {
    fileprivate func listenerOptions(_ failed: @escaping @Sendable (String) -> Void) -> ServerBootstrap {
        self.serverChannelOption(.backlog, value: TransportLimits.backlog)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .serverChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(AcceptPause(report: failed))
                }
            }
    }

    fileprivate func childStreamOptions() -> ServerBootstrap {
        self.childChannelOption(.socketOption(.so_keepalive), value: 1)
            .childChannelOption(.allowRemoteHalfClosure, value: true)
            .childChannelOption(.recvAllocator, value: StreamReadAllocator())
            .childChannelOption(.maxMessagesPerRead, value: StreamSocket.readsPerTurn)
            .childChannelOption(.writeBufferWaterMark, value: StreamSocket.waterMark)
    }
}

extension ClientBootstrap {
    func streamOptions() -> ClientBootstrap {
        self.channelOption(.socketOption(.so_keepalive), value: 1)
            .channelOption(.allowRemoteHalfClosure, value: true)
            .channelOption(.recvAllocator, value: StreamReadAllocator())
            .channelOption(.maxMessagesPerRead, value: StreamSocket.readsPerTurn)
            .channelOption(.writeBufferWaterMark, value: StreamSocket.waterMark)
    }
}

extension StreamSocket {
    /// Writable means: the socket has taken everything. Credit goes back only for what it has taken.
    static var waterMark: ChannelOptions.Types.WriteBufferWaterMark { .init(low: 1, high: 1) }

    /// Reads of one socket before the others' turn, and before it is asked whether its stream takes more.
    static var readsPerTurn: UInt { 1 }
}
