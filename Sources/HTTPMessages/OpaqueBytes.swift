package import struct NIOCore.ByteBuffer

/// Bytes of a head that are not UTF-8, in texts, which can hold nothing else. What is beyond ASCII in a value or a reason phrase is opaque
/// to a proxy (RFC 9110 §5.5), and leaves as it came.
///
/// Such a byte stands in a text as a scalar for private use, U+EF80 to U+EFFF, whose lowest eight bits it is; and so does each byte of
/// such a scalar that somebody sends.
///
///     bytes    63 61 66 c3 a9    63 61 66 e9            ee bf a9
///     text     c  a  f  é        c  a  f  U+EFE9        U+EFEE U+EFBF U+EFA9
///
///     what is made of a text that was made of bytes is those bytes      (always; and wherever the bytes were cut)
///
/// No byte below 80 is ever made of one: neither a blank nor a control character, and nothing of the framing.
package enum OpaqueBytes {
    /// The first byte of every such scalar, and of none that languages are written with.
    static let mark: UInt8 = 0xEE

    /// Bytes that one takes in a text.
    package static let textBytes = 3

    /// Whether bytes of a text have to be looked at more closely.
    static func mayStand(in bytes: some Collection<UInt8>) -> Bool {
        // Over bytes that lie in one piece and without branches, so that many are looked at at once.
        let found = bytes.withContiguousStorageIfAvailable { bytes in
            var found: UInt8 = 0
            for byte in bytes { found |= byte == Self.mark ? 1 : 0 }
            return found != 0
        }
        return found ?? bytes.contains(Self.mark)
    }

    /// What a decoder that takes bytes for UTF-8 is given in place of these: nearly always the same.
    ///
    /// - Parameter offset: Where a head, or trailers, begin among them; what stands before is of a body.
    package static func escaped(_ bytes: ByteBuffer, from offset: Int = 0) -> ByteBuffer {
        let view = bytes.readableBytesView
        guard !Self.isASCII(view, from: offset), let text = Self.text(of: view.dropFirst(offset)) else { return bytes }
        var result = ByteBuffer()
        result.reserveCapacity(offset + text.count)
        result.writeBytes(view.prefix(offset))
        result.writeBytes(text)
        return result
    }

    fileprivate static func isASCII(_ bytes: some Collection<UInt8>, from offset: Int = 0) -> Bool {
        let isASCII = bytes.withContiguousStorageIfAvailable { bytes in
            var all: UInt8 = 0
            for index in offset..<bytes.count { all |= bytes[index] }
            return all < 0x80
        }
        return isASCII ?? bytes.dropFirst(offset).allSatisfy { $0 < 0x80 }
    }

    /// - Returns: The text in UTF-8; `nil` when it is the bytes themselves.
    fileprivate static func text(of bytes: some Collection<UInt8>) -> [UInt8]? {
        let bytes = Array(bytes)
        // What lies between the two is text, and has not been copied yet.
        var (copied, index) = (0, 0)
        var text: [UInt8] = []
        while index < bytes.count {
            let count = Self.scalarBytes(bytes, at: index)
            guard count == 0 else {
                index += count
                continue
            }
            if copied < index { text += bytes[copied..<index] }
            text.append(Self.mark)
            text.append(0xBC | bytes[index] >> 6)
            text.append(0x80 | bytes[index] & 0x3F)
            index += 1
            copied = index
        }
        return copied == 0 ? nil : text + bytes[copied...]
    }

    /// How many bytes are a scalar (RFC 3629 §4), and none that stands for a byte: 0 when those here are not.
    private static func scalarBytes(_ bytes: [UInt8], at index: Int) -> Int {
        func isNext(_ offset: Int, _ range: ClosedRange<UInt8> = 0x80...0xBF) -> Bool {
            index + offset < bytes.count && range ~= bytes[index + offset]
        }
        return switch bytes[index] {
        case 0x00...0x7F: 1
        case 0xC2...0xDF: isNext(1) ? 2 : 0
        case 0xE0: isNext(1, 0xA0...0xBF) && isNext(2) ? 3 : 0
        case 0xED: isNext(1, 0x80...0x9F) && isNext(2) ? 3 : 0
        case Self.mark: isNext(1, 0x80...0xBD) && isNext(2) ? 3 : 0
        case 0xE1...0xEF: isNext(1) && isNext(2) ? 3 : 0
        case 0xF0: isNext(1, 0x90...0xBF) && isNext(2) && isNext(3) ? 4 : 0
        case 0xF1...0xF3: isNext(1) && isNext(2) && isNext(3) ? 4 : 0
        case 0xF4: isNext(1, 0x80...0x8F) && isNext(2) && isNext(3) ? 4 : 0
        default: 0
        }
    }

    /// - Parameter text: UTF-8: what begins a scalar is followed by the rest of it.
    static func bytes(of text: some Collection<UInt8>) -> [UInt8] {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(text.count)
        var rest = text[...]
        while let byte = rest.popFirst() {
            guard byte == Self.mark, let second = rest.popFirst(), let third = rest.popFirst() else {
                bytes.append(byte)
                continue
            }
            if second >= 0xBE { bytes.append(second << 6 | third & 0x3F) } else { bytes += [byte, second, third] }
        }
        return bytes
    }
}

extension String {
    /// The text of bytes from elsewhere, with those in it that are not UTF-8.
    package init(opaque bytes: some Collection<UInt8>) {
        if !OpaqueBytes.isASCII(bytes), let text = OpaqueBytes.text(of: bytes) {
            self = String(decoding: text, as: UTF8.self)
        } else {
            self = String(decoding: bytes, as: UTF8.self)
        }
    }

    /// The bytes that the text was made of.
    package var opaqueBytes: [UInt8] { self.mayBeOpaque ? OpaqueBytes.bytes(of: self.utf8) : Array(self.utf8) }

    /// How many they are.
    package var opaqueByteCount: Int { self.mayBeOpaque ? OpaqueBytes.bytes(of: self.utf8).count : self.utf8.count }

    /// For people to read: with a replacement character for what is not UTF-8.
    package var shown: String { self.mayBeOpaque ? String(decoding: OpaqueBytes.bytes(of: self.utf8), as: UTF8.self) : self }

    /// Whether something in it may stand for bytes that are not UTF-8.
    var mayBeOpaque: Bool { OpaqueBytes.mayStand(in: self.utf8) }
}
