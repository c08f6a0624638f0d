/// Every bound of HTTP tunnels, with its reason.
package enum MessageLimits {
    /// Bytes of a head on its way through a tunnel: twice what is let in from visitors and services, for what is added.
    package static let headRecordBytes = 2 * headBytes

    /// Bytes of a request's or response's head, its fields all together. Servers allow 8 to 32 KiB; cookies make it long.
    package static let headBytes = 64 * 1024

    /// Bytes of such a head as a decoder is given it, if none of it is UTF-8 (`OpaqueBytes`): what came has been counted before, or is
    /// counted afterwards.
    package static let decodedHeadBytes = OpaqueBytes.textBytes * headBytes

    /// Fields of one head.
    package static let fields = 128

    /// Fields of a head on its way through a tunnel: what is let in, and as many again for what is added.
    package static let headRecordFields = 2 * fields
}
