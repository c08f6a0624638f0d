internal import HTTPMessages
internal import Intermediaries
internal import Logging
internal import NIOCore
internal import OpenSSL
internal import TunnelProtocol
internal import TunnelTransport

/// The service of one HTTP tunnel: its connections, the requests under way at it, and the rules for their heads.
///
/// It outlives sessions: connections to the service do not care which one brings the next request.
final class HTTPService {
    let number: TunnelNumber
    /// As the operator wrote it, for pages: `127.0.0.1:3000`.
    let address: String
    /// For Host: `127.0.0.1:3000`, without the usual port (RFC 9110 §7.2).
    let authority: String
    let pool: ServicePool
    let logger: Logger
    let responseEdits: FieldEdits
    /// The tunnel's public URL, once it has one.
    var url = ""
    /// Nothing is copied for nobody.
    var listener: (any ExchangeListener)? { didSet { self.isFollowed = self.listener != nil } }
    /// Asked for every request, without a look into the listener's box.
    private(set) var isFollowed = false
    /// Told of every failure to connect, and of the first success after one.
    var whenAnswered: ((ServiceFailure?) -> Void)?
    private var hasFailed = false
    var whenReported: ((consuming ClientRequest) -> Void)?

    private let eventLoop: any EventLoop
    private let requestEdits: FieldEdits
    private let host: HostHeader
    private let asksForCredentials: Bool
    private let timeout: Duration
    private var exchanges: [ObjectIdentifier: ServiceExchange] = [:]
    private var streams: [ObjectIdentifier: ExchangeStream] = [:]
    private var timer: Scheduled<Void>?

    init(
        _ number: TunnelNumber, _ exposure: Exposure, _ http: HTTPExposure, contexts: ServiceContexts, logger: Logger,
        eventLoop: any EventLoop
    ) {
        self.number = number
        self.address = "\(exposure.service)"
        self.authority = exposure.service.authority(usualPort: http.isSecure ? 443 : 80)
        self.logger = logger
        self.eventLoop = eventLoop
        var tls: (context: TLSContext, host: String)?
        if http.isSecure, let context = http.verifiesCertificate ? contexts.verifying : contexts.trusting {
            tls = (context, exposure.service.host)
        }
        self.pool = ServicePool(ServiceConnector(exposure.service), tls: tls, eventLoop: eventLoop)
        self.requestEdits = FieldEdits(http.requestFields)
        self.responseEdits = FieldEdits(http.responseFields)
        self.host = HostHeader(http.hostField)
        self.asksForCredentials = !http.credentials.isEmpty
        self.timeout = http.timeout
    }

    // MARK: Requests

    /// What the service sees of a request.
    func prepare(_ request: inout RequestMessage) {
        // Fields that nobody touches stay as they came.
        if self.host != .preserve { self.host.apply(to: &request.fields, service: self.authority) }
        // The password is the tunnel's, and not for the service.
        if self.asksForCredentials { request.fields.remove(name: "Authorization") }
        if !self.requestEdits.isEmpty { self.requestEdits.apply(to: &request.fields) }
    }

    /// Performs a request of ours as if it had come through the tunnel.
    func perform(_ request: RequestMessage, body: ByteBuffer, for purpose: ServiceExchange.Purpose, output: any ExchangeOutput) -> ServiceExchange {
        let exchange = ServiceExchange(request, at: self, output: output, for: purpose)
        exchange.start()
        if body.readableBytes > 0 { exchange.receive(body) }
        exchange.receiveEnd([:])
        exchange.flush()
        return exchange
    }

    func began(_ exchange: ServiceExchange) {
        self.exchanges[ObjectIdentifier(exchange)] = exchange
        self.startTimer()
    }

    func ended(_ exchange: ServiceExchange) {
        self.exchanges[ObjectIdentifier(exchange)] = nil
    }

    func answered(_ failure: ServiceFailure?) {
        // One success after another is no news.
        guard failure != nil || self.hasFailed else { return }
        self.hasFailed = failure != nil
        self.whenAnswered?(failure)
    }

    func report(_ request: consuming ClientRequest) { self.whenReported?(request) }

    // MARK: Streams

    /// The server opened a stream for requests.
    func open(_ id: StreamID, of link: LinkDriver) {
        let stream = ExchangeStream(id, of: link, to: self)
        self.streams[ObjectIdentifier(stream)] = stream
        link.join(stream, to: id)
        link.connected(id)
    }

    func ended(_ stream: ExchangeStream) {
        self.streams[ObjectIdentifier(stream)] = nil
    }

    // MARK: Time

    /// Fine enough for the shortest time-out, and seldom otherwise: one look at all requests costs less than a timer for each.
    private var interval: TimeAmount {
        .nanoseconds(min(1_000_000_000, max(50_000_000, self.timeout.wholeNanoseconds / 4)))
    }

    private func startTimer() {
        guard self.timer == nil else { return }
        self.timer = self.eventLoop.assumeIsolated().scheduleTask(in: self.interval) {
            self.timer = nil
            let now = Instant.now
            for exchange in self.exchanges.values { exchange.check(now: now, timeout: self.timeout) }
            self.pool.sweep(now: now)
            if !self.exchanges.isEmpty || !self.pool.isEmpty { self.startTimer() }
        }
    }

    /// The client ends.
    func close() {
        self.timer?.cancel()
        self.timer = nil
        self.pool.close()
        for exchange in self.exchanges.values { exchange.abort("the client stopped") }
        self.timer?.cancel()
    }
}

/// What connections to services are secured with.
struct ServiceContexts: Sendable {
    /// By the system's authorities.
    var verifying: TLSContext?
    /// Without looking at the certificate.
    var trusting: TLSContext?

    /// - Throws: `OperatorError`.
    init(_ exposures: [Exposure]) throws {
        let secure = exposures.compactMap(\.http).filter(\.isSecure)
        do {
            if secure.contains(where: \.verifiesCertificate) { self.verifying = try TLSContext(client: .authorities()) }
            if secure.contains(where: { !$0.verifiesCertificate }) { self.trusting = try TLSContext(client: .unverified) }
        } catch {
            throw OperatorError(.failure, "cannot prepare TLS for the services: \(error)")
        }
    }
}

extension ServiceAddress {
    /// Whose name a certificate has to bear.
    fileprivate var host: String {
        switch self {
        case .tcp(let host, _): host
        case .unix: "localhost"
        }
    }

    fileprivate func authority(usualPort: UInt16) -> String {
        switch self {
        case .unix: return "localhost"
        case .tcp(let host, let port):
            let isUsual = port == usualPort
            return host.contains(":") ? "[\(host)]" + (isUsual ? "" : ":\(port)") : host + (isUsual ? "" : ":\(port)")
        }
    }
}

extension HostHeader {
    fileprivate init(_ field: HTTPExposure.HostField) {
        switch field {
        case .preserve: self = .preserve
        case .rewrite: self = .rewrite
        case .value(let host): self = .value(host)
        }
    }
}

extension FieldEdits {
    /// They have been checked when they were read: one that cannot be is left out.
    fileprivate init(_ edits: [HTTPExposure.FieldEdit]) {
        self.init()
        for edit in edits {
            switch edit {
            case .add(let name, let value): try? self.add(name, value)
            case .remove(let name): try? self.remove(name)
            }
        }
    }
}
