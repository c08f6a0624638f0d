internal import Intermediaries
package import NIOCore
internal import class NIOPosix.ClientBootstrap
internal import OpenSSL

/// A connection between two event loops: its socket, and what is known of it.
///
///     TransportHandler ──release()──▶ ReleasedTransport ──goOn(on:)──▶ TransportHandler, on the other loop
///
/// Nobody keeps any of it where it was, so TLS still has one owner at a time.
package struct ReleasedTransport: @unchecked Sendable {
    let descriptor: CInt
    let tls: TLSConnection?
    let forwarded: ForwardedAddresses?
    let remoteAddress: SocketAddress?

    /// Goes on with the connection on another event loop. Called once.
    ///
    /// - Parameters:
    ///   - begin: Called there to hand the connection to its next user, before it is heard of.
    ///   - arrived: Called there, when bytes may be written and before any is received; with a failure when the connection broke on the
    ///     way. Its next user, if it has one by then, has been told that it ended.
    package func goOn(
        on eventLoop: any EventLoop, begin: @escaping @Sendable (TransportHandler, any EventLoop) throws -> Void,
        arrived: @escaping @Sendable (Result<Void, any Error>) -> Void
    ) {
        // From there, as whoever asks from another loop is told some time later: after bytes have been received.
        eventLoop.execute {
            // The channel owns the descriptor, and closes it whatever goes wrong.
            ClientBootstrap(group: eventLoop)
                .tunnelConnectionOptions()
                .channelInitializer { channel in
                    channel.eventLoop.makeCompletedFuture {
                        let transport = TransportHandler(continuing: self)
                        try channel.pipeline.syncOperations.addHandler(transport)
                        try begin(transport, channel.eventLoop)
                    }
                }
                .withConnectedSocket(self.descriptor)
                .whenComplete { arrived($0.map { _ in }) }
        }
    }
}
