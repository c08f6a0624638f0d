package import NIOCore
package import TunnelProtocol

/// What a stream leads to on this side: a visitor's or a service's socket, or whatever reads the messages in it. All calls come on
/// the link's event loop.
///
///     link.open(end, ...)  or  link.join(end, to:)      the stream has an end from here on
///     link.send(bytes)     ─▶ false: send no more until resumeSending()
///     link.taken(count)    ◀─ for bytes of write(_:) that have left; nothing more comes beyond the window without it
///     link.finish(id), link.reset(id)                   what this side has to say of the stream's end
///     link.closed(id)                                   exactly once: no more calls
package protocol StreamEnd: AnyObject {
    /// Bytes of the stream, in order. `flush(now:)` follows in the same turn.
    ///
    /// - Returns: Whether the end was not yet among those to be flushed.
    func write(_ bytes: ByteBuffer) -> Bool
    /// No more bytes come for now.
    func flush(now: Instant)
    /// The stream takes bytes again, after `send` had said it takes no more.
    func resumeSending()
    /// No more bytes will come from the link, ever.
    func finish()
    /// The peer reset the stream, which is gone.
    func reset(_ code: ResetCode)
    /// The stream is gone with its link.
    func linkEnded()
}
