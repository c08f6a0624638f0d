internal import struct NIOCore.ByteBuffer
internal import class NIOPosix.ThreadSpecificVariable
internal import OpenSSL
internal import TunnelProtocol
internal import WebSocketProtocol

#if canImport(Glibc)
internal import Glibc
#elseif canImport(Musl)
internal import Musl
#else
internal import Darwin
#endif

/// Buffers that every connection of one event loop uses in turn. Nothing lives here between two events of the loop, so
/// that a thousand idle connections cost no buffers, and the ones in use stay in the cache.
///
/// A buffer is taken out while it is used. Where a slice of it is still held by somebody when it comes back, `clear()`
/// replaces its storage.
final class LoopScratch {
    private var read = ByteBuffer()
    private var plaintext = ByteBuffer()
    private var staging = ByteBuffer()
    private var ciphertext = ByteBuffer()
    private var compressed = ByteBuffer()
    private var maskingKeys = MaskingKeys()
    private var attentiveUntil = Instant.now
    /// Bytes read from sockets since others were let run.
    private var movedBytes = 0

    // Each thread sees its own value only.
    nonisolated(unsafe) private static let perThread = ThreadSpecificVariable<LoopScratch>()

    /// The current event loop's.
    static var current: LoopScratch {
        if let scratch = self.perThread.currentValue { return scratch }
        let scratch = LoopScratch()
        self.perThread.currentValue = scratch
        return scratch
    }

    // MARK: Attention

    /// Small pieces come from a stream's socket: somebody waits for each, and for the next.
    func payAttention() { self.attentiveUntil = .now + TransportLimits.attention }

    var isAttentive: Bool { Instant.now < self.attentiveUntil }

    /// Bytes that one read of a socket may bring: while somebody waits for small pieces, no other socket holds the loop for long.
    var readBytes: Int {
        self.isAttentive ? TransportLimits.attentiveReadBytes : TransportLimits.connectionReadBytes
    }

    /// Bytes came from any of the loop's sockets.
    func moved(_ count: Int) { self.movedBytes += count }

    /// To be called after a flush: whoever was written to may run before this loop goes on with its bulk.
    ///
    /// Linux takes whoever writes to a TCP socket for about to wait (a synchronous wake-up), and puts the reader on the same core behind
    /// it, even beside an idle one. A loop with bulk does not wait, so the reader of a short piece had to until the loop's time slice was
    /// over, 2 ms and more: the 99th percentile of short exchanges beside bulk is 0.9 ms with this, 2.3 ms without. A loop without bulk
    /// waits soon enough, and does not give its turn away to strangers.
    func letOthersRun() {
        guard self.movedBytes >= TransportLimits.attentiveReadBytes else { return }
        self.movedBytes = 0
        if self.isAttentive { sched_yield() }
    }

    /// For one read of a tunnel connection's socket, with room for as much as it may bring now.
    func takeRead() -> ByteBuffer {
        var buffer = Self.take(&self.read, capacity: TransportLimits.connectionReadBytes)
        let limit = self.readBytes
        if limit < TransportLimits.connectionReadBytes {
            // A socket is asked for all that there is room for.
            buffer.moveWriterIndex(to: buffer.capacity - limit)
            buffer.moveReaderIndex(to: buffer.capacity - limit)
        }
        return buffer
    }

    func give(read: consuming ByteBuffer) { self.read = read }

    /// For bytes decrypted from a socket.
    func takePlaintext() -> ByteBuffer {
        Self.take(&self.plaintext, capacity: TransportLimits.plaintextBytes + 16 * 1024)
    }

    func give(plaintext: consuming ByteBuffer) { self.plaintext = plaintext }

    /// For frames on their way out.
    func takeStaging() -> ByteBuffer {
        Self.take(&self.staging, capacity: TransportLimits.stagingBytes + 80 * 1024)
    }

    func give(staging: consuming ByteBuffer) { self.staging = staging }

    /// For TLS records on their way to a socket: 22 bytes of overhead each, rounded up.
    func takeCiphertext() -> ByteBuffer {
        Self.take(&self.ciphertext, capacity: TransportLimits.flushBytes + 280 * 1024)
    }

    func give(ciphertext: consuming ByteBuffer) { self.ciphertext = ciphertext }

    /// For a frame made shorter.
    func takeCompressed() -> ByteBuffer { Self.take(&self.compressed, capacity: 4 * 1024) }

    func give(compressed: consuming ByteBuffer) { self.compressed = compressed }

    /// For connections that agreed on `PermessageDeflate.tunnel`: nothing stays in it from one message to the next.
    private(set) lazy var deflater = Deflater(keepsContext: false, level: TransportLimits.compressionLevel)

    /// A fresh random key (RFC 6455 §5.3).
    func maskingKey() -> MaskingKey { MaskingKey(self.maskingKeys.next()) }

    /// 64 fresh random bits likewise.
    func randomBits() -> UInt64 { UInt64(self.maskingKeys.next()) << 32 | UInt64(self.maskingKeys.next()) }

    private static func take(_ buffer: inout ByteBuffer, capacity: Int) -> ByteBuffer {
        var taken = ByteBuffer()
        swap(&taken, &buffer)
        taken.clear(minimumCapacity: capacity)
        return taken
    }
}

/// Unpredictable bits for what is needed often, drawn many at once for each thread.
package enum RandomBits {
    package static func next64() -> UInt64 { LoopScratch.current.randomBits() }
}
