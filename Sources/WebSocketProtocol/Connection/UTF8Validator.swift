/// Checks UTF-8 that arrives in parts, wherever it was cut, and notices the first byte that no valid text could have
/// there (RFC 3629 §4; the walk is that of the WHATWG Encoding Standard, §8.1.1).
///
/// Overlong forms, surrogates and what lies beyond U+10FFFF all betray themselves in a sequence's second byte, so its
/// allowed range is all there is to remember besides the count.
package struct UTF8Validator: Equatable, Sendable {
    private var missing = 0
    private var lower: UInt8 = 0x80
    private var upper: UInt8 = 0xBF
    private var hasFailed = false

    package init() {}

    /// True when the text may end here.
    package var isComplete: Bool { self.missing == 0 && !self.hasFailed }

    /// False once the text is invalid, and from then on.
    package mutating func append(_ bytes: some Sequence<UInt8>) -> Bool {
        guard !self.hasFailed else { return false }
        for byte in bytes {
            guard self.accepts(byte) else {
                self.hasFailed = true
                return false
            }
        }
        return true
    }

    private mutating func accepts(_ byte: UInt8) -> Bool {
        guard self.missing == 0 else {
            guard self.lower <= byte, byte <= self.upper else { return false }
            self.missing -= 1
            self.lower = 0x80
            self.upper = 0xBF
            return true
        }
        switch byte {
        case 0x00...0x7F: break
        case 0xC2...0xDF: self.missing = 1
        case 0xE0: (self.missing, self.lower) = (2, 0xA0)  // Below: overlong.
        case 0xED: (self.missing, self.upper) = (2, 0x9F)  // Above: surrogates.
        case 0xE1...0xEF: self.missing = 2
        case 0xF0: (self.missing, self.lower) = (3, 0x90)  // Below: overlong.
        case 0xF1...0xF3: self.missing = 3
        case 0xF4: (self.missing, self.upper) = (3, 0x8F)  // Above: beyond U+10FFFF.
        default: return false
        }
        return true
    }
}
