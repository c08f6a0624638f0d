package import HTTPMessages
package import NIOCore
package import TunnelProtocol

/// What is kept of a body: its beginning, and how long it was.
package struct CapturedBody: Equatable, Sendable {
    /// At most `captureLimit` bytes.
    package private(set) var beginning = ByteBuffer()
    package private(set) var count: UInt64 = 0

    /// 10 KiB: a form, a JSON document, a small picture.
    package static let captureLimit = 10 * 1024

    package init() {}

    package var isWhole: Bool { UInt64(self.beginning.readableBytes) == self.count }

    package mutating func append(_ bytes: ByteBuffer) {
        self.count += UInt64(bytes.readableBytes)
        let room = Self.captureLimit - self.beginning.readableBytes
        guard room > 0, let part = bytes.getSlice(at: bytes.readerIndex, length: min(room, bytes.readableBytes)) else { return }
        self.beginning.writeImmutableBuffer(part)
    }
}

/// One request of an HTTP tunnel and its answer, as the client saw them pass.
package struct Exchange: Sendable {
    package enum State: Equatable, Sendable {
        case underWay
        case complete
        /// In a sentence: the visitor left, the service ended before its answer.
        case failed(String)
    }

    /// The request as it came through the tunnel; its `id` is the exchange's.
    package var request: RequestMessage
    package var requestBody = CapturedBody()
    /// As it came from the service, or as the client made it.
    package var response: ResponseMessage?
    package var responseBody = CapturedBody()
    package var state = State.underWay
    /// The tunnel it came through.
    package var tunnel: TunnelNumber
    /// That tunnel's public URL.
    package var url: String
    /// Milliseconds since 1970-01-01T00:00:00Z.
    package var started: Int64
    /// From the start to the response's head, and to its end.
    package var untilHead: Duration?
    package var untilEnd: Duration?
    /// The exchange whose request was sent again; `nil` for a visitor's own.
    package var replayOf: String?

    package init(request: RequestMessage, tunnel: TunnelNumber, url: String, started: Int64, replayOf: String? = nil) {
        self.request = request
        self.tunnel = tunnel
        self.url = url
        self.started = started
        self.replayOf = replayOf
    }
}

/// Whoever follows the requests of a client's HTTP tunnels.
package protocol ExchangeListener: Sendable {
    /// Called when an exchange begins, and once more when it has ended. On the client's event loop; must not block.
    func changed(_ exchange: Exchange)

    /// The server has given a tunnel its public URL, for the first time or again. Likewise.
    func opened(_ tunnel: HTTPTunnel)

    /// The server has closed it.
    func closed(_ number: TunnelNumber)
}

/// For those who follow requests alone.
extension ExchangeListener {
    package func opened(_ tunnel: HTTPTunnel) {}

    package func closed(_ number: TunnelNumber) {}
}
