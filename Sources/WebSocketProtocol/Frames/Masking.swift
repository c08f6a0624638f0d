package import struct NIOCore.ByteBuffer

/// Masking and unmasking, which are the same (RFC 6455 §5.3): byte i of a payload XOR byte i mod 4 of the key.
///
/// The key is turned once to where the payload begins; then it is the same for every eight bytes, and the loop over
/// words is one the compiler turns into vector instructions.
package enum Masking {
    /// Masks `bytes`, which begin `offset` bytes into their frame's payload, where they lie.
    package static func apply(_ key: MaskingKey, to bytes: UnsafeMutableRawBufferPointer, offset: Int = 0) {
        guard let base = bytes.baseAddress else { return }
        self.xor(key.word(offset: offset), from: UnsafeRawPointer(base), into: base, count: bytes.count)
    }

    /// Masks `source`, which begins `offset` bytes into its frame's payload, into `target`, and leaves `source` as it
    /// is.
    package static func copy(
        _ key: MaskingKey, from source: UnsafeRawBufferPointer, into target: UnsafeMutableRawBufferPointer,
        offset: Int = 0
    ) {
        precondition(target.count >= source.count, "\(source.count) bytes do not fit in \(target.count)")
        guard let from = source.baseAddress, let into = target.baseAddress else { return }
        self.xor(key.word(offset: offset), from: from, into: into, count: source.count)
    }

    @inline(__always)
    private static func xor(
        _ word: UInt64, from source: UnsafeRawPointer, into target: UnsafeMutableRawPointer, count: Int
    ) {
        var index = 0
        while index <= count &- 8 {
            let masked = source.loadUnaligned(fromByteOffset: index, as: UInt64.self) ^ word
            target.storeBytes(of: masked, toByteOffset: index, as: UInt64.self)
            index &+= 8
        }
        var rest = UInt64(littleEndian: word)
        while index < count {
            let masked = source.load(fromByteOffset: index, as: UInt8.self) ^ UInt8(truncatingIfNeeded: rest)
            target.storeBytes(of: masked, toByteOffset: index, as: UInt8.self)
            rest &>>= 8
            index &+= 1
        }
    }
}

extension ByteBuffer {
    /// Appends payload that begins `offset` bytes into its frame, masked, or plain without a key. `payload` keeps its
    /// bytes: what is retained for a second sending stays as it was.
    package mutating func writeMasked(_ payload: ByteBuffer, with key: MaskingKey?, offset: Int = 0) {
        guard let key else {
            self.writeImmutableBuffer(payload)
            return
        }
        payload.withUnsafeReadableBytes { source in
            _ = self.writeWithUnsafeMutableBytes(minimumWritableBytes: source.count) { target in
                Masking.copy(key, from: source, into: target, offset: offset)
                return source.count
            }
        }
    }

    /// Masks the readable bytes from `index` on, which begin `offset` bytes into their frame, where they lie.
    package mutating func mask(from index: Int, with key: MaskingKey, offset: Int = 0) {
        precondition((self.readerIndex...self.writerIndex).contains(index), "\(index) is not readable")
        let start = index - self.readerIndex
        self.withUnsafeMutableReadableBytes { bytes in
            Masking.apply(key, to: UnsafeMutableRawBufferPointer(rebasing: bytes[start...]), offset: offset)
        }
    }
}
