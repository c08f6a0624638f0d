import Testing
import WebSocketProtocol

@Suite struct UTF8ValidatorTests {
    @Test(arguments: [
        "", "00", "7f", "c2 80", "df bf", "e0 a0 80", "e0 bf bf", "e1 80 80", "ec bf bf", "ed 80 80", "ed 9f bf",
        "ee 80 80", "ef bf bf", "f0 90 80 80", "f1 80 80 80", "f3 bf bf bf", "f4 80 80 80", "f4 8f bf bf",
        "ce ba e1 bd b9 cf 83 ce bc ce b5", "ef bb bf 61",
    ])
    func `valid text is valid wherever it is cut`(text: String) {
        for pieces in everySplit(hex(text)) {
            var validator = UTF8Validator()
            for piece in pieces { #expect(validator.append(piece) == true) }
            #expect(validator.isComplete)
        }
    }

    /// The last byte of each is the one that cannot be there.
    @Test(arguments: [
        "80", "bf",  // A continuation byte with nothing to continue.
        "c0", "c1",  // Overlong forms of ASCII.
        "f5", "ff", "fe",  // Beyond U+10FFFF, and never used.
        "e0 80", "e0 9f",  // Overlong, three bytes.
        "f0 80", "f0 8f",  // Overlong, four bytes.
        "ed a0", "ed bf",  // Surrogates.
        "f4 90", "f4 bf",  // Beyond U+10FFFF.
        "c2 41", "c2 c2", "e1 80 41", "e1 c0", "f1 80 80 41", "f1 80 7f", "ed 9f 7f",  // Broken off.
        "e0 a0 80 80", "f4 8f bf bf bf",  // One continuation byte too many.
    ])
    func `invalid text is noticed at its first impossible byte`(text: String) {
        let bytes = hex(text)
        var validator = UTF8Validator()
        #expect(validator.append(bytes.dropLast()) == true)
        #expect(validator.append(bytes.suffix(1)) == false)
        #expect(validator.append([]) == false, "it stays invalid")
        #expect(!validator.isComplete)
    }

    @Test(arguments: ["c2", "e1", "e1 80", "e0 a0", "f1", "f1 80", "f1 80 80", "61 c2"])
    func `text does not end inside a character`(text: String) {
        var validator = UTF8Validator()
        #expect(validator.append(hex(text)) == true)
        #expect(!validator.isComplete)
    }

    @Test func `every character of Unicode is valid`() {
        var validator = UTF8Validator()
        for value in 0...0x10FFFF as ClosedRange<UInt32> {
            guard let scalar = Unicode.Scalar(value) else { continue }
            guard validator.append(Character(scalar).utf8), validator.isComplete else {
                Issue.record("U+\(String(value, radix: 16))")
                return
            }
        }
    }

    @Test(arguments: 0..<5000 as Range<UInt64>)
    func `it agrees with the standard library about random bytes`(seed: UInt64) {
        var random = SplitMix64(seed: seed)
        // Mostly lead and continuation bytes: anything else is invalid too soon.
        let palette = hex("41 80 8f 90 9f a0 bf c2 df e0 e1 ed ef f0 f4")
        let bytes = (0..<Int.random(in: 1...6, using: &random)).map { _ in palette.randomElement(using: &random)! }
        var validator = UTF8Validator()
        let isValid = validator.append(bytes) && validator.isComplete
        #expect(isValid == (String(validating: bytes, as: UTF8.self) != nil), "seed \(seed): \(bytes)")
    }
}
