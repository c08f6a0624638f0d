internal import COpenSSL

/// What a certificate says, in words for a log line or a message.
///
/// A peer can put anything into its certificate. All text here is printable ASCII, whatever was in there, and is
/// bounded by OpenSSL's limit of 100 KB for a certificate chain.
package struct CertificateSummary: Equatable, Sendable {
    /// On one line, as RFC 2253 writes it: "CN=tunnel.example.com,O=Example".
    package let subject: String
    package let issuer: String
    /// The DNS names and addresses it is for; the common name when it lists no DNS name (RFC 6125 §6.4.4).
    package let names: [String]
    package let fingerprint: CertificateFingerprint
    /// "2026-11-21T02:15:53Z", or "an unreadable date".
    package let validFrom: String
    package let validUntil: String

    init(certificate: OpaquePointer) {
        self.subject = PEM.text { shim_X509_NAME_print_rfc2253($0, X509_get_subject_name(certificate)) }
        self.issuer = PEM.text { shim_X509_NAME_print_rfc2253($0, X509_get_issuer_name(certificate)) }
        self.names = Self.names(of: certificate)
        self.fingerprint = CertificateFingerprint(certificate: certificate)
        self.validFrom = Self.text(X509_get0_notBefore(certificate))
        self.validUntil = Self.text(X509_get0_notAfter(certificate))
    }

    private static func names(of certificate: OpaquePointer) -> [String] {
        var names: [String] = []
        var listsHosts = false
        if let extensions = X509_get_ext_d2i(certificate, NID_subject_alt_name, nil, nil) {
            let alternatives = OpaquePointer(extensions)
            defer { GENERAL_NAMES_free(alternatives) }
            for index in 0..<shim_sk_GENERAL_NAME_num(alternatives) {
                var kind: Int32 = 0
                let value = GENERAL_NAME_get0_value(shim_sk_GENERAL_NAME_value(alternatives, index), &kind)
                guard let value else { continue }
                let bytes = Self.bytes(of: value.assumingMemoryBound(to: ASN1_STRING.self), kind: kind)
                switch kind {
                case GEN_DNS:
                    listsHosts = true
                    names.append(Self.printable(bytes))
                case GEN_IPADD:
                    names.append(IPLiteral.text(bytes) ?? "a malformed address")
                default:
                    break
                }
            }
        }
        if !listsHosts, let common = Self.commonName(of: certificate), !names.contains(common) { names.append(common) }
        return names
    }

    private static func commonName(of certificate: OpaquePointer) -> String? {
        let subject = X509_get_subject_name(certificate)
        let index = X509_NAME_get_index_by_NID(subject, NID_commonName, -1)
        guard index >= 0, let value = X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, index)) else { return nil }
        return Self.printable(Self.bytes(of: value, kind: GEN_DNS))
    }

    /// Only these kinds are strings; another kind's value has another shape.
    private static func bytes(of string: UnsafePointer<ASN1_STRING>, kind: Int32) -> [UInt8] {
        guard kind == GEN_DNS || kind == GEN_IPADD, let start = ASN1_STRING_get0_data(string) else { return [] }
        return Array(UnsafeBufferPointer(start: start, count: Int(ASN1_STRING_length(string))))
    }

    /// Bytes outside printable ASCII become "?": an escape sequence must not reach a terminal.
    private static func printable(_ bytes: [UInt8]) -> String {
        String(decoding: bytes.map { (0x20...0x7e).contains($0) ? $0 : UInt8(ascii: "?") }, as: UTF8.self)
    }

    private static func text(_ time: UnsafePointer<ASN1_TIME>?) -> String {
        withUnsafeTemporaryAllocation(of: CChar.self, capacity: 32) { text in
            guard let start = text.baseAddress, shim_ASN1_TIME_text(time, start) == 1 else {
                return "an unreadable date"
            }
            return String(cString: start)
        }
    }
}
