internal import COpenSSL

/// Keyed message authentication of libcrypto (RFC 2104).
package enum HMAC {
    /// HMAC with SHA-256, 32 bytes. Keys of any length are allowed, the empty one included.
    package static func sha256(key: some Collection<UInt8>, message: some Collection<UInt8>) -> [UInt8] {
        let (key, message) = (Array(key), Array(message))
        var output = [UInt8](repeating: 0, count: Int(EVP_MAX_MD_SIZE))
        var length: UInt32 = 0
        let done = COpenSSL.HMAC(EVP_sha256(), key, Int32(key.count), message, message.count, &output, &length)
        precondition(done != nil, "libcrypto has no HMAC with SHA-256")
        return Array(output.prefix(Int(length)))
    }
}
