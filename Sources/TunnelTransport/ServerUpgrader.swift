package import NIOCore
package import WebSocketProtocol

/// What the server's role decides about a connection until it is a tunnel connection. All calls come on its event loop.
package protocol UpgradeDelegate: AnyObject {
    /// A whole request head; the first bytes of the connection that mean anything.
    func upgrader(_ upgrader: ServerUpgrader, received request: RequestHead) -> UpgradeDecision
    /// The 101 is on its way: take the transport over with a `TunnelConnection`.
    func upgraderAccepted(_ upgrader: ServerUpgrader)
    /// A request head is longer than a client's; these are its bytes so far.
    ///
    /// - Returns: Whether somebody else takes it, who hears of it with `upgrader(_:passesOn:)`; `nil` to be asked again when more of it
    ///   has come.
    func upgrader(_ upgrader: ServerUpgrader, passesOnLongHead bytes: ByteBuffer) -> Bool?
    /// The request was passed on: take the transport over.
    ///
    /// - Parameter bytes: All that has come so far, the request's head among it; nobody else holds them.
    func upgrader(_ upgrader: ServerUpgrader, passesOn bytes: ByteBuffer)
    /// The connection never became a tunnel connection. The last call.
    func upgrader(_ upgrader: ServerUpgrader, failed failure: UpgradeFailure)
}

package enum UpgradeDecision: Sendable {
    /// - Parameter compression: permessage-deflate as the server would have it; `nil` declines it.
    case accept(WebSocketUpgrade, subprotocol: String, compression: PermessageDeflate?)
    /// Answer with this and close; the reason is for the log.
    case refuse(Response, reason: String)
    /// Answer with this and close: the request was none for a tunnel connection, and there is nothing wrong with it.
    case answer(Response)
    /// The request is for somebody else, who gets it as it came.
    case passOn
}

package enum UpgradeFailure: Error, Sendable {
    case transport(TransportEnd)
    case malformed(HeadError)
    case refused(reason: String)
    case answered
}

/// A server's connection before it is a WebSocket: TLS, the request, the answer. All of it has to happen within
/// `TransportLimits.greeting`.
package final class ServerUpgrader: TransportUser {
    package let eventLoop: any EventLoop
    /// The connection; also while the delegate hears of its end.
    package private(set) var transport: TransportHandler?
    /// permessage-deflate as it was agreed on, once the 101 is on its way.
    package private(set) var compression: PermessageDeflate?
    /// Whether any byte of a request has come.
    package private(set) var hasReceived = false
    private var handshake = ServerHandshake()
    /// All that has come: at most a head's limit, and one read; of a long head as much as the delegate asks for.
    private var received = ByteBuffer()
    /// The head is longer than a client's, and the delegate has not decided yet.
    private var longHead: HeadError?
    private var delegate: (any UpgradeDelegate)?
    private var failure: UpgradeFailure?

    package init(eventLoop: any EventLoop, delegate: any UpgradeDelegate) {
        self.eventLoop = eventLoop
        self.delegate = delegate
    }

    /// Called once, before any byte arrives.
    package func take(_ transport: TransportHandler) {
        self.transport = transport
    }

    package func transportIsReady() {}

    package func transport(received bytes: inout ByteBuffer) {
        self.hasReceived = true
        guard self.failure == nil, let transport = self.transport, let delegate = self.delegate else { return }
        self.received.writeImmutableBuffer(bytes)
        if let error = self.longHead { return self.judge(error, delegate) }
        let request: RequestHead
        do {
            guard let head = try self.handshake.receive(&bytes) else { return }
            request = head
        } catch {
            return self.judge(error, delegate)
        }
        switch delegate.upgrader(self, received: request) {
        case .refuse(let response, let reason):
            self.answer(response, to: request, because: .refused(reason: reason))
        case .answer(let response):
            self.answer(response, to: request, because: .answered)
        case .passOn: self.passOn(delegate)
        case .accept(let upgrade, let subprotocol, let compression):
            var answer = ByteBuffer()
            do {
                self.compression = try upgrade.encodeAcceptance(
                    subprotocol: subprotocol, compression: compression, into: &answer)
            } catch {
                preconditionFailure("nothing in our 101 comes from outside: \(error.sentence)")
            }
            transport.write(answer)
            transport.flush()
            self.delegate = nil
            delegate.upgraderAccepted(self)
            self.transport = nil
            // An impatient client's first frames may have come with its request.
            if bytes.readableBytes > 0 { transport.passOn(&bytes) }
        }
    }

    private func judge(_ error: HeadError, _ delegate: any UpgradeDelegate) {
        guard error.status == 431 else { return self.answer(Response(error), to: nil, because: .malformed(error)) }
        switch delegate.upgrader(self, passesOnLongHead: self.received) {
        case true?: self.passOn(delegate)
        case false?: self.answer(Response(error), to: nil, because: .malformed(error))
        case nil: self.longHead = error
        }
    }

    private func passOn(_ delegate: any UpgradeDelegate) {
        self.delegate = nil
        delegate.upgrader(self, passesOn: self.received)
        self.transport = nil
    }

    package func transportReadComplete() {}

    package func transportIsWritable() {}

    package func transportEnded(_ end: TransportEnd) {
        let delegate = self.delegate
        self.delegate = nil
        delegate?.upgrader(self, failed: self.failure ?? .transport(end))
        self.transport = nil
    }

    private func answer(_ response: Response, to request: RequestHead?, because failure: UpgradeFailure) {
        self.failure = failure
        var bytes = ByteBuffer()
        do {
            // RFC 9110 §9.3.2.
            try response.encode(withBody: request?.method != "HEAD", into: &bytes)
        } catch {
            preconditionFailure("nothing in our answers comes from outside: \(error.sentence)")
        }
        self.transport?.write(bytes)
        self.transport?.close()
    }
}
