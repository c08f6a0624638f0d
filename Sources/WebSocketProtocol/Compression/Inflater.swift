internal import CZlib
internal import struct NIOCore.ByteBuffer

/// Inflates the payload of messages, a bounded piece at a time (RFC 7692 §7.2.2).
final class Inflater {
    private let stream: UnsafeMutablePointer<z_stream>
    private let keepsContext: Bool
    /// The last step ended a DEFLATE stream: what comes next begins another.
    private var hasEnded = false

    /// - Parameters:
    ///   - windowBits: base-2 logarithm of the size in bytes of the window that the peer compresses with, 8 to 15.
    ///   - keepsContext: whether a message may refer to those before it.
    init(windowBits: Int, keepsContext: Bool) {
        self.keepsContext = keepsContext
        self.stream = .allocate(capacity: 1)
        self.stream.initialize(to: z_stream())
        let status = shim_inflateInit_raw(self.stream, Int32(windowBits))
        precondition(status == Z_OK, "no memory to inflate with")
    }

    deinit {
        inflateEnd(self.stream)
        self.stream.deallocate()
    }

    /// Takes bytes, and appends at most `limit` bytes of what they come to.
    ///
    /// - Returns: true when all bytes were taken and nothing more comes of them.
    func inflate(
        _ bytes: inout ByteBuffer, into output: inout ByteBuffer, limit: Int
    ) throws(WebSocketViolation) -> Bool {
        var left = limit
        while true {
            if self.hasEnded, bytes.readableBytes > 0 {
                // RFC 7692 §7.2.3.4: a message may be made of several DEFLATE streams. The window goes on.
                inflateResetKeep(self.stream)
                self.hasEnded = false
            }
            let status = self.step(&bytes, into: &output, limit: left)
            left = Int(self.stream.pointee.avail_out)
            switch status {
            case Z_STREAM_END:
                self.hasEnded = true
                if bytes.readableBytes > 0 { continue }
                return true
            // Z_BUF_ERROR: there was nothing to do, which is no error.
            case Z_OK, Z_BUF_ERROR: return left > 0
            default: throw Self.violation
            }
        }
    }

    /// A message is over, `Deflater.tail` included.
    func endMessage() throws(WebSocketViolation) {
        // zlib: 128 is set right behind a block's end, the lowest bits count what it has not used of the last byte.
        let place = self.stream.pointee.data_type
        guard self.hasEnded || place & 128 != 0 && place & 63 == 0 else { throw Self.violation }
        guard !self.keepsContext else { return }
        inflateReset(self.stream)
        self.hasEnded = false
    }

    private func step(_ bytes: inout ByteBuffer, into output: inout ByteBuffer, limit: Int) -> Int32 {
        var status = Z_OK
        bytes.readWithUnsafeReadableBytes { source in
            output.writeWithUnsafeMutableBytes(minimumWritableBytes: limit) { target in
                status = shim_inflate(
                    self.stream, source.baseAddress, UInt32(source.count), target.baseAddress, UInt32(limit))
                return limit - Int(self.stream.pointee.avail_out)
            }
            return source.count - Int(self.stream.pointee.avail_in)
        }
        return status
    }

    private static let violation = WebSocketViolation(
        .invalidFramePayloadData, "a compressed message is not valid DEFLATE data")
}
