internal import COpenSSL

/// Why a connection failed, in terms that can be explained to whoever runs it.
package enum TLSFailure: Error, Equatable, Sendable {
    /// The peer's certificate was refused here, inside the handshake: no application byte was sent.
    case certificate(VerificationFailure)
    /// A client presented no certificate, and has to.
    case noCertificate
    /// The server asked for a certificate of ours and accepts neither the one it got nor, if it got none, that. The alert
    /// that said so; nil when it closed without one.
    case ownCertificate(TLSAlert?)
    /// The other side gave up and said why.
    case peerAlert(TLSAlert)
    /// What arrived is no TLS: plain HTTP, most likely, or another protocol's greeting.
    case notTLS
    /// The other side speaks only versions below TLS 1.2.
    case protocolVersion
    /// The other side closed before the handshake was done.
    case closedDuringHandshake
    /// OpenSSL's own words.
    case other(String)
}

/// A certificate that was presented and refused.
package struct VerificationFailure: Error, Equatable, Sendable {
    package enum Reason: Equatable, Sendable {
        case expired
        case notYetValid
        /// The certificate is sound, and for other hosts: these DNS names and addresses.
        case wrongHost(names: [String])
        /// It is its own issuer and nobody here trusts it.
        case selfSigned
        /// No authority known here stands behind it.
        case unknownAuthority
        /// It is not the one certificate that would have been accepted.
        case fingerprintMismatch(presented: CertificateFingerprint)
        /// OpenSSL's own words.
        case other(String)
    }

    package let reason: Reason
    /// The certificate at fault: the peer's own, or an authority of its chain (an expired one, say).
    package let certificate: CertificateSummary
    /// Of the peer's own certificate, whichever was at fault: what `--fingerprint` would take.
    package let presented: CertificateFingerprint

    package var subject: String { self.certificate.subject }
    package var issuer: String { self.certificate.issuer }
}

extension TLSFailure: CustomStringConvertible {
    package var description: String {
        switch self {
        case .certificate(let failure): failure.description
        case .noCertificate: "the other side presented no certificate"
        case .ownCertificate(let alert?): "the other side asked for a certificate and refused: \(alert)"
        case .ownCertificate(nil): "the other side asked for a certificate and closed the connection"
        case .peerAlert(let alert): "the other side refused: \(alert)"
        case .notTLS: "the other side does not speak TLS"
        case .protocolVersion: "the other side speaks only versions of TLS below 1.2"
        case .closedDuringHandshake: "the other side closed during the TLS handshake"
        case .other(let reason): "TLS failed: \(reason)"
        }
    }
}

extension VerificationFailure: CustomStringConvertible {
    package var description: String {
        switch self.reason {
        case .expired: "the certificate of \(self.subject) expired on \(self.certificate.validUntil)"
        case .notYetValid: "the certificate of \(self.subject) is not valid before \(self.certificate.validFrom)"
        case .wrongHost(let names) where names.isEmpty: "the certificate of \(self.subject) names no host"
        case .wrongHost(let names): "the certificate is for \(names.joined(separator: ", "))"
        case .selfSigned: "the certificate of \(self.subject) is self-signed"
        case .unknownAuthority: "the certificate of \(self.subject) is signed by an unknown authority: \(self.issuer)"
        case .fingerprintMismatch(let presented): "the certificate has the fingerprint \(presented)"
        case .other(let reason): "the certificate of \(self.subject) was refused: \(reason)"
        }
    }
}

extension TLSFailure {
    /// The failure behind OpenSSL's error queue, which is empty afterwards.
    ///
    /// `established`: the handshake had succeeded, so what does not look like TLS now is damage, not another protocol.
    static func drained(established: Bool) -> TLSFailure {
        let error = OpenSSLError.drain()
        guard let cause = error.cause, cause.library == ERR_LIB_SSL else { return .other(error.description) }

        // An alert from the peer is raised as its code plus SSL_AD_REASON_OFFSET.
        if let alert = UInt8(exactly: cause.reason - SSL_AD_REASON_OFFSET) { return .peerAlert(TLSAlert(code: alert)) }

        switch cause.reason {
        case SSL_R_UNSUPPORTED_PROTOCOL, SSL_R_VERSION_TOO_LOW, SSL_R_WRONG_SSL_VERSION, SSL_R_BAD_LEGACY_VERSION:
            return .protocolVersion
        case SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE:
            return .noCertificate
        case SSL_R_HTTP_REQUEST, SSL_R_HTTPS_PROXY_REQUEST, SSL_R_WRONG_VERSION_NUMBER, SSL_R_UNKNOWN_PROTOCOL,
            SSL_R_PACKET_LENGTH_TOO_LONG, SSL_R_RECORD_LENGTH_MISMATCH, SSL_R_BAD_RECORD_TYPE:
            return established ? .other(cause.text) : .notTLS
        default:
            return .other(cause.text)
        }
    }
}
