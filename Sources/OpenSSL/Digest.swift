internal import COpenSSL

/// Message digests of libcrypto.
package enum Digest {
    /// SHA-1 (FIPS 180-4), 20 bytes: only for RFC 6455's accept key, which protects nothing.
    package static func sha1(_ bytes: some Collection<UInt8>) -> [UInt8] {
        self.digest(EVP_sha1(), Array(bytes))
    }

    /// SHA-256 (FIPS 180-4), 32 bytes.
    package static func sha256(_ bytes: some Collection<UInt8>) -> [UInt8] {
        self.digest(EVP_sha256(), Array(bytes))
    }

    private static func digest(_ algorithm: OpaquePointer?, _ bytes: [UInt8]) -> [UInt8] {
        var output = [UInt8](repeating: 0, count: Int(EVP_MAX_MD_SIZE))
        var length: UInt32 = 0
        let done = EVP_Digest(bytes, bytes.count, &output, &length, algorithm, nil)
        precondition(done == 1, "libcrypto has no digest of this kind")
        return Array(output.prefix(Int(length)))
    }
}
