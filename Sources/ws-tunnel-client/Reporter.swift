import Console
import Logging
import TunnelClient
import TunnelTransport

/// Tells people and scripts what the client does: lines on standard error, addresses on standard output, or events.
struct Reporter: Sendable {
    let logger: Logger
    let events: EventStream
    let isJSON: Bool
    let panel: LivePanel<ClientPanel>?
    private let requests: LineBatch
    private let form: RequestLog.Form
    private let namesTunnels: Bool
    private let listsRequests: Bool

    /// - Parameter namesTunnels: Whether a request's line says which tunnel it came through.
    init(logger: Logger, format: LogFormat, events: EventStream, isJSON: Bool, panel: LivePanel<ClientPanel>?, namesTunnels: Bool) {
        self.logger = logger
        self.events = events
        self.isJSON = isJSON
        self.panel = panel
        self.namesTunnels = namesTunnels
        let sink = isJSON ? OutputSink.standardOutput : OutputSink.standardError
        self.form = isJSON ? .event : sink.isTerminal && format == .text ? .aligned : .plain(format)
        self.requests = LineBatch(to: sink)
        // Events are not log lines, and have no level.
        self.listsRequests = isJSON || logger.logLevel <= .info
    }

    /// Before the program ends.
    func flush() { self.requests.flush() }

    func report(_ event: ClientEvent) {
        if case .request(let request) = event {
            guard self.listsRequests else { return }
            return self.requests.add { [form, namesTunnels] in RequestLog.write(request, form, namesTunnel: namesTunnels, into: &$0) }
        }
        self.panel?.update { $0.learn(event, now: .now, date: Timestamp.local()) }
        switch event {
        case .connected(let server):
            self.events.send("connected") { $0.set("server", server) }
        case .tunnel(let id, let url, let exposure):
            self.exposed(id, url)
            self.events.send("tunnel") {
                $0.set("id", id)
                $0.set("url", url)
                $0.set("expose", exposure.target)
                if !exposure.name.isEmpty { $0.set("name", exposure.name) }
            }
        case .paused(let error, let streams, let delay, let attempt):
            let waiting = streams == 0 ? "" : "\(streams) open \(streams == 1 ? "stream waits" : "streams wait"). "
            self.logger.report(error, at: .warning, also: waiting + self.retry(delay, attempt))
            self.attemptFailed("paused", error, delay, attempt) { $0.set("streams", streams) }
        case .resumed(let streams, let repeatedBytes, let pause):
            self.logger.notice(
                """
                the connection is back after \(self.tenths(pause)) s; \
                \(streams) \(streams == 1 ? "stream goes" : "streams go") on, \(repeatedBytes) bytes sent again
                """)
            self.events.send("resumed") {
                $0.set("streams", streams)
                $0.set("replayedBytes", repeatedBytes)
                $0.set("pausedMilliseconds", Int(pause.milliseconds))
            }
        case .lost(let error, let delay, let attempt):
            self.logger.report(error, at: .error, also: attempt > 0 ? self.retry(delay, attempt) : nil)
            self.attemptFailed("lost", error, delay, attempt)
        case .serviceUnavailable(_, let error):
            self.logger.report(error, at: .warning)
            self.event(error)
        case .serviceAvailable(let exposure):
            self.logger.notice("\(exposure.target) accepts visitors again")
        case .tunnelRefused(_, let error):
            self.logger.report(error, at: .warning, also: "Asking again every 2 s.")
            self.event(error)
        case .warning(let error):
            self.logger.report(error, at: .warning)
            self.event(error)
        case .inspector(let url):
            self.logger.notice("Inspector \(url)")
            self.events.send("inspector") { $0.set("url", url) }
        case .request: break  // See above: they do not come one by one.
        }
    }

    /// The address is the result: on a terminal in a sentence, for a script alone on its line.
    private func exposed(_ id: String, _ url: String) {
        let sentence = "exposed with tunnel id \(id), url: \(url)"
        guard !self.isJSON else { return self.logger.notice("\(sentence)") }
        if OutputSink.standardOutput.isTerminal {
            OutputSink.standardOutput.write(line: sentence)
        } else {
            self.logger.notice("\(sentence)")
            OutputSink.standardOutput.write(line: url)
        }
    }

    private func retry(_ delay: Duration, _ attempt: Int) -> String {
        "Retrying in \(self.tenths(delay)) s (attempt \(attempt))."
    }

    private func tenths(_ time: Duration) -> String {
        let tenths = (time.milliseconds + 50) / 100
        return "\(tenths / 10).\(tenths % 10)"
    }

    private func attemptFailed(
        _ event: String, _ error: OperatorError, _ delay: Duration, _ attempt: Int, _ more: (inout JSONObject) -> Void = { _ in }
    ) {
        self.events.send(event) {
            $0.set("code", Int(error.code.rawValue))
            $0.set("message", error.message)
            $0.set("attempt", attempt)
            $0.set("retryInMilliseconds", Int(delay.milliseconds))
            more(&$0)
        }
    }

    private func event(_ error: OperatorError) {
        self.events.send("error") {
            $0.set("code", Int(error.code.rawValue))
            $0.set("message", error.message)
        }
    }
}

extension Duration {
    fileprivate var milliseconds: Int64 { self.components.seconds * 1_000 + self.components.attoseconds / 1_000_000_000_000_000 }
}
