/// Percent-encoding (RFC 3986 §2.1), as far as the inspector reads and writes it.
package enum PercentCoding {
    /// What cannot be decoded stays as it is. A `+` stays a `+`.
    package static func decoded(_ text: String) -> String {
        guard text.utf8.contains(UInt8(ascii: "%")) else { return text }
        let bytes = Array(text.utf8)
        var result: [UInt8] = []
        var position = 0
        while position < bytes.count {
            if bytes[position] == UInt8(ascii: "%"), position + 2 < bytes.count,
                let high = Self.digit(bytes[position + 1]), let low = Self.digit(bytes[position + 2])
            {
                result.append(high << 4 | low)
                position += 3
            } else {
                result.append(bytes[position])
                position += 1
            }
        }
        return String(validating: result, as: UTF8.self) ?? text
    }

    /// Leaves everything that may stand in a URL, and encodes the rest.
    package static func encodedURL(_ text: String) -> String {
        Self.encoded(text) { 0x21..<0x7F ~= $0 }
    }

    /// For one segment of a path: leaves only what RFC 3986 §2.3 calls unreserved.
    package static func encodedSegment(_ text: String) -> String {
        Self.encoded(text) { byte in
            byte < 0x80 && (Character(UnicodeScalar(byte)).isLetter || Character(UnicodeScalar(byte)).isNumber || "-._~".utf8.contains(byte))
        }
    }

    private static func encoded(_ text: String, leaving isLeft: (UInt8) -> Bool) -> String {
        var result = ""
        for byte in text.utf8 {
            if isLeft(byte) {
                result.unicodeScalars.append(UnicodeScalar(byte))
            } else {
                result += "%" + (byte < 16 ? "0" : "") + String(byte, radix: 16, uppercase: true)
            }
        }
        return result
    }

    private static func digit(_ byte: UInt8) -> UInt8? {
        byte < 0x80 ? Character(UnicodeScalar(byte)).hexDigitValue.map(UInt8.init) : nil
    }
}
