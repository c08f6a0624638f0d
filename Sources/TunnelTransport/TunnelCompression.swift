internal import TunnelProtocol
package import WebSocketProtocol

extension PermessageDeflate {
    /// As tunnels use it, where both ends ask for it.
    ///
    /// Whoever can put bytes of his own into a compressed message learns from its length whether they repeat what else is
    /// in it. So each message stands by itself: it is one frame of one stream, and refers to no other.
    package static let tunnel = PermessageDeflate(
        server: Sender(noContextTakeover: true), client: Sender(noContextTakeover: true))

    /// Whether `role` compresses with the one `Deflater` that all connections of a loop share: a whole window, and nothing
    /// kept from one message to the next. Another agreement is kept by sending everything as it is.
    func lets(_ role: WebSocketConnection.Role) -> Bool {
        self.sender(role) == Self.tunnel.sender(role)
    }
}

extension WebSocketLimits {
    /// A frame of the largest kind, with the longest header it can have (a type and a stream).
    static let tunnel: WebSocketLimits = {
        var limits = WebSocketLimits()
        limits.inflatedMessage = Limits.Specification.dataFrameBytes + 9
        return limits
    }()
}
