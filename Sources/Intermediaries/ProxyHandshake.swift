package import struct NIOCore.ByteBuffer
package import WebSocketProtocol

/// What client and proxy say to each other before the proxy is but a way to the server.
///
///     start() ──▶ to the proxy;  receive() ──.send──▶ to the proxy,  ──.established──▶ the way stands
///
/// The server speaks only after the client has: what comes with the proxy's last word is not from the server, and is discarded.
package protocol ProxyHandshake: Sendable {
    /// Called once: the first bytes to be sent.
    mutating func start() -> ByteBuffer
    /// Takes bytes as they come, all of them. Not called again once the way stands; after a failure it fails again.
    mutating func receive(_ bytes: inout ByteBuffer) throws(ProxyRefusal) -> ProxyProgress
}

package enum ProxyProgress: Equatable, Sendable {
    case wantsMore
    case send(ByteBuffer)
    case established
}

/// Why a proxy leads nowhere.
package enum ProxyRefusal: Error, Equatable, Sendable {
    /// Not an answer in HTTP/1.
    case notHTTP(HeadError)
    case tooManyInterimResponses
    case status(ConnectRefusal)
    /// The first byte of an answer is not SOCKS 5.
    case notSOCKS
    /// SOCKS: none of the ways to log in that were offered (RFC 1928 §3, X'FF').
    case noAcceptableMethod
    /// SOCKS: user or password are wrong (RFC 1929 §2).
    case wrongCredentials
    /// SOCKS: the request failed (RFC 1928 §6).
    case reply(SOCKSReply)

    /// Half a sentence for a log line.
    package var sentence: String {
        switch self {
        case .notHTTP(let error): "its answer is not HTTP/1: \(error.sentence)"
        case .tooManyInterimResponses: "it put its answer off with too many 1xx responses"
        case .status(let refusal): "it answered \(refusal.status)\(refusal.reason.isEmpty ? "" : " \(refusal.reason)")"
        case .notSOCKS: "its answer is not SOCKS 5"
        case .noAcceptableMethod: "it accepts no way to log in that was offered"
        case .wrongCredentials: "it refused the user name or the password"
        case .reply(let reply): reply.sentence
        }
    }
}
