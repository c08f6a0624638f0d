import Testing

@testable import OpenSSL

@Test func `SHA-1 and SHA-256 of "abc" are those of FIPS 180-4`() {
    #expect(hex(Digest.sha1("abc".utf8)) == "a9993e364706816aba3e25717850c26c9cd0d89d")
    #expect(
        hex(Digest.sha256("abc".utf8)) == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad")
}

@Test func `SHA-256 of nothing is known`() {
    #expect(hex(Digest.sha256([])) == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855")
}

/// RFC 4231 §4.2 to §4.7: key, message, HMAC-SHA-256.
private let hmacVectors: [(key: [UInt8], message: [UInt8], code: String)] = [
    (
        [UInt8](repeating: 0x0b, count: 20), Array("Hi There".utf8),
        "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"
    ),
    (
        Array("Jefe".utf8), Array("what do ya want for nothing?".utf8),
        "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
    ),
    (
        [UInt8](repeating: 0xaa, count: 20), [UInt8](repeating: 0xdd, count: 50),
        "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe"
    ),
    (  // A key longer than a block.
        [UInt8](repeating: 0xaa, count: 131), Array("Test Using Larger Than Block-Size Key - Hash Key First".utf8),
        "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54"
    ),
    (  // Not in the RFC: an empty key and an empty message.
        [], [],
        "b613679a0814d9ec772f95d778c35fc5ff1697c493715653c6c712144292c5ad"
    ),
]

@Test(arguments: hmacVectors.indices)
func `HMAC-SHA-256 gives the codes of RFC 4231`(index: Int) {
    let vector = hmacVectors[index]
    #expect(hex(HMAC.sha256(key: vector.key, message: vector.message)) == vector.code)
}

@Test func `keys are equal exactly when every byte and the length are`() {
    #expect(constantTimeEqual("secret".utf8, "secret".utf8))
    #expect(constantTimeEqual([], []))
    #expect(!constantTimeEqual("secret".utf8, "secreT".utf8))
    #expect(!constantTimeEqual("secret".utf8, "secre".utf8))
    #expect(!constantTimeEqual("secret".utf8, "secret\0".utf8))
    #expect(!constantTimeEqual("secret".utf8, []))
}

@Test func `random bytes are of the length asked for and differ each time`() {
    #expect(Randomness.bytes(0).isEmpty)
    let (one, other) = (Randomness.bytes(32), Randomness.bytes(32))
    #expect(one.count == 32)
    #expect(one != other)
}

@Test func `masking keys do not repeat within a pool or across a refill`() {
    var keys = MaskingKeys()
    var seen: Set<UInt32> = []
    for _ in 0..<3_000 { seen.insert(keys.next()) }
    // 3,000 draws of 2^32 collide once in about 950 runs; three collisions do not happen.
    #expect(seen.count > 2_997)
}

func hex(_ bytes: [UInt8]) -> String {
    bytes.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
}
