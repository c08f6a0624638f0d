import Testing
import WebSocketProtocol

@Suite struct AcceptKeyTests {
    @Test func `the answer to RFC 6455's sample key is the RFC's`() {
        #expect(AcceptKey.accept(key: "dGhlIHNhbXBsZSBub25jZQ==") == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=")
    }

    @Test func `the key of RFC 6455's sample nonce is the RFC's`() {
        #expect(AcceptKey.key(nonce: Array("the sample nonce".utf8)) == "dGhlIHNhbXBsZSBub25jZQ==")
    }

    @Test(arguments: [
        "", "AAAA", "dGhlIHNhbXBsZSBub25jZQ", "dGhlIHNhbXBsZSBub25jZQ=", "dGhlIHNhbXBsZSBub25jZQ== ",
        "dGhlIHNhbXBsZSBub25jZR==", "dGhlIHNhbXBsZSBub25jZTE=", "dGhlIHNhbXBsZSBub25j\r\nQ==", "====================",
    ])
    func `a key that is not 16 bytes in base64 is invalid`(key: String) {
        #expect(!AcceptKey.isValid(key: key))
    }

    @Test(arguments: [
        ("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foob", "Zm9vYg=="), ("fooba", "Zm9vYmE="),
        ("foobar", "Zm9vYmFy"),
    ])
    func `base64 has the test vectors of RFC 4648`(plain: String, encoded: String) {
        #expect(Base64.encode(Array(plain.utf8)) == encoded)
        #expect(Base64.decode(encoded) == Array(plain.utf8))
    }

    @Test(arguments: ["Z", "Zg", "Zg=", "Zg===", "Zh==", "Zm9=", "Z=g=", "=Zg=", "Zg==Zg==", "Zm9v\n", "Zm-v", "Zmé="])
    func `base64 that no encoder writes is refused`(text: String) {
        #expect(Base64.decode(text) == nil)
    }

    @Test(arguments: 0..<100 as Range<UInt64>)
    func `base64 gives back what it was given`(seed: UInt64) {
        var random = SplitMix64(seed: seed)
        let bytes = random.bytes(Int(seed))
        #expect(Base64.decode(Base64.encode(bytes)) == bytes)
    }
}
