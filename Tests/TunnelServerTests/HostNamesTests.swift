import NIOCore
import NIOPosix
import Testing
import TunnelProtocol
import TunnelTransport

@testable import TunnelServer

/// Who owns which name, and which of a group's members gets the next request.
@Suite struct HostNamesTests {
    private let names = HostNames()

    private func tunnel(_ name: String, kind: Frame.TunnelKind = .http) -> NamedTunnel {
        NamedTunnel(
            name, id: TunnelID(random: .random()), kind: kind, policy: nil, home: MultiThreadedEventLoopGroup.singleton.any()
        ) { _, _, _ in nil }
    }

    private func found(_ host: String, tried: [NamedTunnel] = []) -> NamedTunnel? {
        guard case .tunnel(let tunnel) = self.names.destination(of: host, tried: tried) else { return nil }
        return tunnel
    }

    @Test func `a name has one owner until it is given back`() {
        let (first, second) = (self.tunnel("app.example.com"), self.tunnel("app.example.com"))
        #expect(self.names.claim(for: first, key: 0, group: ""))
        #expect(!self.names.claim(for: second, key: 0, group: ""))
        #expect(!self.names.claim(for: second, key: 0, group: "blue"))
        #expect(self.found("app.example.com") === first)
        // What it does not have, it cannot give back.
        self.names.release(second)
        #expect(self.found("app.example.com") === first)
        self.names.release(first)
        #expect(self.names.claim(for: second, key: 1, group: ""))
        #expect(self.found("app.example.com") === second)
    }

    @Test func `to know where the next request will be answered counts nothing, and leaves the turn where it is`() {
        let name = "app.example.com"
        let members = [self.tunnel(name), self.tunnel(name), self.tunnel(name)]
        for tunnel in members { #expect(self.names.claim(for: tunnel, key: 0, group: "blue")) }
        for expected in members + members {
            for _ in 0..<5 { #expect(self.names.home(of: name) === expected.home) }
            #expect(members.allSatisfy { $0.reluctance == (0, 0) })
            #expect(self.found(name) === expected)
            expected.requestEnded()
        }
        #expect(self.names.home(of: "other.example.com") == nil)
        #expect(self.names.claim(for: self.tunnel("tls.example.com", kind: .tls), key: 0, group: ""))
        #expect(self.names.home(of: "tls.example.com") == nil)
    }

    @Test func `a group shares a name with the same key, kind and group only`() {
        let name = "app.example.com"
        #expect(self.names.claim(for: self.tunnel(name), key: 0, group: "blue"))
        #expect(self.names.claim(for: self.tunnel(name), key: 0, group: "blue"))
        #expect(!self.names.claim(for: self.tunnel(name), key: 1, group: "blue"))
        #expect(!self.names.claim(for: self.tunnel(name), key: 0, group: "green"))
        #expect(!self.names.claim(for: self.tunnel(name), key: 0, group: ""))
        #expect(!self.names.claim(for: self.tunnel(name, kind: .tls), key: 0, group: "blue"))
    }

    @Test func `a name that was given back is remembered for ten minutes`() {
        let tunnel = self.tunnel("app.example.com")
        #expect(self.names.claim(for: tunnel, key: 0, group: ""))
        let released = NIODeadline.now()
        self.names.release(tunnel, now: released)
        guard case .away = self.names.destination(of: "app.example.com", now: released + .minutes(9)) else {
            Issue.record("forgotten")
            return
        }
        guard case .unknown = self.names.destination(of: "app.example.com", now: released + .minutes(11)) else {
            Issue.record("remembered for too long")
            return
        }
        guard case .unknown = self.names.destination(of: "other.example.com") else {
            Issue.record("remembered without having been there")
            return
        }
    }

    @Test func `only so many names are remembered, the newest of them`() {
        for number in 0..<1_100 {
            let tunnel = self.tunnel("app-\(number).example.com")
            #expect(self.names.claim(for: tunnel, key: 0, group: ""))
            self.names.release(tunnel)
        }
        #expect(!self.names.knows("app-0.example.com"))
        #expect(self.names.knows("app-1099.example.com"))
    }

    @Test func `the member with the fewest requests under way gets the next one`() {
        let members = (0..<3).map { _ in self.tunnel("app.example.com") }
        for member in members { #expect(self.names.claim(for: member, key: 0, group: "blue")) }
        // Each is counted until it ends.
        let first = (0..<3).compactMap { _ in self.found("app.example.com") }
        #expect(Set(first.map(\.id)) == Set(members.map(\.id)))
        members[1].requestEnded()
        #expect(self.found("app.example.com") === members[1])
        // And in turn where they are alike.
        for member in members { member.requestEnded() }
        let later = (0..<3).compactMap { _ in
            let found = self.found("app.example.com")
            found?.requestEnded()
            return found
        }
        #expect(Set(later.map(\.id)) == Set(members.map(\.id)))
    }

    @Test func `members that are not well, or not connected, are left out while there are others`() {
        let members = (0..<3).map { _ in self.tunnel("app.example.com") }
        for member in members { #expect(self.names.claim(for: member, key: 0, group: "blue")) }
        members[0].isWell = false
        members[1].set(isCarried: false)
        for _ in 0..<5 { #expect(self.found("app.example.com") === members[2]) }
        // Not well is better than not there.
        self.names.release(members[2])
        #expect(self.found("app.example.com") === members[0])
        self.names.release(members[0])
        #expect(self.found("app.example.com") === members[1])
    }

    @Test func `each member is asked once`() {
        let members = (0..<2).map { _ in self.tunnel("app.example.com") }
        for member in members { #expect(self.names.claim(for: member, key: 0, group: "blue")) }
        guard let first = self.found("app.example.com"), let second = self.found("app.example.com", tried: [first]) else {
            Issue.record("no member")
            return
        }
        #expect(first !== second)
        #expect(self.found("app.example.com", tried: [first, second]) == nil)
    }

    @Test(.timeLimit(.minutes(5))) func `who waits for a tunnel's connection hears of it, or that there will be none`() async throws {
        let loop = MultiThreadedEventLoopGroup.singleton.any()
        let tunnel = self.tunnel("app.example.com")
        tunnel.set(isCarried: false)
        let carried = tunnel.whenCarried(within: .minutes(10), on: loop)
        tunnel.set(isCarried: true)
        #expect(try await carried.get())
        tunnel.set(isCarried: false)
        #expect(try await !tunnel.whenCarried(within: .milliseconds(1), on: loop).get())
        let waiting = tunnel.whenCarried(within: .minutes(10), on: loop)
        tunnel.close()
        #expect(try await !waiting.get())
        #expect(try await !tunnel.whenCarried(within: .minutes(10), on: loop).get())
    }
}
