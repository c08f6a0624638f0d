internal import NIOCore
internal import OpenSSL
internal import WebSocketProtocol

/// A client's connection before it is a WebSocket: TLS, the request, the server's answer.
///
/// The request, and the key in it, is written only once TLS stands, the certificate verified.
final class ClientUpgrader: TransportUser {
    private var handshake: ClientHandshake
    private let promise: EventLoopPromise<Void>
    private let progress: (DialProgress) -> Void
    private let accepted: (TransportHandler, PermessageDeflate?) -> Void
    private var transport: TransportHandler?
    private var failure: DialFailure?
    private var isDone = false

    /// - Parameters:
    ///   - promise: Succeeds with the upgrade, fails with a `DialFailure`.
    ///   - progress: Told when TLS stands, and of the upgrade.
    ///   - accepted: Takes the transport over, with permessage-deflate as it was agreed on.
    init(
        handshake: ClientHandshake, promise: EventLoopPromise<Void>, progress: @escaping (DialProgress) -> Void,
        accepted: @escaping (TransportHandler, PermessageDeflate?) -> Void
    ) {
        self.handshake = handshake
        self.promise = promise
        self.progress = progress
        self.accepted = accepted
    }

    /// Called once, before any byte arrives.
    func take(_ transport: TransportHandler) {
        self.transport = transport
    }

    func transportIsReady() {
        guard let transport = self.transport else { return }
        if let tls = transport.security { self.progress(.secured(tls.negotiated, tls.peerCertificate)) }
        transport.write(self.handshake.request)
        transport.flush()
    }

    func transport(received bytes: inout ByteBuffer) {
        guard !self.isDone, self.failure == nil, let transport = self.transport else { return }
        let compression: PermessageDeflate?
        do {
            guard let answer = try self.handshake.receive(&bytes) else { return }
            compression = answer.compression
        } catch {
            self.failure = .handshake(error)
            transport.abort()
            return
        }
        self.isDone = true
        self.transport = nil
        self.progress(.upgraded)
        self.accepted(transport, compression)
        self.promise.succeed(())
        if bytes.readableBytes > 0 { transport.passOn(&bytes) }
    }

    func transportReadComplete() {}

    func transportIsWritable() {}

    func transportEnded(_ end: TransportEnd) {
        var end = end
        switch end {
        case .endOfFile, .failed:
            // Not every server says that it wanted another certificate, or one at all.
            if self.transport?.security?.isAskedForCertificate == true { end = .tls(.ownCertificate(nil)) }
        case .tls, .proxy, .deadline, .closedHere: break
        }
        self.transport = nil
        guard !self.isDone else { return }
        self.isDone = true
        self.promise.fail(self.failure ?? .transport(end))
    }
}
