/// Every bound of this room. A peer that reaches one is answered and closed; it never costs more than the figure here.
package struct WebSocketLimits: Equatable, Sendable {
    // MARK: Specification: changing one changes the wire

    /// RFC 6455 §5.5: a control frame's payload, in bytes.
    package static let controlPayload = 125
    /// RFC 6455 §5.2: 2 bytes, 8 of extended length, 4 of masking key.
    package static let frameHeader = 14
    /// RFC 6455 §5.5.1: a Close frame's reason, in bytes: a control payload less its code.
    package static let closeReason = controlPayload - 2

    // MARK: Implementation

    /// One line of an HTTP head, in bytes without its CRLF. 8 KiB: what RFC 9112 §3 asks everyone to accept for a
    /// request line, and what nginx, Apache and HAProxy allow before us.
    package var line = 8 << 10
    /// A whole HTTP head, in bytes with its CRLFs. 16 KiB: a line of the longest kind, and as much again for the fields
    /// that load balancers add.
    package var head = 16 << 10
    /// Fields in one HTTP head. 100: Apache's figure; a browser behind three proxies sends about 40.
    package var fields = 100
    /// Heads with status 1xx a client reads past before the final one. 8: a server has use for one or two.
    package var interimResponses = 8
    /// The payload of one frame, in bytes. 16 MiB: payload is delivered in parts, so the figure bounds nothing in
    /// memory; it refuses the frame whose length was never meant.
    package var framePayload = 16 << 20
    /// All the payload of one message, in bytes; nil for no bound, as its parts are never collected here.
    package var message: Int?
    /// Frames without payload in a row inside one message. 64: they carry nothing, and nobody sends more than a few.
    package var emptyFragments = 64
    /// What one compressed message may inflate to, in bytes. 16 MiB: as much as one frame may carry; DEFLATE makes up to
    /// 1,032 bytes of one.
    package var inflatedMessage = 16 << 20
    /// What is inflated at once, in bytes. 64 KiB: twice DEFLATE's window, and little enough for a cache.
    package var inflatedPiece = 64 << 10

    package init() {}

    /// For the heads of answers: of one peer that was chosen, and worth reading when it refuses. What gateways and sign-on pages say in one
    /// field (a security policy, an address to go to) is often longer than 8 KiB; 64 KiB is what browsers take at least.
    package static var answers: WebSocketLimits {
        var limits = WebSocketLimits()
        limits.line = 64 << 10
        limits.head = 128 << 10
        return limits
    }
}
