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
        if self.beginning.capacity == 0 { self.beginning = ByteBufferAllocator().buffer(capacity: part.readableBytes) }
        self.beginning.writeImmutableBuffer(part)
    }
}

/// One request of an HTTP tunnel and its answer, as the client saw them pass.
///
///     beginning ── the request's head ────────────────────── known from the start
///     ending ───── bodies, response, how it went, how long ── known once it is over
///
/// Two references: it goes from the tunnel's loop to the inspector's without a copy of what it holds.
package struct Exchange: Sendable {
    package enum State: Equatable, Sendable {
        case underWay
        case complete
        /// In a sentence: the visitor left, the service ended before its answer.
        case failed(String)
    }

    final class Beginning: Sendable {
        let request: RequestMessage
        let tunnel: TunnelNumber
        let url: String
        let started: Int64
        let replayOf: String?

        fileprivate init(request: RequestMessage, tunnel: TunnelNumber, url: String, started: Int64, replayOf: String?) {
            self.request = request
            self.tunnel = tunnel
            self.url = url
            self.started = started
            self.replayOf = replayOf
        }
    }

    final class Ending: Sendable {
        let seen: Seen
        let failure: String?
        let time: Duration

        fileprivate init(_ seen: Seen, failure: String?, after time: Duration) {
            self.seen = seen
            self.failure = failure
            self.time = time
        }
    }

    /// What passes between the beginning and the end.
    package struct Seen: Sendable {
        package var requestBody = CapturedBody()
        /// Whether the end of the request's body came: without it a body of unknown length may have been longer.
        package var requestHasEnded = false
        package var responseBody = CapturedBody()
        /// The response's record: one piece of memory, where the message would be one for every field.
        private(set) var responseRecord = ByteBuffer()
        package private(set) var untilHead: Duration?

        package init() {}

        /// The final response's head has come.
        ///
        /// - Parameters:
        ///   - record: As `writeRecord` writes it; copied.
        ///   - time: From the exchange's start.
        package mutating func answered(_ record: ByteBuffer, after time: Duration) {
            self.responseRecord = ByteBufferAllocator().buffer(capacity: record.readableBytes)
            self.responseRecord.writeImmutableBuffer(record)
            self.untilHead = time
        }

        var response: ResponseMessage? {
            guard self.responseRecord.readableBytes > 0 else { return nil }
            var decoder = MessageDecoder(.responses)
            decoder.receive(self.responseRecord)
            guard case .response(let response)? = try? decoder.next() else { return nil }
            return response
        }
    }

    let beginning: Beginning
    /// `nil` while it is under way.
    let ending: Ending?

    /// - Parameters:
    ///   - request: As it came through the tunnel; its `id` is the exchange's.
    ///   - url: The public URL of the tunnel it came through.
    ///   - started: Milliseconds since 1970-01-01T00:00:00Z.
    ///   - replayOf: The exchange whose request is sent again; `nil` for a visitor's own.
    package init(request: RequestMessage, tunnel: TunnelNumber, url: String, started: Int64, replayOf: String? = nil) {
        self.beginning = Beginning(request: request, tunnel: tunnel, url: url, started: started, replayOf: replayOf)
        self.ending = nil
    }

    private init(_ beginning: Beginning, _ ending: Ending) {
        self.beginning = beginning
        self.ending = ending
    }

    /// The same exchange, now that it is over.
    ///
    /// - Parameters:
    ///   - failure: In a sentence, unless it is complete.
    ///   - time: From its start.
    package func ended(_ seen: consuming Seen, failure: String?, after time: Duration) -> Exchange {
        Exchange(self.beginning, Ending(seen, failure: failure, after: time))
    }

    package var request: RequestMessage { self.beginning.request }
    package var requestBody: CapturedBody { self.ending?.seen.requestBody ?? CapturedBody() }
    /// As it came from the service, or as the client made it. Read from its record each time.
    package var response: ResponseMessage? { self.ending?.seen.response }
    package var responseBody: CapturedBody { self.ending?.seen.responseBody ?? CapturedBody() }

    package var state: State {
        guard let ending = self.ending else { return .underWay }
        return ending.failure.map { .failed($0) } ?? .complete
    }

    package var tunnel: TunnelNumber { self.beginning.tunnel }
    package var url: String { self.beginning.url }
    package var started: Int64 { self.beginning.started }
    /// From the start to the response's head, and to its end.
    package var untilHead: Duration? { self.ending?.seen.untilHead }
    package var untilEnd: Duration? { self.ending?.time }
    package var replayOf: String? { self.beginning.replayOf }
}

/// One that is under way, in the hands of whoever sees it pass.
struct ExchangeRecord {
    let exchange: Exchange
    /// Where the listener keeps it.
    var place: UInt64 = 0
    var seen = Exchange.Seen()

    init(_ exchange: Exchange) {
        self.exchange = exchange
    }
}

/// Whoever follows the requests of a client's HTTP tunnels.
package protocol ExchangeListener: Sendable {
    /// An exchange begins. On the client's event loop; must not block.
    ///
    /// - Returns: Where the listener keeps it; it is told again when the exchange has ended.
    func began(_ exchange: Exchange) -> UInt64

    /// Once for each that began. Likewise.
    ///
    /// - Parameter place: What `began` returned, be it of this listener or of the one before it.
    func ended(_ exchange: Exchange, at place: UInt64)

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
