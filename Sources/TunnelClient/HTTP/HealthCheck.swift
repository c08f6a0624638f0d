internal import HTTPMessages
internal import NIOCore
internal import NIOHTTP1
internal import TunnelTransport

/// Asks a service again and again whether it is well.
///
///     well ──two failures in a row──▶ not well ──one success──▶ well
///
/// A status of 2xx or 3xx is a success. What takes longer than the interval is none.
final class HealthCheck: ExchangeOutput {
    /// Often enough that a deployment is noticed before many visitors meet it; the service hardly feels it.
    static let interval = TimeAmount.seconds(5)
    /// One failure may be an accident.
    static let failures = 2

    private let service: HTTPService
    private let path: String
    private let eventLoop: any EventLoop
    /// Told whenever it changes, with what was wrong last.
    private let changed: (Bool, String) -> Void
    private var exchange: ServiceExchange?
    private var timer: Scheduled<Void>?
    private var failuresInARow = 0
    private(set) var isWell = true

    init(of service: HTTPService, path: String, eventLoop: any EventLoop, changed: @escaping (_ isWell: Bool, _ answer: String) -> Void) {
        self.service = service
        self.path = path
        self.eventLoop = eventLoop
        self.changed = changed
    }

    func start() {
        guard self.timer == nil else { return }
        self.ask()
    }

    func stop() {
        self.timer?.cancel()
        self.timer = nil
        self.exchange?.abort("the client stops")
        self.exchange = nil
    }

    private func ask() {
        self.timer = self.eventLoop.assumeIsolated().scheduleTask(in: Self.interval) {
            if let late = self.exchange {
                self.exchange = nil
                late.abort("it took too long")
                if late.isAnswered { self.judge(late) } else { self.judge(isWell: false, "no answer in time") }
            }
            self.ask()
        }
        let request = RequestMessage(
            scheme: "http", id: "health", method: "GET", target: self.path,
            fields: ["Host": self.service.authority, "User-Agent": ClientSession.agent])
        // It may be over before this returns.
        var isOver = false
        self.whenOver = { isOver = true }
        let exchange = self.service.perform(request, body: ByteBuffer(), for: .health, output: self)
        self.whenOver = nil
        if isOver { self.judge(exchange) } else { self.exchange = exchange }
    }

    private var whenOver: (() -> Void)?

    private func judge(_ exchange: ServiceExchange) {
        guard exchange.isAnswered, let status = exchange.status else { return self.judge(isWell: false, "no answer") }
        self.judge(isWell: 200..<400 ~= status, "\(status)")
    }

    private func judge(isWell: Bool, _ answer: String) {
        self.failuresInARow = isWell ? 0 : self.failuresInARow + 1
        let verdict = isWell || self.isWell && self.failuresInARow < Self.failures
        guard verdict != self.isWell else { return }
        self.isWell = verdict
        self.changed(verdict, answer)
    }

    // MARK: From the exchange

    func send(_ records: ByteBuffer) -> Bool { true }

    func taken(_ count: Int) {}
    func exchangeUpgraded() {}

    func exchangeEnded(_ end: ServiceExchange.End) {
        if let whenOver = self.whenOver { return whenOver() }
        guard let exchange = self.exchange else { return }
        self.exchange = nil
        self.judge(exchange)
    }
}

/// Nobody waits for what is sent again: the listener sees it.
final class ReplayOutput: ExchangeOutput {
    func send(_ records: ByteBuffer) -> Bool { true }
    func taken(_ count: Int) {}
    func exchangeUpgraded() {}
    func exchangeEnded(_ end: ServiceExchange.End) {}
}
