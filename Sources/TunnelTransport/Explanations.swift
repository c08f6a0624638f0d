package import Intermediaries
package import NIOCore
internal import OpenSSL
package import TunnelProtocol

extension TransportEnd {
    /// Half a sentence for a log line.
    package var explanation: String {
        switch self {
        case .endOfFile: "the peer closed the connection"
        case .failed(let reason): reason
        case .tls(let failure): "\(failure)"
        case .proxy(let end): end.explanation
        case .deadline(let what): what
        case .closedHere: "closed"
        }
    }
}

extension ProxyEnd {
    /// Half a sentence for a log line.
    package var explanation: String {
        switch self {
        case .unreachable(let reason), .failed(let reason): reason
        case .refused(let refusal): refusal.sentence
        case .tls(let failure): "\(failure)"
        case .closed: "the proxy closed the connection"
        }
    }
}

extension ConnectionEnd {
    /// Half a sentence for a log line.
    package var explanation: String {
        switch self {
        case .transport(let end): end.explanation
        case .closedByPeer(let code, let reason):
            reason.isEmpty ? "the peer closed the WebSocket (code \(code.map { "\($0)" } ?? "none"))" : reason.printable
        case .violation(let rule), .malformed(let rule): "the peer broke the protocol: \(rule)"
        case .silence(let duration): "nothing was heard for \(duration.wholeMilliseconds / 1_000) s"
        case .closedHere: "closed"
        }
    }

    /// Whether the session may go on with another connection: not once its peer has taken leave, or has broken a rule of the
    /// tunnel's; those of the WebSocket may have been broken in between.
    package var leavesSession: Bool {
        switch self {
        case .transport, .silence, .malformed, .closedHere: true
        case .closedByPeer(let code, _): code.map { $0 != .normalClosure && !(4_400..<4_500).contains($0.rawValue) } ?? true
        case .violation: false
        }
    }

    /// Whether somebody did what they must not do.
    package var isFault: Bool {
        switch self {
        case .violation, .malformed, .transport(.tls): true
        case .transport, .closedByPeer, .silence, .closedHere: false
        }
    }
}

extension TransportHandler {
    /// Where the connection comes from: the socket's other end, unless a trusted proxy says better. `nil` while nobody knows.
    package var origin: ForwardedNode? {
        self.forwarded?.origin ?? self.remoteAddress.flatMap(Endpoint.init).map { ForwardedNode($0) }
    }

    /// Where the connection comes from, for logs.
    package var remote: String {
        self.forwarded?.origin.description ?? self.remoteAddress.map(describe(address:)) ?? "an unknown address"
    }
}

/// `203.0.113.9:41234`
package func describe(address: SocketAddress) -> String {
    Endpoint(address)?.description ?? "\(address)"
}

extension Opaque16 {
    /// From libcrypto's generator.
    package static func random() -> Opaque16 {
        Randomness.bytes(16).withUnsafeBytes { bytes in
            Opaque16(
                high: bytes.loadUnaligned(fromByteOffset: 0, as: UInt64.self),
                low: bytes.loadUnaligned(fromByteOffset: 8, as: UInt64.self))
        }
    }
}

extension String {
    /// Without control characters: the text comes from a peer and goes to a terminal.
    package var printable: String {
        String(
            String.UnicodeScalarView(
                self.unicodeScalars.map { $0.value < 0x20 || (0x7F...0x9F).contains($0.value) ? "\u{FFFD}" : $0 }))
    }
}

/// The version of both programs.
public let programVersion = "0.1.0"

/// Names of the files in the state folder.
package enum StateFiles {
    package static let serverCertificate = "server-cert.pem"
    package static let serverKey = "server-key.pem"
}
