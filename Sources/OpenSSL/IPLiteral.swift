internal import COpenSSL

/// Addresses as they stand in certificates: 4 or 16 bytes.
enum IPLiteral {
    /// The bytes of "192.0.2.1" or "2001:db8::1"; nil for everything else, host names included.
    static func bytes(_ text: String) -> [UInt8]? {
        ERR_clear_error()
        guard !text.utf8.contains(0), let string = a2i_IPADDRESS(text) else {
            ERR_clear_error()
            return nil
        }
        defer { ASN1_OCTET_STRING_free(string) }
        guard let start = ASN1_STRING_get0_data(string) else { return nil }
        return Array(UnsafeBufferPointer(start: start, count: Int(ASN1_STRING_length(string))))
    }

    /// The usual way to write an address; nil unless there are 4 or 16 bytes.
    static func text(_ bytes: [UInt8]) -> String? {
        // 46: INET6_ADDRSTRLEN.
        withUnsafeTemporaryAllocation(of: CChar.self, capacity: 46) { text in
            guard let start = text.baseAddress, shim_address_text(bytes, Int32(bytes.count), start) == 1 else {
                return nil
            }
            return String(cString: start)
        }
    }
}
