internal import HTTPMessages
internal import NIOCore
internal import NIOHTTP1

/// The first line of a response's head, for its reason phrase, which NIO's decoder drops; in pieces of any size.
struct StatusLine {
    private var line = ByteBuffer()
    private var isWhole = false

    /// A sentence at most. What is said in a line of more bytes than these is not passed on: the decoder reads it without a limit.
    private static let longest = 4 * 1024

    /// More of the head.
    mutating func append(_ bytes: ByteBuffer) {
        guard !self.isWhole, self.line.readableBytes <= Self.longest else { return }
        let view = bytes.readableBytesView
        let feed = view.firstIndex(of: UInt8(ascii: "\n"))
        self.isWhole = feed != nil
        guard let part = bytes.getSlice(at: view.startIndex, length: (feed ?? view.endIndex) - view.startIndex) else { return }
        if self.line.readableBytes == 0 { self.line = part } else { self.line.writeImmutableBuffer(part) }
    }

    /// The status as it was sent, and nothing is kept of the line.
    ///
    /// - Parameter decoded: The decoder's, with the usual phrase for its code. It is right when the service has none, or one that cannot be
    ///   written again.
    /// - Returns: `nil` when it is the decoder's.
    mutating func status(decoded: HTTPResponseStatus) -> HTTPResponseStatus? {
        defer { self = StatusLine() }
        guard self.isWhole, self.line.readableBytes <= Self.longest else { return nil }
        // HTTP/1.1 200 OK
        var rest = self.line.readableBytesView
        if rest.last == UInt8(ascii: "\r") { rest.removeLast() }
        guard rest.starts(with: "HTTP/1.".utf8), rest.dropFirst(8).first == 0x20, rest.dropFirst(12).first == 0x20 else { return nil }
        let phrase = rest.dropFirst(13)
        guard !phrase.isEmpty, !phrase.elementsEqual(decoded.reasonPhrase.utf8) else { return nil }
        let text = String(opaque: phrase)
        return HTTPText.isValue(text) ? .custom(code: decoded.code, reasonPhrase: text) : nil
    }
}
