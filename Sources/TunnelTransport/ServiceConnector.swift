package import Intermediaries
package import NIOCore
internal import NIOPosix
package import TunnelProtocol

/// Where a service listens.
public enum ServiceAddress: Sendable, Hashable, CustomStringConvertible {
    case tcp(host: String, port: UInt16)
    case unix(path: String)

    public var description: String {
        switch self {
        case .tcp(let host, let port): host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)"
        case .unix(let path): "unix:\(path)"
        }
    }
}

/// Why a service did not accept a connection.
package struct ServiceFailure: Error, Sendable, Equatable {
    package let code: ResetCode
    /// "connection refused", or the resolver's word.
    package let explanation: String

    package init(code: ResetCode, explanation: String) {
        self.code = code
        self.explanation = explanation
    }
}

/// Connects streams to their services.
package struct ServiceConnector: Sendable {
    private let address: ServiceAddress
    private let resolved: SocketAddress?
    private let proxyVersion: ProxyVersion?

    /// - Parameter proxyVersion: The PROXY protocol that tells the service of its visitors; `nil`: it is told nothing.
    package init(_ address: ServiceAddress, proxyVersion: ProxyVersion? = nil) {
        self.address = address
        self.proxyVersion = proxyVersion
        // `connect(host:)` goes through the resolver even for an address.
        self.resolved = switch address {
        case .tcp(let host, let port): try? SocketAddress(ipAddress: host, port: Int(port))
        case .unix(let path): try? SocketAddress(unixDomainSocketPath: path)
        }
    }

    /// Connects the service for a stream that the peer opened; called on the link's loop. Bytes that arrive meanwhile wait
    /// in the stream's socket, and the stream is reset when the service does not accept.
    ///
    /// - Parameter completion: On the link's loop: `nil` once connected. Not called when the visitor left before: that says
    ///   nothing about the service.
    package func connect(
        _ open: Frame.Open, of link: LinkDriver, completion: @escaping (ServiceFailure?) -> Void
    ) {
        let socket = StreamSocket(origin: .service(link, open.stream), preface: self.preface(for: open))
        link.join(socket, to: open.stream)
        let bound = NIOLoopBound(socket, eventLoop: link.eventLoop)
        let bootstrap = ClientBootstrap(group: link.eventLoop)
            .connectTimeout(TransportLimits.connect)
            .streamOptions()
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(bound.value)
                }
            }
        self.connect(bootstrap).assumeIsolated().whenComplete { result in
            switch result {
            case .success: completion(nil)
            case .failure(let error):
                let failure = Self.failure(error)
                if bound.value.connectFailed(failure.code) { completion(failure) }
            }
        }
    }

    /// Connects for whoever speaks with the service itself, instead of handing on a stream's bytes.
    ///
    /// - Parameter prepare: Adds the channel's handlers; on its event loop.
    /// - Returns: Fails with a `ServiceFailure`.
    package func connect(
        on eventLoop: any EventLoop, prepare: @escaping @Sendable (any Channel) throws -> Void
    ) -> EventLoopFuture<any Channel> {
        let bootstrap = ClientBootstrap(group: eventLoop)
            .connectTimeout(TransportLimits.connect)
            .streamOptions()
            .channelInitializer { channel in channel.eventLoop.makeCompletedFuture { try prepare(channel) } }
        return self.connect(bootstrap).flatMapErrorThrowing { throw Self.failure($0) }
    }

    /// Connects once and leaves again.
    ///
    /// - Returns: Fails with a `ServiceFailure`.
    package func probe(on eventLoop: any EventLoop) -> EventLoopFuture<Void> {
        self.connect(ClientBootstrap(group: eventLoop).connectTimeout(TransportLimits.connect))
            .flatMap { $0.close() }
            .flatMapErrorThrowing { throw Self.failure($0) }
    }

    private func connect(_ bootstrap: ClientBootstrap) -> EventLoopFuture<any Channel> {
        switch (self.resolved, self.address) {
        case (let resolved?, _): bootstrap.connect(to: resolved)
        case (nil, .tcp(let host, let port)): bootstrap.connect(host: host, port: Int(port))
        case (nil, .unix(let path)): bootstrap.connect(unixDomainSocketPath: path)
        }
    }

    /// The PROXY header for a stream's service. Without the visitor's address it says that this is unknown.
    private func preface(for open: Frame.Open) -> ByteBuffer? {
        guard let version = self.proxyVersion else { return nil }
        let addresses = open.visitor.map { visitor in
            // A header needs both: an unknown destination is no address at no port (RFC 1122 §3.2.1.3, RFC 4291 §2.5.2).
            let unknown: Endpoint.Address = if case .v4 = visitor.address { .v4(0) } else { .v6(Opaque16(high: 0, low: 0)) }
            return ProxyHeader.Addresses(
                source: visitor, destination: open.destination ?? Endpoint(unknown, port: 0))
        }
        var header = ByteBuffer()
        ProxyHeader(addresses).encode(version, into: &header)
        return header
    }

    private static func failure(_ error: any Error) -> ServiceFailure {
        switch error {
        case let error as NIOConnectionError:
            guard let first = error.connectionErrors.first else {
                return ServiceFailure(code: .unreachable, explanation: "the name does not resolve")
            }
            return self.failure(first.error)
        case let error as IOError:
            return ServiceFailure(code: ResetCode(errno: error.errnoCode), explanation: systemMessage(error.errnoCode))
        case ChannelError.connectTimeout:
            return ServiceFailure(code: .timedOut, explanation: "timed out")
        default:
            return ServiceFailure(code: .internalError, explanation: describe(error))
        }
    }
}
