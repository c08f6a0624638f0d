internal import HTTPMessages
internal import Intermediaries
internal import Logging
internal import NIOCore
internal import NIOHTTP1
internal import OpenSSL
internal import TunnelProtocol
internal import TunnelTransport

/// One request of a visitor's, from its head to the end of its answer. Confined to the visitor's event loop.
///
///     routed by Host ──▶ allowed by the tunnel's policy ──▶ carried ──▶ sent ──▶ answered ──▶ ended
///           │                     │                          │          │ nothing listens at this member's service:
///           ▼ 404, 503            ▼ 401, 403, 413            ▼ 503      ▼ the next member of the group, or 502
final class VisitorExchange: ResponseReader {
    let request: JudgedRequest
    private let connection: VisitorConnection
    /// Whether the visitor would go on afterwards.
    private let keepsAlive: Bool
    private var message: RequestMessage
    private let origin: ForwardedNode
    private let isDisputed: Bool
    private var tunnel: NamedTunnel?
    private var tried: [NamedTunnel] = []
    private var hasWaited = false
    private var stream: VisitorStream?
    /// The whole request has come from the visitor.
    private(set) var isRequestWhole = false
    private var trailers = HTTPHeaders()
    private var takesMore = true
    private var bodyBytes: UInt64 = 0
    /// What has been sent of the body, as long as another member of the group may have to get it.
    private var kept: [ByteBuffer]? = []
    private var keptBytes = 0
    /// How the answer is written, once its head is.
    private var answer: WrittenResponse?
    private var answerBytesLeft: UInt64 = 0
    private var isUpgraded = false
    private var visitorHasFinished = false
    private var answerHasFinished = false
    private var hasEnded = false
    /// What waits for the flush.
    private var out = ByteBuffer()

    /// For a tunnel whose client has lost its connection, to get another: most do within a second.
    private static let carryTime = TimeAmount.seconds(5)
    /// Of a body, for another member of the group: forms, not uploads.
    private static let keptBytes = 64 * 1024
    /// What most heads fit in.
    private static let headBytes = 1_024
    /// Pieces of an answer that are shorter go out together.
    private static let gatheredBytes = 16 * 1024

    init(_ request: JudgedRequest, of connection: VisitorConnection, keepsAlive: Bool) {
        self.request = request
        self.connection = connection
        self.keepsAlive = keepsAlive
        let (server, peer) = (connection.server, connection.peer)
        let isTrusted = server.trustedProxies.contains(peer.address)
        var fields = request.fields
        let forwarded = ForwardedAddresses(
            peer: peer, trusted: server.trustedProxies,
            forwardedFor: isTrusted ? fields["X-Forwarded-For"] : [], forwarded: isTrusted ? fields["Forwarded"] : [],
            forwardedProto: isTrusted ? fields["X-Forwarded-Proto"] : [])
        self.origin = forwarded.origin
        self.isDisputed = forwarded.isDisputed
        let isSecure = forwarded.proto.map { $0 == "https" || $0 == "wss" } ?? (connection.transport.security != nil)
        let scheme = isSecure ? "https" : "http"
        let id = fields.setForwarding(
            origin: forwarded.origin, peer: peer, peerIsTrusted: isTrusted, scheme: scheme, host: request.authority, id: Self.newID())
        self.message = RequestMessage(
            visitor: Endpoint(forwarded.origin.address, port: forwarded.origin.port ?? 0), scheme: scheme, id: id,
            method: request.method, target: request.target, fields: fields, body: request.body,
            asksForUpgrade: request.upgrade != nil)
    }

    /// 64 random bits: enough to find a request by, and short to read out.
    static func newID() -> String {
        var bits = RandomBits.next64()
        var text: [UInt8] = []
        text.reserveCapacity(16)
        for _ in 0..<16 {
            let digit = UInt8(truncatingIfNeeded: bits & 0xF)
            text.append(digit < 10 ? UInt8(ascii: "0") + digit : UInt8(ascii: "a") + digit - 10)
            bits >>= 4
        }
        return String(decoding: text, as: UTF8.self)
    }

    /// Whether the visitor's next bytes are for it, and have somewhere to go.
    var wantsBody: Bool { !self.isRequestWhole && self.takesMore && self.stream != nil }

    private var hasBody: Bool { self.request.body != .none && self.request.body != .bytes(0) }

    // MARK: Its way to a tunnel

    func begin() {
        self.isRequestWhole = !self.hasBody
        switch self.connection.server.names.destination(of: self.request.host) {
        case .tunnel(let tunnel): self.ask(tunnel)
        case .away: self.answer(.clientAway(host: self.request.authority))
        case .unknown:
            if let health = self.connection.server.health(self.request.method, self.request.target) {
                self.answer(ResponseMessage(health), ByteBuffer(string: health.body))
            } else {
                let isNamed = self.connection.server.isForVisitors(self.request.host)
                self.answer(isNamed ? .noSuchTunnel(host: self.request.authority) : .noDomain)
            }
        }
    }

    private func ask(_ tunnel: NamedTunnel) {
        self.tunnel = tunnel
        guard tunnel.kind == .http else { return self.answer(.noSuchTunnel(host: self.request.authority)) }
        if let policy = tunnel.policy {
            switch policy.verdict(visitor: self.isDisputed ? nil : self.origin.address, authorization: self.request.fields["Authorization"]) {
            case .allowed: break
            case .forbidden: return self.answer(.forbidden)
            case .unauthorized: return self.answer(.unauthorized)
            }
            if let limit = policy.maximumBodyBytes, case .bytes(let count) = self.request.body, count > limit {
                return self.answer(.tooLarge(limit: limit))
            }
        }
        guard !tunnel.isCarried else { return self.send(to: tunnel) }
        // Once is enough, however many members the group has: this one came because all others wait, too.
        guard !self.hasWaited else { return self.answer(.resuming(host: self.request.authority)) }
        self.hasWaited = true
        let bound = NIOLoopBound(self, eventLoop: self.connection.eventLoop)
        tunnel.whenCarried(within: Self.carryTime, on: self.connection.eventLoop).whenSuccess { isCarried in
            let exchange = bound.value
            guard !exchange.hasEnded else { return }
            if isCarried { exchange.send(to: tunnel) } else { exchange.askAnother(or: .resuming(host: exchange.request.authority)) }
            exchange.connection.wantsMore()
        }
    }

    /// This member of the group cannot answer: perhaps another can.
    private func askAnother(or page: Page) {
        guard let other = self.nextMember() else { return self.answer(page) }
        self.ask(other)
    }

    private func nextMember() -> NamedTunnel? {
        guard let tunnel = self.tunnel, self.kept != nil else { return nil }
        self.tried.append(tunnel)
        guard case .tunnel(let other) = self.connection.server.names.destination(of: self.request.host, tried: self.tried) else {
            self.tried.removeLast()
            return nil
        }
        tunnel.requestEnded()
        return other
    }

    private func send(to tunnel: NamedTunnel) {
        let stream = self.connection.streams.stream(to: tunnel, visitor: self.message.visitor)
        guard stream.isOpen else { return self.askAnother(or: .busy) }
        self.stream = stream
        stream.begin(self)
        var bytes = ByteBuffer()
        bytes.reserveCapacity(Self.headBytes)
        if tunnel.policy?.asksForCredentials == true {
            // What the tunnel itself asked for is not for its service.
            var message = self.message
            message.fields.remove(name: "Authorization")
            bytes.writeRecord(message)
        } else {
            bytes.writeRecord(self.message)
        }
        for part in self.kept ?? [] {
            bytes.writeBodyRecordHead(part.readableBytes)
            bytes.writeImmutableBuffer(part)
        }
        if self.isRequestWhole { bytes.writeEndRecord(trailers: self.trailers) }
        self.takesMore = stream.send(bytes)
        if self.request.expectsContinue, self.bodyBytes == 0, self.connection.isWaitingForBody {
            self.write(ResponseMessage(status: 100, reason: "Continue"))
            self.flush()
        }
        self.connection.server.logger.debug(
            "request",
            metadata: [
                "id": "\(self.message.id)", "method": "\(self.request.method)", "host": "\(self.request.host)",
                "path": "\(self.request.target.prefix { $0 != "?" })", "tunnel": "\(tunnel.id)", "visitor": "\(self.origin)",
            ])
    }

    // MARK: The request's body

    func received(_ bytes: ByteBuffer) {
        guard let stream = self.stream, !self.hasEnded else { return }
        self.bodyBytes += UInt64(bytes.readableBytes)
        if let limit = self.tunnel?.policy?.maximumBodyBytes, self.bodyBytes > limit {
            guard self.answer == nil else { return self.cut() }
            return self.answer(.tooLarge(limit: limit))
        }
        if self.kept != nil {
            self.keptBytes += bytes.readableBytes
            if self.keptBytes > Self.keptBytes { self.kept = nil } else { self.kept?.append(bytes) }
        }
        self.takesMore = Self.send(bytes, on: stream)
    }

    private static func send(_ bytes: ByteBuffer, on stream: VisitorStream) -> Bool {
        var record = ByteBuffer()
        record.writeBodyRecordHead(bytes.readableBytes)
        guard bytes.readableBytes > Self.gatheredBytes else {
            record.writeImmutableBuffer(bytes)
            return stream.send(record)
        }
        _ = stream.send(record)
        return stream.send(bytes)
    }

    func requestEnded(_ trailers: HTTPHeaders) {
        // Without a body it was whole when it began.
        guard !self.isRequestWhole else { return }
        self.isRequestWhole = true
        self.trailers = trailers
        guard let stream = self.stream else { return }
        var bytes = ByteBuffer()
        bytes.writeEndRecord(trailers: trailers)
        _ = stream.send(bytes)
    }

    func streamTakesMore(_ stream: VisitorStream) {
        self.takesMore = true
        if self.isUpgraded { self.connection.setReading(true) } else { self.connection.wantsMore() }
    }

    // MARK: The answer

    func stream(_ stream: VisitorStream, received record: MessageRecord) {
        switch record {
        case .response(let head): self.received(head)
        case .body(let bytes): self.answerContinues(bytes)
        case .end(let trailers): self.answerEnds(trailers)
        case .request: self.cut()
        }
    }

    private func received(_ head: ResponseMessage) {
        guard self.answer == nil else { return self.cut() }
        switch head.status {
        case 101:
            guard self.message.asksForUpgrade, self.isRequestWhole else { return self.cut() }
            self.isUpgraded = true
            self.answer = self.write(head)
            self.flush()
            self.connection.upgraded()
        case ..<200:
            // The visitor got its 100 here, and one of HTTP/1.0 knows of none.
            if head.status != 100, !self.request.isHTTP10 { self.write(head) }
        default:
            if head.failure == .unreachable, let other = self.nextMember() {
                self.stream?.reset(.connectionReset)
                self.stream = nil
                return self.ask(other)
            }
            self.kept = nil
            let answer = self.write(head)
            self.answer = answer
            if case .bytes(let count) = answer.framing { self.answerBytesLeft = count }
        }
    }

    private func answerContinues(_ bytes: ByteBuffer) {
        switch self.answer?.framing {
        case nil: return self.cut()
        case .none? where self.isUpgraded: self.write(bytes)
        // What must not be there could be taken for the next answer.
        case .none?: return self.cut()
        case .bytes?:
            guard UInt64(bytes.readableBytes) <= self.answerBytesLeft else { return self.cut() }
            self.answerBytesLeft -= UInt64(bytes.readableBytes)
            self.write(bytes)
        case .chunked?:
            self.out.writeChunkHead(bytes.readableBytes)
            self.write(bytes)
            self.out.writeChunkEnd()
        case .untilClose?: self.write(bytes)
        }
    }

    private func answerEnds(_ trailers: HTTPHeaders) {
        guard let answer = self.answer, self.answerBytesLeft == 0 else { return self.cut() }
        if self.isUpgraded {
            self.answerHasFinished = true
            self.flush()
            return self.endUpgradeIfFinished()
        }
        if answer.framing == .chunked { self.out.writeLastChunk(trailers: trailers) }
        self.end(keepsAlive: answer.keepsAlive)
    }

    @discardableResult
    private func write(_ head: ResponseMessage) -> WrittenResponse {
        self.out.reserveCapacity(minimumWritableBytes: Self.headBytes)
        return self.out.writeResponseHead(
            head, toMethod: self.request.method, toHTTP10: self.request.isHTTP10,
            keepsAlive: self.keepsAlive && self.isRequestWhole && self.connection.mayGoOn,
            id: head.status >= 200 ? self.message.id : nil)
    }

    private func write(_ bytes: ByteBuffer) {
        guard self.out.readableBytes + bytes.readableBytes > Self.gatheredBytes else {
            self.out.writeImmutableBuffer(bytes)
            return
        }
        self.writeOut()
        self.connection.transport.write(bytes)
    }

    private func writeOut() {
        guard self.out.readableBytes > 0 else { return }
        self.connection.transport.write(self.out)
        self.out = ByteBuffer()
    }

    private func flush() {
        self.writeOut()
        self.connection.transport.flush()
    }

    func streamReadComplete(_ stream: VisitorStream) {
        self.flush()
        if self.connection.transport.isWritable { stream.confirm() }
        self.connection.progressed()
    }

    func visitorTakesMore() { self.stream?.confirm() }

    /// The server answers by itself.
    private func answer(_ page: Page) {
        let (head, body) = page.response(accept: self.request.fields["Accept"], id: self.message.id)
        self.answer(head, body)
    }

    private func answer(_ head: ResponseMessage, _ body: ByteBuffer) {
        let answer = self.write(head)
        if answer.framing != .none { self.out.writeImmutableBuffer(body) }
        self.end(keepsAlive: answer.keepsAlive)
    }

    // MARK: Its end

    private func end(keepsAlive: Bool) {
        guard !self.hasEnded else { return }
        self.flush()
        let keepsAlive = keepsAlive && self.isRequestWhole
        self.leave(isComplete: self.isRequestWhole)
        self.connection.exchangeEnded(keepsAlive: keepsAlive)
    }

    private func leave(isComplete: Bool) {
        self.hasEnded = true
        self.tunnel?.requestEnded()
        let stream = self.stream
        self.stream = nil
        if isComplete { stream?.end() } else { stream?.reset(.connectionReset) }
    }

    /// Its answer cannot go on; what has been written must not look complete.
    private func cut() {
        guard !self.hasEnded else { return }
        self.leave(isComplete: false)
        self.connection.cut()
    }

    func visitorLeft() {
        if !self.hasEnded { self.leave(isComplete: false) }
    }

    /// The visitor broke the rules in the middle of its request.
    func refused(_ refusal: MessageRefusal) {
        guard !self.hasEnded else { return }
        let hasAnswer = self.answer != nil
        if !hasAnswer {
            let (head, body) = Page.refused(refusal).response(accept: self.request.fields["Accept"], id: self.message.id)
            self.isRequestWhole = false
            self.write(head)
            self.out.writeImmutableBuffer(body)
            self.flush()
        }
        self.leave(isComplete: false)
        if hasAnswer { self.connection.cut() }
    }

    func stream(_ stream: VisitorStream, ended code: ResetCode) {
        guard !self.hasEnded else { return }
        self.stream = nil
        guard self.answer == nil else { return self.cut() }
        // Nothing of it has reached a service, or it may be asked twice (RFC 9110 §9.2.2).
        let mayRepeat = [.tooManyStreams, .noSuchTunnel, .goingAway].contains(code) || !self.hasBody && Self.isSafe(self.request.method)
        let page: Page = code == .tooManyStreams ? .busy : code == .noSuchTunnel ? .clientAway(host: self.request.authority) : .interrupted
        if mayRepeat { self.askAnother(or: page) } else { self.answer(page) }
        if !self.hasEnded { self.connection.wantsMore() }
    }

    private static func isSafe(_ method: String) -> Bool { ["GET", "HEAD", "OPTIONS", "TRACE"].contains(method) }

    // MARK: After a 101

    func visitorSent(_ bytes: ByteBuffer) {
        guard let stream = self.stream, !self.visitorHasFinished else { return }
        self.takesMore = Self.send(bytes, on: stream)
        if !self.takesMore { self.connection.setReading(false) }
    }

    func visitorFinished() {
        guard let stream = self.stream, !self.visitorHasFinished else { return }
        self.visitorHasFinished = true
        var bytes = ByteBuffer()
        bytes.writeEndRecord()
        _ = stream.send(bytes)
        self.endUpgradeIfFinished()
    }

    private func endUpgradeIfFinished() {
        if self.answerHasFinished, !self.visitorHasFinished { return self.connection.finishOutput() }
        guard self.answerHasFinished, self.visitorHasFinished, !self.hasEnded else { return }
        self.leave(isComplete: true)
        self.connection.exchangeEnded(keepsAlive: false)
    }
}
