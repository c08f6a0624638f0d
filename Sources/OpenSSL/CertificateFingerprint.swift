internal import COpenSSL

/// The SHA-256 of a certificate's DER encoding: names exactly one certificate, whoever signed it.
///
///     sha256:8f14e45fceea167a5a36dedd4bea2543…
package struct CertificateFingerprint: Hashable, Sendable {
    /// 32 bytes.
    package let bytes: [UInt8]

    private init(bytes: [UInt8]) {
        self.bytes = bytes
    }

    init(certificate: OpaquePointer) {
        var digest = [UInt8](repeating: 0, count: Int(EVP_MAX_MD_SIZE))
        var length: UInt32 = 0
        let done = X509_digest(certificate, EVP_sha256(), &digest, &length)
        precondition(done == 1, "libcrypto has no SHA-256")
        self.init(bytes: Array(digest.prefix(Int(length))))
    }

    /// Of the first certificate in a PEM text.
    package init(pem: String) throws(TLSConfigurationError) {
        let source = PEM(text: pem, name: "the certificate PEM")
        self = try source.withFirstCertificate { CertificateFingerprint(certificate: $0) }
    }

    /// Of the first certificate in a PEM file.
    package init(pemFile path: String) throws(TLSConfigurationError) {
        let source = try PEM(file: path)
        self = try source.withFirstCertificate { CertificateFingerprint(certificate: $0) }
    }
}

extension CertificateFingerprint: LosslessStringConvertible {
    package var description: String {
        let digits = Array("0123456789abcdef".utf8)
        var text = Array("sha256:".utf8)
        for byte in self.bytes {
            text.append(digits[Int(byte >> 4)])
            text.append(digits[Int(byte & 15)])
        }
        return String(decoding: text, as: UTF8.self)
    }

    /// Reads `sha256:` and 64 hexadecimal digits, in either case, with a colon between all bytes or none.
    package init?(_ description: String) {
        guard description.lowercased().hasPrefix("sha256:") else { return nil }
        let digits = Array(description.utf8.dropFirst(7))
        let stride: Int
        switch digits.count {
        case 64: stride = 2
        case 95: stride = 3
        default: return nil
        }

        var bytes: [UInt8] = []
        for index in 0..<32 {
            let start = index * stride
            guard let high = Self.value(of: digits[start]), let low = Self.value(of: digits[start + 1]) else {
                return nil
            }
            bytes.append(high << 4 | low)
            let colon = start + 2
            guard stride == 2 || index == 31 || digits[colon] == UInt8(ascii: ":") else { return nil }
        }
        self.init(bytes: bytes)
    }

    private static func value(of digit: UInt8) -> UInt8? {
        switch digit {
        case UInt8(ascii: "0")...UInt8(ascii: "9"): digit - UInt8(ascii: "0")
        case UInt8(ascii: "a")...UInt8(ascii: "f"): digit - UInt8(ascii: "a") + 10
        case UInt8(ascii: "A")...UInt8(ascii: "F"): digit - UInt8(ascii: "A") + 10
        default: nil
        }
    }
}
