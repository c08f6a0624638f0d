package import struct NIOCore.ByteBuffer

/// Looks at the bytes of one direction of an HTTP/1 connection before they are parsed, for what a parsed head does not show any
/// more and another reader might take otherwise (RFC 9112 §2.2, §5, §7.1). It is run on every byte that goes to the decoder.
package struct HeadGuard: Sendable {
    package init() {}

    /// - Throws: `MessageRefusal` with 400.
    package mutating func check(_ bytes: ByteBuffer) throws(MessageRefusal) {
    }
}
