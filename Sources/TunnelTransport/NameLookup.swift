package import NIOCore
internal import NIOPosix
package import TunnelProtocol

/// The system's resolver.
package enum NameLookup {
    /// - Returns: The first address of `host`, or a `DialFailure.resolve`: at the latest after `TransportLimits.connect`.
    package static func endpoint(_ host: String, port: UInt16, on eventLoop: any EventLoop) -> EventLoopFuture<Endpoint> {
        let promise = eventLoop.makePromise(of: Endpoint.self)
        let limit = eventLoop.scheduleTask(in: TransportLimits.connect) {
            promise.fail(DialFailure.resolve("the name \(host) is not resolved in time"))
        }
        promise.futureResult.whenComplete { _ in limit.cancel() }
        // getaddrinfo blocks.
        NIOThreadPool.singleton.runIfActive(eventLoop: eventLoop) {
            try SocketAddress.makeAddressResolvingHost(host, port: Int(port))
        }.whenComplete { result in
            if case .success(let resolved) = result, let endpoint = Endpoint(resolved) {
                promise.succeed(endpoint)
            } else {
                promise.fail(DialFailure.resolve("the name \(host) does not resolve"))
            }
        }
        return promise.futureResult
    }
}
