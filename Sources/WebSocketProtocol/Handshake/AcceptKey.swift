internal import OpenSSL

/// The question and answer by which both ends know that the other speaks WebSocket (RFC 6455 §4.1 and §4.2.2).
///
///     Sec-WebSocket-Key:    base64(nonce of 16 bytes)
///     Sec-WebSocket-Accept: base64(SHA-1(key as written ++ GUID))
///
/// It keeps caches and other protocols from answering by accident. It authenticates nobody.
package enum AcceptKey {
    /// RFC 6455 §4.1: a nonce has 16 bytes, chosen at random for each connection.
    package static let nonceLength = 16

    /// RFC 6455 §1.3.
    private static let guid = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"

    /// The Sec-WebSocket-Key of a nonce.
    package static func key(nonce: [UInt8]) -> String {
        precondition(nonce.count == self.nonceLength, "a nonce of \(nonce.count) bytes")
        return Base64.encode(nonce)
    }

    /// True for a key that decodes to 16 bytes (RFC 6455 §4.2.1, item 5).
    package static func isValid(key: String) -> Bool {
        Base64.decode(key)?.count == self.nonceLength
    }

    /// The Sec-WebSocket-Accept that answers a key.
    package static func accept(key: String) -> String {
        Base64.encode(Digest.sha1((key + self.guid).utf8))
    }
}
