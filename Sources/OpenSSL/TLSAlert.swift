/// An alert as TLS sends it to say why it gives up.
package struct TLSAlert: Equatable, Sendable, CustomStringConvertible {
    /// RFC 8446 §6, and RFC 5246 §7.2 for those only TLS 1.2 knows.
    package let code: UInt8

    /// What this side offers is too new for the peer: it knows nothing above TLS 1.1.
    package static let protocolVersion = TLSAlert(code: 70)

    package init(code: UInt8) {
        self.code = code
    }

    package var description: String {
        Self.words[self.code] ?? "alert \(self.code)"
    }

    /// Whether it is what a server answers to a client's certificate, or to none.
    func concernsCertificate(isPresented: Bool) -> Bool {
        switch self.code {
        // bad_certificate to unknown_ca, access_denied, certificate_required.
        case 42...46, 48, 49, 116: true
        // handshake_failure: RFC 5246 §7.4.6 has TLS 1.2 say this where there is no certificate.
        case 40: !isPresented
        default: false
        }
    }

    /// RFC 8446 §6 and RFC 5246 §7.2, put so that an operator who knows no RFC can follow.
    private static let words: [UInt8: String] = [
        0: "closed normally",
        10: "unexpected message",
        20: "a record was damaged on the way",
        22: "record too long",
        40: "no common set of security parameters",
        42: "bad certificate",
        43: "unsupported kind of certificate",
        44: "certificate revoked",
        45: "certificate expired",
        46: "certificate not acceptable",
        47: "illegal parameter",
        48: "certificate signed by an unknown authority",
        49: "access denied",
        50: "message could not be decoded",
        51: "message could not be decrypted or its signature verified",
        70: "unsupported protocol version",
        71: "insufficient security",
        80: "internal error",
        86: "inappropriate fallback",
        90: "cancelled by the user",
        100: "no renegotiation",
        109: "missing extension",
        110: "unsupported extension",
        112: "unknown server name",
        113: "bad certificate status",
        115: "unknown pre-shared key",
        116: "a client certificate is required",
        120: "no common application protocol",
    ]
}
