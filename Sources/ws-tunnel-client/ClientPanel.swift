import TunnelClient
import TunnelTransport

/// What the panel says of a client: its state, what it carries, its tunnels. Time is an argument.
///
///     | online since 2026-11-21 09:30:00 at wss://tunnel.example.com:8443
///     | 3 streams open, 17 so far; resumed 2 times, 183042 bytes sent again
///     | tunnel.example.com:41159 -> 127.0.0.1:8000
///     | inspector http://127.0.0.1:4040                    with HTTP tunnels
struct ClientPanel: Sendable {
    typealias Instant = ContinuousClock.Instant

    private enum State {
        case connecting(since: Instant?)
        /// With links that wait for their next connection, or without.
        case online(since: String)
        case lost(at: Instant)
        case stopping(until: Instant)
    }

    private struct Tunnel {
        let exposure: Exposure
        /// Its public address, once it has one.
        var url: String?
    }

    private let server: String
    private let gracePeriod: Duration
    private var tunnels: [Tunnel]
    private var state = State.connecting(since: nil)
    private var nextAttempt: Instant?
    private var pausedAt: Instant?
    /// Where requests can be looked at.
    private var inspector: String?

    /// The others are still there, and in the log.
    private static let shownTunnels = 5

    init(_ configuration: ClientConfiguration) {
        self.server = "\(configuration.server)"
        self.gracePeriod = configuration.gracePeriod
        self.tunnels = configuration.exposures.map { Tunnel(exposure: $0) }
    }

    // MARK: What happens

    /// - Parameter date: What a clock on the wall shows.
    mutating func learn(_ event: ClientEvent, now: Instant, date: String) {
        switch event {
        case .connected:
            self.forgetAddresses()
            self.nextAttempt = nil
            self.change(to: .online(since: date))
        case .tunnel(_, let url, let exposure):
            // Two tunnels may well be asked for in the same words.
            let index = self.tunnels.firstIndex { $0.exposure == exposure && $0.url == nil }
                ?? self.tunnels.firstIndex { $0.exposure == exposure }
            if let index { self.tunnels[index].url = url }
        case .paused(_, _, let delay, _):
            self.nextAttempt = now + delay
        case .resumed:
            self.nextAttempt = nil
        case .lost(_, let delay, _):
            self.forgetAddresses()
            self.nextAttempt = delay > .zero ? now + delay : nil
            switch self.state {
            case .connecting(since: nil): self.state = .connecting(since: now)
            case .online: self.state = .lost(at: now)
            case .connecting, .lost, .stopping: break
            }
        case .inspector(let url):
            self.inspector = url
        case .serviceUnavailable, .serviceAvailable, .tunnelRefused, .warning, .request: break
        }
    }

    /// The client has been asked to end.
    mutating func stop(now: Instant) {
        self.change(to: .stopping(until: now + self.gracePeriod))
    }

    private mutating func change(to state: State) {
        if case .stopping = self.state { return }
        self.state = state
    }

    private mutating func forgetAddresses() {
        for index in self.tunnels.indices { self.tunnels[index].url = nil }
    }

    // MARK: What is shown

    mutating func lines(_ statistics: ClientStatistics, now: Instant) -> [String] {
        self.pausedAt = statistics.pausedLinks > 0 ? self.pausedAt ?? now : nil
        let lines = [self.stateLine(statistics, now), self.countLine(statistics)] + self.tunnelLines()
        return (lines + (self.inspector.map { ["inspector \($0)"] } ?? [])).map { "| " + $0 }
    }

    private func stateLine(_ statistics: ClientStatistics, _ now: Instant) -> String {
        switch self.state {
        case .connecting(since: nil): return "connecting to \(self.server)"
        case .connecting(let since?):
            return "not connected for \(Self.seconds(since, now)), \(self.attempt(now)) at \(self.server)"
        case .online(let since):
            let waiting = Self.count(statistics.waitingStreams, "stream waits", "streams wait")
            guard let pausedAt = self.pausedAt else { return "online since \(since) at \(self.server)" }
            guard statistics.pausedLinks == statistics.links else {
                let verb = statistics.pausedLinks == 1 ? "is" : "are"
                return """
                    online since \(since), but \(statistics.pausedLinks) of \(statistics.links) links \(verb) paused: \(waiting)
                    """
            }
            return "paused for \(Self.seconds(pausedAt, now)): \(waiting), \(self.attempt(now)) at \(self.server)"
        case .lost(let at): return "lost for \(Self.seconds(at, now)), \(self.attempt(now)) at \(self.server)"
        case .stopping(let end):
            guard statistics.openStreams > 0 else { return "stopping" }
            let open = Self.count(statistics.openStreams, "stream has", "streams have")
            return "stopping: \(open) \(Self.seconds(now, end)) to end; a second Ctrl-C ends all at once"
        }
    }

    private func attempt(_ now: Instant) -> String {
        guard let nextAttempt = self.nextAttempt, nextAttempt > now else { return "trying now" }
        return "next attempt in \(Self.seconds(now, nextAttempt))"
    }

    private func countLine(_ statistics: ClientStatistics) -> String {
        var line = "\(Self.count(statistics.openStreams, "stream", "streams")) open, \(statistics.streams) so far"
        if statistics.requests > 0 { line += "; \(Self.count(statistics.requests, "request", "requests"))" }
        if statistics.resumptions > 0 {
            line += "; resumed \(Self.count(statistics.resumptions, "time", "times"))"
            line += ", \(Self.count(statistics.repeatedBytes, "byte", "bytes")) sent again"
        }
        if statistics.lostSessions > 0 { line += "; \(Self.count(statistics.lostSessions, "session", "sessions")) lost" }
        return line
    }

    private func tunnelLines() -> [String] {
        var lines = self.tunnels.prefix(Self.shownTunnels).map { tunnel in
            let name = tunnel.exposure.name.isEmpty ? "" : " (\(tunnel.exposure.name))"
            return "\(tunnel.url ?? "no public address") -> \(tunnel.exposure.target)\(name)"
        }
        let rest = self.tunnels.count - lines.count
        if rest > 0 { lines.append("and \(Self.count(rest, "more tunnel", "more tunnels"))") }
        return lines
    }

    private static func count(_ number: Int, _ one: String, _ many: String) -> String {
        "\(number) \(number == 1 ? one : many)"
    }

    /// To the nearest second.
    private static func seconds(_ start: Instant, _ end: Instant) -> String {
        let time = max(.zero, end - start).components
        return "\(time.seconds + (time.attoseconds >= 500_000_000_000_000_000 ? 1 : 0)) s"
    }
}
