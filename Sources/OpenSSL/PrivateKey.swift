internal import COpenSSL

/// A key pair, freed with its last owner.
final class PrivateKey {
    let pointer: OpaquePointer

    /// Takes ownership.
    init(_ pointer: OpaquePointer?) {
        guard let pointer else { preconditionFailure("libcrypto cannot make a key: \(OpenSSLError.drain())") }
        self.pointer = pointer
    }

    deinit {
        EVP_PKEY_free(self.pointer)
    }

    /// P-256: what every TLS client knows, and signs a handshake in a fraction of RSA's time.
    static func p256() -> PrivateKey {
        PrivateKey(shim_EVP_EC_gen("P-256"))
    }

    /// PKCS #8, unencrypted.
    var pem: String {
        PEM.text { PEM_write_bio_PrivateKey($0, self.pointer, nil, nil, 0, nil, nil) }
    }
}
