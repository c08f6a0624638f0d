internal import struct NIOCore.ByteBuffer

/// The last bytes of a DATA frame that is not whole yet: they wait for more of it, or for its end.
///
/// Where they are the connection's last bytes too, they may be no part of the frame. Some load balancers write a Close of their own
/// before they end a connection, wherever in a frame it stands. The frame comes again as it was, and these are forgotten.
struct WithheldBytes {
    private let most: Int
    /// Copies: a few bytes do not keep alive all that was read with them.
    private var held = ByteBuffer()

    init(most: Int) {
        self.most = most
    }

    /// - Parameter isLast: Whether the frame ends with this part.
    /// - Returns: What may be handed on, in its order.
    mutating func receive(_ part: ByteBuffer, isLast: Bool) -> [ByteBuffer] {
        if isLast, self.held.readableBytes == 0 { return [part] }
        var part = part
        let due = max(0, self.held.readableBytes + part.readableBytes - (isLast ? 0 : self.most))
        var result: [ByteBuffer] = []
        if let earlier = self.held.readSlice(length: min(due, self.held.readableBytes)), earlier.readableBytes > 0 {
            result.append(earlier)
        }
        if let now = part.readSlice(length: due - (result.first?.readableBytes ?? 0)), now.readableBytes > 0 { result.append(now) }
        self.held = ByteBuffer(bytes: self.held.readableBytesView)
        self.held.writeImmutableBuffer(part)
        return result
    }

    /// The connection is gone.
    mutating func forget() {
        self.held = ByteBuffer()
    }
}
