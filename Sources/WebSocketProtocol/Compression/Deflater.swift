internal import CZlib
package import struct NIOCore.ByteBuffer

/// Compresses the payload of messages, one after the other (RFC 7692 §7.2.1).
///
///     payload ──▶ DEFLATE ──▶ empty stored block, to reach a byte's end ──▶ without its last 4 bytes
///                                 00 00 00 ff ff                              00 00 ff ff
///
/// With context takeover a message may refer to those before it. They must then all reach the peer: after a compressed
/// message that was not sent, `forget()`.
package final class Deflater {
    /// What every compressed message ends in, and what is not sent (RFC 7692 §7.2.1).
    static let tail: [UInt8] = [0x00, 0x00, 0xFF, 0xFF]
    /// The window sizes zlib can write without its own header. It cannot do 8 (its window of 256 bytes is broken).
    package static let windowBits = 9...15

    private let stream: UnsafeMutablePointer<z_stream>
    private let keepsContext: Bool
    private var isEmpty = true

    /// - Parameters:
    ///   - windowBits: base-2 logarithm of the window's size in bytes.
    ///   - keepsContext: whether a message may refer to those before it.
    ///   - level: zlib's, from 1 (fast) to 9 (small); by default zlib's own, which is 6.
    package init(windowBits: Int = 15, keepsContext: Bool, level: Int = -1) {
        precondition(Self.windowBits.contains(windowBits), "a window of \(windowBits) bits")
        precondition(-1...9 ~= level, "a level of \(level)")
        self.keepsContext = keepsContext
        self.stream = .allocate(capacity: 1)
        self.stream.initialize(to: z_stream())
        let status = shim_deflateInit_raw(self.stream, Int32(level), Int32(windowBits))
        precondition(status == Z_OK, "no memory to compress with")
    }

    deinit {
        deflateEnd(self.stream)
        self.stream.deallocate()
    }

    /// Appends the next part of a message, as far as there is something to write, and all of it with the last part.
    package func deflate(_ bytes: ByteBuffer, isLast: Bool, into output: inout ByteBuffer) {
        if bytes.readableBytes > 0 {
            self.isEmpty = false
            self.run(bytes, flush: isLast ? Z_SYNC_FLUSH : Z_NO_FLUSH, into: &output)
        } else if isLast {
            if self.isEmpty {
                // RFC 7692 §7.2.3.6. zlib writes nothing when it is flushed twice in a row.
                output.writeInteger(0 as UInt8)
            } else {
                self.run(bytes, flush: Z_SYNC_FLUSH, into: &output)
            }
        }
        guard isLast else { return }
        if !self.isEmpty { output.moveWriterIndex(to: output.writerIndex - Self.tail.count) }
        self.isEmpty = true
        if !self.keepsContext { self.forget() }
    }

    /// Forgets the messages so far, and a message that was begun: the next one refers to none of them.
    package func forget() {
        self.isEmpty = true
        deflateReset(self.stream)
    }

    private func run(_ bytes: ByteBuffer, flush: Int32, into output: inout ByteBuffer) {
        bytes.withUnsafeReadableBytes { source in
            var taken = 0
            var isFull = true
            // Room for all of it, and for the marker of a flush, which would come again if it had been cut short.
            var room = Int(deflateBound(self.stream, UInt(source.count))) + 16
            while isFull {
                output.writeWithUnsafeMutableBytes(minimumWritableBytes: room) { target in
                    let rest = UnsafeRawBufferPointer(rebasing: source[taken...])
                    let count = UInt32(clamping: target.count)
                    _ = shim_deflate(self.stream, rest.baseAddress, UInt32(rest.count), target.baseAddress, count, flush)
                    taken = source.count - Int(self.stream.pointee.avail_in)
                    isFull = self.stream.pointee.avail_out == 0
                    return Int(count - self.stream.pointee.avail_out)
                }
                room = 4096
            }
        }
    }
}
