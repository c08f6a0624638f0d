/// What may stand where in a head.
package enum HTTPText {
    /// RFC 9110 §5.6.2.
    package static func isToken(_ text: some StringProtocol) -> Bool {
        !text.utf8.isEmpty && text.utf8.allSatisfy(Self.isTokenByte)
    }

    /// RFC 9110 §5.5: no control character but the tab. Bytes beyond ASCII are allowed as opaque.
    package static func isValue(_ text: some StringProtocol) -> Bool {
        text.utf8.allSatisfy(Self.isValueByte)
    }

    /// No blank and no control character; what else a target is made of is for who reads it.
    package static func isTarget(_ text: some StringProtocol) -> Bool {
        !text.utf8.isEmpty && text.utf8.allSatisfy { $0 > 0x20 && $0 != 0x7F }
    }

    static func isValueByte(_ byte: UInt8) -> Bool { byte >= 0x20 && byte != 0x7F || byte == 0x09 }

    static func isTokenByte(_ byte: UInt8) -> Bool {
        byte < 64 ? Self.tokenBytes.low >> byte & 1 == 1 : byte < 128 && Self.tokenBytes.high >> (byte - 64) & 1 == 1
    }

    static func isDigit(_ byte: UInt8) -> Bool { byte &- UInt8(ascii: "0") < 10 }

    static func isHexadecimal(_ byte: UInt8) -> Bool { Self.isDigit(byte) || (byte | 0x20) &- UInt8(ascii: "a") < 6 }

    static func isLetter(_ byte: UInt8) -> Bool { (byte | 0x20) &- UInt8(ascii: "a") < 26 }

    /// ASCII's capitals as small letters, everything else as it is.
    static func lowercased(_ byte: UInt8) -> UInt8 { byte &- UInt8(ascii: "A") < 26 ? byte | 0x20 : byte }

    /// A set of token bytes: one bit for each of ASCII.
    private static let tokenBytes: (low: UInt64, high: UInt64) = {
        var bits: (low: UInt64, high: UInt64) = (0, 0)
        for byte in "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ".utf8 {
            if byte < 64 { bits.low |= 1 << UInt64(byte) } else { bits.high |= 1 << UInt64(byte - 64) }
        }
        return bits
    }()
}

extension StringProtocol {
    /// Whether this is `name`, whatever the case of its letters.
    ///
    /// - Parameter name: In small letters.
    func isName(_ name: String) -> Bool {
        let (one, other) = (self.utf8, name.utf8)
        guard one.count == other.count else { return false }
        return zip(one, other).allSatisfy { $0 == $1 || HTTPText.lowercased($0) == $1 }
    }
}

extension Substring {
    /// Without blanks and tabs at both ends (RFC 9110 §5.6.3).
    var trimmedBlanks: Substring {
        var bytes = self.utf8
        while let first = bytes.first, first == 0x20 || first == 0x09 { bytes.removeFirst() }
        while let last = bytes.last, last == 0x20 || last == 0x09 { bytes.removeLast() }
        return Substring(bytes)
    }
}

extension String {
    /// Without blanks and tabs at both ends: mostly as it is.
    var trimmedValue: String {
        func isBlank(_ byte: UInt8?) -> Bool { byte == 0x20 || byte == 0x09 }
        return isBlank(self.utf8.first) || isBlank(self.utf8.last) ? String(self[...].trimmedBlanks) : self
    }

    /// The elements of a list (RFC 9110 §5.6.1), empty ones passed over.
    var listElements: [Substring] {
        self.utf8.split(separator: UInt8(ascii: ",")).compactMap { part in
            let text = Substring(part).trimmedBlanks
            return text.utf8.isEmpty ? nil : text
        }
    }

    /// A text that may be written where a value stands: what may not be in one is a blank (RFC 9110 §5.5).
    var asValue: String {
        if HTTPText.isValue(self) { return self }
        return String(decoding: self.utf8.map { HTTPText.isValueByte($0) ? $0 : 0x20 }, as: UTF8.self)
    }
}
