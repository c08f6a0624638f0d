internal import HTTPMessages
internal import NIOCore
internal import TunnelProtocol
internal import TunnelTransport

/// A stream of an HTTP tunnel: the server's requests come on it one after the other, and their responses go back.
///
///     between requests ──request──▶ exchange ──response complete, request complete──▶ between requests
///                                      └──response complete, request not──▶ skipping ──end──▶ between requests
///
/// Credit is returned for what the service has taken, and at once for what nobody wants.
final class ExchangeStream: StreamEnd, ExchangeOutput {
    let link: LinkDriver
    private let id: StreamID
    private let service: HTTPService
    private var decoder = MessageDecoder(.requests)
    private var exchange: ServiceExchange?
    /// The rest of a request whose response is complete.
    private var isSkipping = false
    /// What comes now is for a service that has closed an upgraded connection: it resets, as a socket would.
    private var refusesMore = false
    /// Bytes of the present turn that are used up.
    private var used = 0
    private var isTouched = false
    private var takesMore = true
    /// The server sends no further request.
    private var inputIsFinished = false
    /// No further response comes from here. Until the server agrees, a request that crosses this resets the stream: it has reached nobody.
    private var outputIsFinished = false
    private var hasEnded = false

    init(_ id: StreamID, of link: LinkDriver, to service: HTTPService) {
        self.id = id
        self.link = link
        self.service = service
    }

    // MARK: From the link

    func write(_ bytes: ByteBuffer) -> Bool {
        guard !self.hasEnded else { return false }
        guard !self.outputIsFinished else {
            self.fail(.goingAway)
            return false
        }
        self.used += bytes.readableBytes
        self.decoder.receive(bytes)
        do {
            while !self.hasEnded, let record = try self.decoder.next() { self.receive(record) }
        } catch {
            self.service.logger.warning("the server broke the rules of a stream", metadata: ["stream": "\(self.id)", "reason": "\(error.sentence)"])
            self.fail(.internalError)
        }
        defer { self.isTouched = true }
        return !self.isTouched
    }

    private func receive(_ record: MessageRecord) {
        switch record {
        case .request(let request):
            guard self.exchange == nil else { return self.fail(.internalError) }
            // Most answers are short, and somebody waits for each.
            self.link.payAttention()
            let exchange = ServiceExchange(request, at: self.service, output: self)
            self.exchange = exchange
            exchange.start()
        case .body(let part):
            guard !self.refusesMore else { return self.fail(.connectionReset) }
            guard let exchange = self.exchange else { return }
            self.used -= part.readableBytes
            exchange.receive(part)
        case .end(let trailers):
            if let exchange = self.exchange { return exchange.receiveEnd(trailers) }
            self.isSkipping = false
            self.refusesMore = false
            self.betweenRequests()
        case .response: self.fail(.internalError)
        }
    }

    func flush(now: Instant) {
        self.isTouched = false
        guard !self.hasEnded else { return }
        if self.used > 0 {
            let used = self.used
            self.used = 0
            self.link.taken(used, from: self.id, now: now)
        }
        self.exchange?.flush()
    }

    func resumeSending() {
        self.takesMore = true
        self.exchange?.resumeSending()
    }

    func finish() {
        self.inputIsFinished = true
        if let exchange = self.exchange {
            // Requests end with a record; the end of the stream inside of one leaves it incomplete.
            guard exchange.requestIsComplete else { return self.fail(.connectionReset) }
        } else {
            self.end()
        }
    }

    func reset(_ code: ResetCode) {
        self.drop("the visitor left")
    }

    func linkEnded() {
        self.drop("the session with the server ended")
    }

    private func drop(_ reason: String) {
        guard !self.hasEnded else { return }
        self.hasEnded = true
        self.service.ended(self)
        let exchange = self.exchange
        self.exchange = nil
        exchange?.abort(reason)
    }

    // MARK: From the exchange

    func send(_ records: ByteBuffer) -> Bool {
        guard !self.hasEnded else { return true }
        self.takesMore = self.link.send(records, on: self.id)
        let takesMore = self.takesMore
        self.link.sent()
        return takesMore
    }

    func taken(_ count: Int) {
        guard !self.hasEnded else { return }
        self.link.taken(count, from: self.id, now: .now)
    }

    func exchangeUpgraded() { self.decoder.upgraded() }

    func exchangeEnded(_ end: ServiceExchange.End) {
        guard !self.hasEnded else { return }
        self.exchange = nil
        switch end {
        case .complete: self.betweenRequests()
        case .early: self.isSkipping = true
        case .closed:
            self.isSkipping = true
            self.refusesMore = true
        case .broken: self.fail(.connectionReset)
        }
    }

    // MARK: The end

    private func betweenRequests() {
        guard self.exchange == nil, !self.isSkipping, self.inputIsFinished, self.decoder.isBetweenMessages else { return }
        self.end()
    }

    private func end() {
        guard !self.hasEnded else { return }
        if !self.outputIsFinished {
            self.outputIsFinished = true
            self.link.finish(self.id)
        }
        guard self.inputIsFinished else { return }
        self.hasEnded = true
        self.service.ended(self)
        self.link.closed(self.id)
    }

    private func fail(_ code: ResetCode) {
        guard !self.hasEnded else { return }
        self.drop("the stream failed")
        self.link.reset(self.id, code)
    }
}
