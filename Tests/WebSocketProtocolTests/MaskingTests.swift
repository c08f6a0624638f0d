import Testing
import WebSocketProtocol

import struct NIOCore.ByteBuffer

@Suite struct MaskingTests {
    /// RFC 6455 §5.3, to the letter.
    private static func naive(_ key: UInt32, _ bytes: [UInt8], offset: Int) -> [UInt8] {
        bytes.enumerated().map { index, byte in
            byte ^ UInt8(truncatingIfNeeded: key >> (24 - 8 * UInt32((index + offset) % 4)))
        }
    }

    private static func applied(_ key: UInt32, _ bytes: [UInt8], offset: Int) -> [UInt8] {
        var bytes = bytes
        bytes.withUnsafeMutableBytes { Masking.apply(MaskingKey(key), to: $0, offset: offset) }
        return bytes
    }

    private static func copied(_ key: UInt32, _ bytes: [UInt8], offset: Int) -> [UInt8] {
        var target = [UInt8](repeating: 0xEE, count: bytes.count + 1)
        bytes.withUnsafeBytes { source in
            target.withUnsafeMutableBytes { Masking.copy(MaskingKey(key), from: source, into: $0, offset: offset) }
        }
        #expect(target.last == 0xEE, "written behind the end")
        return target.dropLast()
    }

    @Test(arguments: 0...200)
    func `masking does what the RFC's formula does, at every length and offset`(length: Int) {
        var random = SplitMix64(seed: UInt64(length))
        let bytes = random.bytes(length)
        for offset in 0...16 {
            let key = UInt32.random(in: .min ... .max, using: &random)
            let expected = Self.naive(key, bytes, offset: offset)
            #expect(Self.applied(key, bytes, offset: offset) == expected, "offset \(offset)")
            #expect(Self.copied(key, bytes, offset: offset) == expected, "offset \(offset)")
        }
    }

    @Test(arguments: [1023, 4096, 65_535, 65_536, (1 << 18) + 7])
    func `masking does what the RFC's formula does, at great lengths`(length: Int) {
        var random = SplitMix64(seed: UInt64(length))
        let bytes = random.bytes(length)
        for offset in [0, 1, 2, 3, Int.max] {
            let key = UInt32.random(in: .min ... .max, using: &random)
            let expected = Self.naive(key, bytes, offset: offset & 3)
            #expect(Self.applied(key, bytes, offset: offset) == expected)
            #expect(Self.copied(key, bytes, offset: offset) == expected)
        }
    }

    @Test(arguments: 0..<16)
    func `masking does not need aligned memory`(start: Int) {
        var random = SplitMix64(seed: UInt64(start))
        let bytes = random.bytes(100)
        var masked = bytes
        masked.withUnsafeMutableBytes {
            Masking.apply(MaskingKey(0x0102_0304), to: UnsafeMutableRawBufferPointer(rebasing: $0[start...]), offset: 1)
        }
        #expect(Array(masked[..<start]) == Array(bytes[..<start]))
        #expect(Array(masked[start...]) == Self.naive(0x0102_0304, Array(bytes[start...]), offset: 1))
    }

    @Test func `a masked copy leaves what it was made of as it was`() {
        let payload = ByteBuffer(string: "Hello")
        var buffer = ByteBuffer(string: ">")
        buffer.writeMasked(payload, with: MaskingKey(0x37FA_213D))
        #expect(buffer.bytes == [0x3E] + hex("7f 9f 4d 51 58"))
        #expect(payload.text == "Hello")
        buffer.writeMasked(payload, with: nil)
        #expect(buffer.bytes.suffix(5) == Array("Hello".utf8)[...])
    }

    @Test func `a buffer written in pieces is masked like a whole one`() {
        var random = SplitMix64(seed: 1)
        let bytes = random.bytes(50)
        let whole = Self.naive(0xDEAD_BEEF, bytes, offset: 0)
        for cut in 0...50 {
            var copied = ByteBuffer()
            copied.writeMasked(ByteBuffer(bytes: bytes[..<cut]), with: MaskingKey(0xDEAD_BEEF))
            copied.writeMasked(ByteBuffer(bytes: bytes[cut...]), with: MaskingKey(0xDEAD_BEEF), offset: cut)
            #expect(copied.bytes == whole)
            var inPlace = ByteBuffer(bytes: [0] + bytes)
            inPlace.moveReaderIndex(forwardBy: 1)
            inPlace.mask(from: 1 + cut, with: MaskingKey(0xDEAD_BEEF), offset: cut)
            #expect(inPlace.bytes == Array(bytes[..<cut]) + whole[cut...])
        }
    }
}
