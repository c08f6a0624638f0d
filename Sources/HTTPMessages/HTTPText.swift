/// What may stand where in a head.
package enum HTTPText {
    /// RFC 9110 §5.6.2.
    package static func isToken(_ text: some StringProtocol) -> Bool {
        text.utf8.withContiguousStorageIfAvailable { $0.areToken } ?? Array(text.utf8).areToken
    }

    /// RFC 9110 §5.5: no control character but the tab. Bytes beyond ASCII are allowed as opaque.
    package static func isValue(_ text: some StringProtocol) -> Bool {
        text.utf8.withContiguousStorageIfAvailable { $0.areValue } ?? Array(text.utf8).areValue
    }

    /// No blank and no control character; what else a target is made of is for who reads it.
    package static func isTarget(_ text: some StringProtocol) -> Bool {
        text.utf8.withContiguousStorageIfAvailable { $0.areTarget } ?? Array(text.utf8).areTarget
    }

    static func isValueByte(_ byte: UInt8) -> Bool { byte >= 0x20 && byte != 0x7F || byte == 0x09 }

    /// A set of ASCII, one bit for each: ! # $ % & ' * + - . and digits; letters, ^ _ ` | ~
    static func isTokenByte(_ byte: UInt8) -> Bool {
        let set: UInt64 = byte < 64 ? 0x03FF_6CFA_0000_0000 : 0x57FF_FFFF_C7FF_FFFE
        return byte < 128 && set >> UInt64(byte & 63) & 1 == 1
    }

    static func isDigit(_ byte: UInt8) -> Bool { byte &- UInt8(ascii: "0") < 10 }

    static func isHexadecimal(_ byte: UInt8) -> Bool { Self.isDigit(byte) || (byte | 0x20) &- UInt8(ascii: "a") < 6 }

    static func isLetter(_ byte: UInt8) -> Bool { (byte | 0x20) &- UInt8(ascii: "a") < 26 }

    /// ASCII's capitals as small letters, everything else as it is.
    static func lowercased(_ byte: UInt8) -> UInt8 { byte &- UInt8(ascii: "A") < 26 ? byte | 0x20 : byte }
}

/// Walks over bytes that lie in one piece, as those of nearly every string do: much faster than over the string.
extension Collection<UInt8> {
    var areToken: Bool { !self.isEmpty && self.allSatisfy(HTTPText.isTokenByte) }

    // Without branches, so that many bytes are looked at at once.
    var areValue: Bool {
        var bad: UInt8 = 0
        for byte in self { bad |= (byte < 0x20 ? 1 : 0) & (byte == 0x09 ? 0 : 1) | (byte == 0x7F ? 1 : 0) }
        return bad == 0
    }

    fileprivate var areTarget: Bool {
        var bad: UInt8 = self.isEmpty ? 1 : 0
        for byte in self { bad |= (byte <= 0x20 ? 1 : 0) | (byte == 0x7F ? 1 : 0) }
        return bad == 0
    }
}

extension RandomAccessCollection<UInt8> {
    /// Whether these are the bytes of `name`, whatever the case of its letters.
    ///
    /// - Parameter name: In small letters.
    func isName(_ name: StaticString) -> Bool { self.agrees(with: name) { HTTPText.lowercased($0) } }

    /// `isName`, with `_` as good as `-`.
    func isFolded(_ name: StaticString) -> Bool {
        self.agrees(with: name) { $0 == UInt8(ascii: "_") ? UInt8(ascii: "-") : HTTPText.lowercased($0) }
    }

    private func agrees(with name: StaticString, _ folded: (UInt8) -> UInt8) -> Bool {
        guard self.count == name.utf8CodeUnitCount else { return false }
        return name.withUTF8Buffer { zip(self, $0).allSatisfy { folded($0) == $1 } }
    }
}

extension StringProtocol {
    /// Whether this is `name`, whatever the case of its letters.
    ///
    /// - Parameter name: In small letters.
    func isName(_ name: String) -> Bool {
        self.utf8.count == name.utf8.count && self.agrees(with: name) { HTTPText.lowercased($0) == $1 }
    }

    /// Whether all bytes of two texts of one length agree, in their order.
    func agrees(with other: String, _ byByte: (UInt8, UInt8) -> Bool) -> Bool {
        // Over bytes that lie in one piece, as those of nearly every string do: much faster than over the strings.
        let known = self.utf8.withContiguousStorageIfAvailable { one in
            other.utf8.withContiguousStorageIfAvailable { other in
                one.count == other.count && one.indices.allSatisfy { byByte(one[$0], other[$0]) }
            }
        }
        return (known ?? nil) ?? zip(self.utf8, other.utf8).allSatisfy(byByte)
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
        let isTrimmed = self.utf8.withContiguousStorageIfAvailable { !isBlank($0.first) && !isBlank($0.last) } ?? false
        return isTrimmed ? self : String(self[...].trimmedBlanks)
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
