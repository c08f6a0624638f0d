internal import NIOCore
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
}

/// Connects streams to their services.
package struct ServiceConnector: Sendable {
    private let address: ServiceAddress
    private let resolved: SocketAddress?

    package init(_ address: ServiceAddress) {
        self.address = address
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
        _ stream: StreamID, of link: LinkDriver, completion: @escaping (ServiceFailure?) -> Void
    ) {
        let socket = StreamSocket(link: link, origin: .service(stream))
        link.join(socket, to: stream)
        let bound = NIOLoopBound(socket, eventLoop: link.eventLoop)
        let bootstrap = ClientBootstrap(group: link.eventLoop)
            .connectTimeout(TransportLimits.connect)
            .streamOptions()
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(bound.value)
                }
            }
        let connected = switch (self.resolved, self.address) {
        case (let resolved?, _): bootstrap.connect(to: resolved)
        case (nil, .tcp(let host, let port)): bootstrap.connect(host: host, port: Int(port))
        case (nil, .unix(let path)): bootstrap.connect(unixDomainSocketPath: path)
        }
        connected.assumeIsolated().whenComplete { result in
            switch result {
            case .success: completion(nil)
            case .failure(let error):
                let failure = Self.failure(error)
                if bound.value.connectFailed(failure.code) { completion(failure) }
            }
        }
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
