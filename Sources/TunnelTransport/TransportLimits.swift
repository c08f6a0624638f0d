package import struct NIOCore.TimeAmount

/// The bounds of the sockets and buffers, each with its reason.
package enum TransportLimits {
    /// From accepting a connection to its HELLO: a slow line does it in a second; whoever needs longer holds a
    /// descriptor for nothing.
    package static let greeting = TimeAmount.seconds(10)

    /// For one TCP connection to a server or a service.
    package static let connect = TimeAmount.seconds(10)

    /// After our last byte, for the peer to read it and to close: closing at once would reset the connection and could
    /// take the answer with it.
    package static let lingering = TimeAmount.seconds(2)

    /// For a socket to take anything at all of what waits for it: the longest of what a phone between two cells needs.
    package static let stalled = TimeAmount.seconds(60)

    /// For the next connection to stand, before a peer that asked for it gets its Close answered: a slow line needs a second or
    /// two, and whoever asked does not wait for ever.
    static let replacement = TimeAmount.seconds(5)

    /// Arrivals the kernel keeps for us while the loop is busy; it lowers the number to its own limit.
    static let backlog: Int32 = 1_024

    /// Between two attempts to accept while there is no free descriptor: few enough to cost nothing, and well within the
    /// second for which an arrival waits gladly.
    static let acceptPause = TimeAmount.milliseconds(200)

    /// Plain text decrypted before it is parsed and written: all of one read, so that what belongs to one stream goes to its
    /// socket in one write; the second-level cache holds it.
    static let plaintextBytes = 264 * 1024

    /// One read of a busy tunnel connection's socket: a whole DATA frame with the overhead of its TLS records, so that what was
    /// read as one by the sender is decrypted and written as one here.
    static let connectionReadBytes = 264 * 1024

    /// Bytes of one stream on their way from one event loop to another, when its user is on another than its link: a whole window, as
    /// the link's own queue.
    static let remoteBytes = 256 * 1024

    /// In such steps both ends of that way say what they have taken: each costs a wake-up at worst.
    static let remoteStepBytes = 32 * 1024

    /// A piece of a stream that is no longer than this may be a keystroke or a request, and somebody waits for the answer.
    static let interactiveBytes = 2 * 1024

    /// After a small piece, for the next one: short exchanges that follow each other at once renew it many times, and a request
    /// whose answer is bulk does not slow that for long.
    static let attention = Duration.milliseconds(25)

    /// One read of any socket meanwhile: a short exchange beside bulk takes 0.2 ms with 16 KiB and 0.4 ms with 64 KiB, for a fifth
    /// of the bulk's rate.
    static let attentiveReadBytes = 16 * 1024

    /// Plain text that is gathered before it is encrypted: one TLS record, which the first-level cache holds.
    static let stagingBytes = 16 * 1024

    /// Plain text after which no further frame goes into one flush: one whole DATA frame.
    static let flushBytes = 250 * 1024

    /// Pieces that go into one flush, when many streams send a little each. With 64 streams in step, a dozen at a time
    /// keeps both ends busy at once: 1.14 x the round trips of one flush for all of them.
    static let flushPieces = 12

    /// Bytes after which a connection's rate is looked at again: a tenth of a second at 10 MB/s.
    static let rateSampleBytes = 1 << 20

    /// What the kernel takes of a tunnel connection beyond what it may send at once. What waits there can no longer be
    /// overtaken, so it is little; less than this wakes the loop too often.
    static let unsentBytes = 128 * 1024

    /// Ciphertext the socket has not taken at which no more frames are made, and at which they are again. What waits
    /// here can no longer be overtaken, so it is little.
    static let connectionHighWater = 256 * 1024
    static let connectionLowWater = 64 * 1024

    /// A DATA frame shorter than this is not compressed: it would save a few bytes, and an empty compressor costs 64 KiB of
    /// memory written.
    static let compressedBytes = 128

    /// zlib's level 1: of its levels the one that keeps up with a fast line, at nine tenths of what the best saves.
    static let compressionLevel = 1

    /// The rest of a payload that is at least this long is encrypted where it lies, a shorter one is gathered with others.
    static let directWriteBytes = 16 * 1024
}
