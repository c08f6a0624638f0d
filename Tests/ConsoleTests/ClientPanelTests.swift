import Testing
import TunnelClient
import TunnelTransport

@testable import ws_tunnel_client

/// What the client's panel says.
@Suite struct ClientPanelTests {
    private let start = ContinuousClock.now
    private let date = "2026-11-21 09:30:00"
    private let lost = OperatorError(.unreachable, "the connection is lost")

    private func panel(_ exposures: String..., links: Int = 1) throws -> ClientPanel {
        ClientPanel(
            ClientConfiguration(
                server: try ServerURL("wss://tunnel.example.com"), key: "key", exposures: try exposures.map { try Exposure($0) },
                stateFolder: StateFolder(path: "/nowhere"), links: links))
    }

    @Test func `it says where requests can be looked at`() throws {
        var panel = try self.panel("http://127.0.0.1:3000")
        let before = panel.lines(ClientStatistics(), now: self.start)
        panel.learn(.inspector(url: "http://127.0.0.1:4040"), now: self.start, date: self.date)
        #expect(panel.lines(ClientStatistics(), now: self.start) == before + ["| inspector http://127.0.0.1:4040"])
    }

    @Test func `it follows a session from its beginning through a pause to its loss`() throws {
        var panel = try self.panel("8000", "unix:/run/app.sock,name=app")
        let exposures = [try Exposure("8000"), try Exposure("unix:/run/app.sock,name=app")]
        var statistics = ClientStatistics()
        func state(_ time: Duration) -> String { panel.lines(statistics, now: self.start + time)[0] }

        #expect(
            panel.lines(statistics, now: self.start) == [
                "| connecting to wss://tunnel.example.com", "| 0 streams open, 0 so far",
                "| no public address -> 127.0.0.1:8000", "| no public address -> unix:/run/app.sock (app)",
            ])
        panel.learn(.lost(self.lost, retryIn: .seconds(3), attempt: 1), now: self.start, date: self.date)
        #expect(state(.seconds(1)) == "| not connected for 1 s, next attempt in 2 s at wss://tunnel.example.com")
        #expect(state(.seconds(4)) == "| not connected for 4 s, trying now at wss://tunnel.example.com")

        statistics.links = 1
        panel.learn(.connected(server: ""), now: self.start, date: self.date)
        panel.learn(.tunnel(id: "", url: "tunnel.example.com:41159", exposure: exposures[0]), now: self.start, date: self.date)
        statistics.openStreams = 3
        statistics.streams = 17
        #expect(
            panel.lines(statistics, now: self.start) == [
                "| online since 2026-11-21 09:30:00 at wss://tunnel.example.com", "| 3 streams open, 17 so far",
                "| tunnel.example.com:41159 -> 127.0.0.1:8000", "| no public address -> unix:/run/app.sock (app)",
            ])

        statistics.pausedLinks = 1
        statistics.waitingStreams = 3
        panel.learn(.paused(self.lost, streams: 3, retryIn: .seconds(2), attempt: 1), now: self.start, date: self.date)
        #expect(state(.zero) == "| paused for 0 s: 3 streams wait, next attempt in 2 s at wss://tunnel.example.com")
        #expect(state(.seconds(12)) == "| paused for 12 s: 3 streams wait, trying now at wss://tunnel.example.com")

        statistics.pausedLinks = 0
        statistics.waitingStreams = 0
        statistics.resumptions = 1
        statistics.repeatedBytes = 183_042
        panel.learn(.resumed(streams: 3, repeatedBytes: 183_042, after: .seconds(12)), now: self.start, date: self.date)
        #expect(
            panel.lines(statistics, now: self.start).prefix(3) == [
                "| online since 2026-11-21 09:30:00 at wss://tunnel.example.com",
                "| 3 streams open, 17 so far; resumed 1 time, 183042 bytes sent again",
                "| tunnel.example.com:41159 -> 127.0.0.1:8000",
            ])

        statistics = ClientStatistics()
        statistics.lostSessions = 1
        panel.learn(.lost(self.lost, retryIn: .seconds(5), attempt: 2), now: self.start, date: self.date)
        #expect(
            panel.lines(statistics, now: self.start + .seconds(2)).prefix(3) == [
                "| lost for 2 s, next attempt in 3 s at wss://tunnel.example.com",
                "| 0 streams open, 0 so far; 1 session lost", "| no public address -> 127.0.0.1:8000",
            ])
    }

    @Test func `a pause begins anew after the one before`() throws {
        var panel = try self.panel("8000")
        var statistics = ClientStatistics()
        statistics.links = 1
        panel.learn(.connected(server: ""), now: self.start, date: self.date)
        for begin in [0, 100] {
            statistics.pausedLinks = 1
            let now = self.start + .seconds(begin)
            _ = panel.lines(statistics, now: now)
            #expect(panel.lines(statistics, now: now + .seconds(7))[0].hasPrefix("| paused for 7 s"))
            statistics.pausedLinks = 0
            _ = panel.lines(statistics, now: now + .seconds(8))
        }
    }

    @Test func `one of several links that is paused does not make the session so`() throws {
        var panel = try self.panel("8000", links: 4)
        var statistics = ClientStatistics()
        (statistics.links, statistics.pausedLinks, statistics.waitingStreams, statistics.openStreams) = (4, 1, 2, 9)
        panel.learn(.connected(server: ""), now: self.start, date: self.date)
        #expect(
            panel.lines(statistics, now: self.start)[0]
                == "| online since 2026-11-21 09:30:00, but 1 of 4 links is paused: 2 streams wait")
        statistics.pausedLinks = 4
        #expect(panel.lines(statistics, now: self.start)[0].hasPrefix("| paused for 0 s: 2 streams wait"))
    }

    @Test func `a client that stops says for how long its streams may go on`() throws {
        var panel = try self.panel("8000")
        var statistics = ClientStatistics()
        statistics.openStreams = 1
        panel.stop(now: self.start)
        let line = panel.lines(statistics, now: self.start + .seconds(10))[0]
        #expect(line == "| stopping: 1 stream has 20 s to end; a second Ctrl-C ends all at once")
        statistics.openStreams = 0
        // The last word, whatever still comes.
        panel.learn(.connected(server: ""), now: self.start, date: self.date)
        panel.learn(.lost(self.lost, retryIn: .zero, attempt: 0), now: self.start, date: self.date)
        #expect(panel.lines(statistics, now: self.start)[0] == "| stopping")
    }

    @Test func `tunnels asked for in the same words each get an address, and many are counted`() throws {
        var panel = try self.panel("8000", "8000", "1", "2", "3", "4", "5")
        for port in 1...2 {
            panel.learn(.tunnel(id: "", url: "localhost:\(port)", exposure: try Exposure("8000")), now: self.start, date: self.date)
        }
        let lines = panel.lines(ClientStatistics(), now: self.start).dropFirst(2)
        #expect(lines.count == 6)
        #expect(lines.prefix(2) == ["| localhost:1 -> 127.0.0.1:8000", "| localhost:2 -> 127.0.0.1:8000"])
        #expect(lines.last == "| and 2 more tunnels")
    }
}
