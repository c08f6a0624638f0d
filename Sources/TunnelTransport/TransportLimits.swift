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
    static let lingering = TimeAmount.seconds(2)

    /// Arrivals the kernel keeps for us while the loop is busy; it lowers the number to its own limit.
    static let backlog: Int32 = 1_024

    /// Between two attempts to accept while there is no free descriptor: few enough to cost nothing, and well within the
    /// second for which an arrival waits gladly.
    static let acceptPause = TimeAmount.milliseconds(200)

    /// Plain text decrypted before it is parsed and written: all of one read, so that what belongs to one stream goes to its
    /// socket in one write; the second-level cache holds it.
    static let plaintextBytes = 256 * 1024

    /// One read of a tunnel connection's socket.
    static let connectionReadBytes = 256 * 1024

    /// One read of a visitor's or service's socket, with room in front for the headers of the DATA frame it becomes.
    /// Reads of 64 KiB cost 30 to 40 % less CPU than reads of 16 KiB.
    static let streamReadBytes = 64 * 1024

    /// Room for a WebSocket header of a server (4 bytes to 64 KiB) and of DATA (9 bytes), and no more: what is left of
    /// `streamReadBytes` is at most one DATA frame.
    static let headroomBytes = 17

    /// Plain text that is gathered before it is encrypted: one whole DATA frame, or many small ones.
    static let stagingBytes = 48 * 1024

    /// Plain text that goes into one flush. One stream alone brings two reads, 128 KiB; with several, four whole frames
    /// go out together.
    static let flushBytes = 250 * 1024

    /// Bytes after which a connection's rate is looked at again: a tenth of a second at 10 MB/s.
    static let rateSampleBytes = 1 << 20

    /// Ciphertext the socket has not taken at which no more frames are made, and at which they are again. What waits
    /// here can no longer be overtaken, so it is little.
    static let connectionHighWater = 256 * 1024
    static let connectionLowWater = 64 * 1024

    /// A slice that holds on to a buffer this many times its size is copied before it waits for a socket: otherwise a few
    /// bytes for a slow reader would keep 64 KiB alive each.
    static let pinningFactor = 4

    /// Payloads at least this long are encrypted where they lie, shorter ones are gathered. Longer than a frame under
    /// contention: those are slices of one read, and writing headers in front of one would copy what the others share.
    static let directWriteBytes = 32 * 1024
}
