internal import COpenSSL

/// Whether two secrets are equal, without telling by the time it takes where they differ, or how long the right one is.
///
/// What is compared is the HMAC-SHA256 of each under a key that this process drew at random: always 32 bytes, and
/// nothing an attacker can steer. Only the number of 64-byte blocks hashed depends on the lengths.
package func constantTimeEqual(_ one: some Collection<UInt8>, _ other: some Collection<UInt8>) -> Bool {
    let one = HMAC.sha256(key: comparisonKey, message: one)
    let other = HMAC.sha256(key: comparisonKey, message: other)
    return CRYPTO_memcmp(one, other, one.count) == 0
}

/// 32 bytes: the output size of SHA-256, beyond which an HMAC key gains nothing (RFC 2104 §3).
private let comparisonKey = Randomness.bytes(32)
