package import struct NIOCore.ByteBuffer

/// The server's half of the opening handshake (RFC 6455 §4.2).
///
///     bytes ──▶ RequestHead ──WebSocketUpgrade(_:)──▶ encodeAcceptance: 101, then WebSocketConnection
///                                    │
///                                    └─UpgradeRefusal──▶ Response: 4xx, then the end
///
/// The head comes out first and by itself, so that a front door can send other requests elsewhere and refuse a wrong
/// key before anything is upgraded. A `HeadError` is answered with `Response(error)`.
package struct ServerHandshake: Sendable {
    private var parser: HeadParser<RequestHead>

    package init(limits: WebSocketLimits = WebSocketLimits()) {
        self.parser = HeadParser(limits: limits)
    }

    /// Takes bytes as they come. Returns nil, all bytes taken, until the head is whole. What remains in `bytes` then
    /// are frames that the client may not have sent before our 101 (RFC 6455 §4.1), or a body.
    package mutating func receive(_ bytes: inout ByteBuffer) throws(HeadError) -> RequestHead? {
        try self.parser.receive(&bytes)
    }
}
