internal import HTTPMessages
internal import NIOCore
internal import NIOHTTP1
internal import TunnelProtocol
internal import TunnelTransport

/// Where a response goes, and who hands on the request.
protocol ExchangeOutput: AnyObject {
    /// Records of the response.
    ///
    /// - Returns: Whether it takes more; if not, the exchange's `resumeSending` says when it does.
    func send(_ records: ByteBuffer) -> Bool
    /// So many bytes of the request's body are used up.
    func taken(_ count: Int)
    /// The service has answered with 101, and the request was complete: more of it follows, in the other protocol.
    func exchangeUpgraded()
    /// Nothing more comes from the exchange.
    func exchangeEnded(_ end: ServiceExchange.End)
}

/// One request at the service, and its response.
///
///                 connection stands          head of the response           end of the response
///     connecting ───────────────────▶ asking ─────────────────────▶ answering ──────────────────▶ over
///          │                             │  └──101──▶ upgraded: both directions until each has ended
///          └──────── failure: a page in the service's place ────────▶ over
///
/// The request's body goes to the service as it comes, and is acknowledged when the service's socket has taken it. The response is
/// read only while the tunnel takes it. A head and a small body leave in one piece.
final class ServiceExchange: ServiceConnectionUser {
    enum End {
        /// Request and response are complete.
        case complete
        /// The response is, and more of the request is to come, which nobody wants.
        case early
        /// Of an upgraded connection that the service has left for good.
        case closed
        /// The response breaks off.
        case broken
    }

    enum Purpose: Equatable {
        case visitor
        /// The request of this exchange is sent again.
        case replay(of: String)
        /// Nobody is told of it.
        case health

        fileprivate var replayed: String? { if case .replay(let id) = self { id } else { nil } }
    }

    private enum Phase: Equatable {
        case connecting
        case asking
        case answering
        case upgraded
        case over
    }

    private let service: HTTPService
    private let purpose: Purpose
    private var output: (any ExchangeOutput)?
    private var request: RequestMessage
    private var phase = Phase.connecting
    private var connection: ServiceConnection?
    private var isRetry = false

    // The request.
    private(set) var requestIsComplete = false
    private var trailers = HTTPHeaders()
    /// What came of the body before the connection stood; the stream's window bounds it.
    private var early: [ByteBuffer] = []
    private var bodySent: UInt64 = 0
    /// Bytes written to the socket that are not of the body.
    private var overhead = 0
    /// Bytes written to the socket that it has not taken.
    private var unconfirmed = 0

    // The response.
    /// Of the final response, be it the service's or a page in its place.
    private(set) var status: UInt16?
    /// Whether the service answered.
    private(set) var isAnswered = false
    private var keepsAlive = false
    /// Behind one record's head that announces the whole body, its bytes pass as they are.
    private var isAnnounced = false
    private var responseIsComplete = false
    /// Of a response that has begun to be written; leaves at the end of the turn.
    private var pending = ByteBuffer()

    // What is told of it.
    private var started = Instant.now
    private let startedAt = WallClock.milliseconds
    private(set) var lastProgress = Instant.now
    private var bodyBytes: UInt64 = 0
    private var record: ExchangeRecord?

    /// Pieces of a body up to this are copied behind the head, or behind each other: a copy costs less than a frame of its own.
    private static let joinedBytes = 8 * 1024
    /// What most heads fit in, and a small body behind them.
    private static let recordBytes = 2 * 1024
    /// Records collected within a turn at which they leave.
    private static let pendingBytes = 64 * 1024

    init(_ request: RequestMessage, at service: HTTPService, output: any ExchangeOutput, for purpose: Purpose = .visitor) {
        self.service = service
        self.purpose = purpose
        self.output = output
        self.request = request
        // A body in front of another protocol: which of them a byte belongs to could be read in two ways.
        if request.asksForUpgrade, request.body != .none { self.request.withoutUpgrade() }
        if service.isFollowed, purpose != .health {
            self.record = ExchangeRecord(
                Exchange(request: request, tunnel: service.number, url: service.url, started: self.startedAt, replayOf: purpose.replayed))
        }
    }

    // MARK: The request

    /// The request's body, and `flush`, are to follow.
    func start() {
        self.service.began(self)
        if let exchange = self.record?.exchange, let place = self.service.listener?.began(exchange) { self.record?.place = place }
        self.service.prepare(&self.request)
        if let connection = self.service.pool.take(isRepeatable: self.isRepeatable) {
            self.connection = connection
            connection.use(self)
            self.ask(connection)
        } else {
            self.connect()
        }
    }

    private func connect() {
        let connection = ServiceConnection(user: self)
        self.connection = connection
        self.service.pool.connect(connection)
    }

    /// Whether it may be sent once more when nobody knows whether it has been seen (RFC 9110 §9.2.2).
    private var isRepeatable: Bool {
        switch self.request.method {
        case "GET", "HEAD", "OPTIONS", "PUT", "DELETE", "TRACE":
            !self.request.asksForUpgrade && (self.request.body == .none || self.request.body == .bytes(0))
        default: false
        }
    }

    func connected() {
        guard self.phase == .connecting, let connection = self.connection else { return }
        self.ask(connection)
        connection.flush()
    }

    private func ask(_ connection: ServiceConnection) {
        self.phase = .asking
        self.lastProgress = .now
        var head = ByteBuffer()
        head.reserveCapacity(1_024)
        head.writeRequestHead(self.request, keepsAlive: true)
        self.overhead += head.readableBytes
        self.unconfirmed += head.readableBytes
        connection.write(head: head, method: self.request.method)
        let early = self.early
        self.early = []
        for part in early { self.write(part) }
        if self.requestIsComplete { self.writeEnd() }
    }

    /// A part of the request's body.
    func receive(_ part: ByteBuffer) {
        guard self.phase != .over else { return self.discard(part) }
        self.record?.seen.requestBody.append(part)
        self.bodySent += UInt64(part.readableBytes)
        if case .bytes(let count) = self.request.body, self.bodySent > count {
            return self.giveUp("the body of the request is longer than announced")
        }
        if self.phase == .connecting { return self.early.append(part.withoutPinning()) }
        self.write(part)
    }

    private func write(_ part: ByteBuffer) {
        guard let connection = self.connection else { return self.discard(part) }
        self.unconfirmed += part.readableBytes
        guard self.request.body == .unknown, self.phase != .upgraded else { return connection.write(part) }
        var head = ByteBuffer()
        head.writeChunkHead(part.readableBytes)
        self.writeOverhead(head, connection)
        connection.write(part)
        var end = ByteBuffer()
        end.writeChunkEnd()
        self.writeOverhead(end, connection)
    }

    private func writeOverhead(_ bytes: ByteBuffer, _ connection: ServiceConnection) {
        self.overhead += bytes.readableBytes
        self.unconfirmed += bytes.readableBytes
        connection.write(bytes)
    }

    private func discard(_ part: ByteBuffer) { self.output?.taken(part.readableBytes) }

    func receiveEnd(_ trailers: HTTPHeaders) {
        guard !self.requestIsComplete, self.phase != .over else { return }
        if case .bytes(let count) = self.request.body, self.bodySent < count {
            return self.giveUp("the body of the request is shorter than announced")
        }
        self.requestIsComplete = true
        self.record?.seen.requestHasEnded = true
        self.trailers = trailers
        if self.phase != .connecting { self.writeEnd() }
        if self.responseIsComplete { self.complete() }
    }

    private func writeEnd() {
        guard let connection = self.connection else { return }
        if self.phase == .upgraded { return connection.finishOutput() }
        guard self.request.body == .unknown else { return }
        var end = ByteBuffer()
        end.writeLastChunk(trailers: self.trailers)
        self.writeOverhead(end, connection)
    }

    /// What was received is to leave.
    func flush() {
        if self.phase != .connecting { self.connection?.flush() }
    }

    func taken(_ count: Int) {
        self.lastProgress = .now
        self.unconfirmed -= count
        let body = count - self.overhead
        self.overhead = 0
        if body > 0 { self.output?.taken(body) }
    }

    // MARK: The response

    func received(_ head: HTTPResponseHead) {
        self.lastProgress = .now
        let judged: JudgedResponse
        do {
            judged = try JudgedResponse(head, toMethod: self.request.method, askedForUpgrade: self.request.asksForUpgrade)
        } catch {
            return self.refuse(error)
        }
        var response = ResponseMessage(
            status: judged.status, reason: judged.reason, fields: judged.fields, body: judged.body)
        guard judged.status >= 200 || judged.isUpgrade else {
            self.connection?.headIsInformational()
            // The server has said so to the visitor already, or will not.
            guard judged.status != 100 else { return }
            return self.pending.writeRecord(response)
        }
        if !self.service.responseEdits.isEmpty { self.service.responseEdits.apply(to: &response.fields) }
        self.status = judged.status
        self.isAnswered = true
        self.keepsAlive = judged.keepsAlive
        self.phase = judged.isUpgrade ? .upgraded : .answering
        if judged.isUpgrade { self.upgrade() }
        if judged.isChunked { self.connection?.bodyIsChunked() }
        if self.pending.capacity == 0 { self.pending.reserveCapacity(Self.recordBytes) }
        let before = self.pending.readableBytes
        self.pending.writeRecord(response)
        self.answered(self.pending.readableBytes - before)
        if judged.hasBody, case .bytes(let count) = judged.body, count > 0, let length = Int(exactly: count) {
            self.isAnnounced = true
            self.pending.writeBodyRecordHead(length)
        }
    }

    /// The last so many bytes that are pending are the record of the response.
    private func answered(_ count: Int) {
        guard self.record != nil, let record = self.pending.getSlice(at: self.pending.writerIndex - count, length: count) else { return }
        self.record?.seen.answered(record, after: .now - self.started)
    }

    private func upgrade() {
        self.connection?.becameRaw()
        guard self.requestIsComplete else { return }
        self.requestIsComplete = false
        self.output?.exchangeUpgraded()
    }

    func received(_ body: ByteBuffer) {
        guard self.phase == .answering || self.phase == .upgraded, body.readableBytes > 0 else { return }
        self.bodyBytes += UInt64(body.readableBytes)
        self.record?.seen.responseBody.append(body)
        if !self.isAnnounced { self.pending.writeBodyRecordHead(body.readableBytes) }
        if body.readableBytes <= Self.joinedBytes {
            self.pending.writeImmutableBuffer(body)
            if self.pending.readableBytes >= Self.pendingBytes { self.sendPending() }
        } else {
            self.sendPending()
            self.send(body)
        }
    }

    func receivedEnd(_ trailers: HTTPHeaders?) {
        guard self.phase == .answering || self.phase == .upgraded, !self.responseIsComplete else { return }
        self.responseIsComplete = true
        self.pending.writeEndRecord(trailers: trailers?.sound ?? HTTPHeaders())
        self.sendPending()
        // The other direction of an upgraded connection may go on.
        if self.phase == .upgraded, !self.requestIsComplete { return }
        self.complete()
    }

    func readComplete() { self.sendPending() }

    func resumeSending() { self.connection?.resumeReading() }

    private func sendPending() {
        guard self.pending.readableBytes > 0 else { return }
        let bytes = self.pending
        self.pending = ByteBuffer()
        self.send(bytes)
    }

    private func send(_ bytes: ByteBuffer) {
        guard let output = self.output else { return }
        // Asked first: within `send` the output may already take more.
        self.connection?.pauseReading()
        if output.send(bytes) { self.connection?.resumeReading() }
    }

    // MARK: What goes wrong

    func failed(_ failure: ServiceConnection.Failure) {
        let connection = self.connection
        self.connection = nil
        switch (self.phase, failure) {
        case (.over, _): break
        case (.connecting, .notConnected(let failure)):
            if self.purpose != .health { self.service.answered(failure) }
            self.answer(.serviceUnreachable(service: self.service.address, host: self.request.fields.first(name: "Host") ?? ""))
        case (.connecting, _), (.asking, .notConnected):
            self.answer(.noAnswer(service: self.service.address))
        case (.asking, .closed):
            guard connection?.wasUsed == true, !self.isRetry, self.isRepeatable, self.status == nil else {
                return self.answer(.noAnswer(service: self.service.address))
            }
            self.isRetry = true
            self.phase = .connecting
            (self.overhead, self.unconfirmed) = (0, 0)
            self.connect()
        case (.asking, .invalid(let sentence)):
            self.refuse(MessageRefusal(502, sentence))
        case (.upgraded, _):
            guard self.responseIsComplete else { return self.end(.broken, "the service reset the connection") }
            self.end(self.requestIsComplete ? .complete : .closed, nil)
        case (.answering, .invalid(let sentence)): self.end(.broken, "the response cannot be passed on: \(sentence)")
        case (.answering, _): self.end(.broken, "the service closed the connection in the middle of its response")
        }
    }

    private func refuse(_ refusal: MessageRefusal) {
        guard self.phase == .asking else {
            return self.giveUp("the response cannot be passed on: \(refusal.sentence)")
        }
        self.answer(.invalidAnswer(service: self.service.address, refusal))
    }

    /// Called every now and then: whether the service has been silent for too long, or a replay goes on for too long.
    func check(now: Instant, timeout: Duration) {
        guard now - self.lastProgress > timeout else { return }
        // No visitor leaves who would end it, and some responses have no end.
        if self.phase == .answering, self.purpose.replayed != nil {
            return self.giveUp("the response to a replay is followed no longer than the tunnel's time-out")
        }
        guard self.phase == .connecting || self.phase == .asking else { return }
        // Otherwise the visitor is waited for.
        guard self.phase == .connecting || self.requestIsComplete || self.unconfirmed > 0 || self.request.asksForUpgrade else { return }
        self.answer(.timedOut(service: self.service.address))
    }

    /// Answers in the service's place.
    private func answer(_ page: Page) {
        let (head, body) = page.response(accept: self.request.fields["Accept"], id: self.request.id)
        self.status = head.status
        self.pending.clear()
        self.pending.writeRecord(head)
        self.answered(self.pending.readableBytes)
        if body.readableBytes > 0, self.request.method != "HEAD" {
            self.bodyBytes = UInt64(body.readableBytes)
            self.pending.writeBodyRecordHead(body.readableBytes)
            self.pending.writeImmutableBuffer(body)
            self.record?.seen.responseBody.append(body)
        }
        self.pending.writeEndRecord()
        self.sendPending()
        self.end(self.requestIsComplete ? .complete : .early, nil)
    }

    private func giveUp(_ reason: String) { self.end(.broken, reason) }

    /// The visitor or the tunnel is gone: nobody wants the response.
    func abort(_ reason: String) {
        self.output = nil
        self.end(.broken, reason)
    }

    // MARK: The end

    private func complete() {
        if let connection = self.connection, self.requestIsComplete {
            if self.phase == .upgraded {
                self.connection = nil
                connection.closeOnceWritten()
            } else if self.phase == .answering, self.keepsAlive {
                self.connection = nil
                self.service.pool.give(connection)
            }
        }
        if self.purpose != .health { self.service.answered(nil) }
        self.end(self.requestIsComplete ? .complete : .early, nil)
    }

    private func end(_ end: End, _ failure: String?) {
        guard self.phase != .over else { return }
        self.phase = .over
        let (connection, output) = (self.connection, self.output)
        self.connection = nil
        self.output = nil
        connection?.close()
        // What nobody will take any more is used up.
        let left = self.early.reduce(0) { $0 + $1.readableBytes } + max(0, self.unconfirmed - self.overhead)
        self.early = []
        if left > 0 { output?.taken(left) }
        self.service.ended(self)
        self.report(failure)
        output?.exchangeEnded(end)
    }

    private func report(_ failure: String?) {
        guard self.purpose != .health else { return }
        let duration = Instant.now - self.started
        if let record = self.record.take() {
            self.service.listener?.ended(record.exchange.ended(record.seen, failure: failure, after: duration), at: record.place)
        }
        self.service.report(
            ClientRequest(
                id: self.request.id, started: self.startedAt, method: self.request.method, path: self.request.target.shown.withoutQuery, status: self.status,
                duration: duration, bytes: self.bodyBytes, endpoint: self.request.visitor, url: self.service.url, failure: failure))
    }
}
