import Foundation
import Testing

/// Behind the load balancers that people use, each with its example of Fixtures/balancers: none of them is noticed by a visitor.
@Suite struct BalancerTests {
    /// What one case came to.
    private struct Passage: Sendable {
        let traffic: Traffic.Figures
        let pausesInTransfer: Int
        let pausesAtRest: Int
        let hasLearned: Bool
        /// From whom the server says the client came.
        let address: String?
        let lostSessions: Int
    }

    /// One transfer at a time; waiting is done by all at once.
    private static let transfer = DispatchSemaphore(value: 1)

    /// The whole proof: `WS_TUNNEL_BALANCER_MB=100 WS_TUNNEL_BALANCER_IDLE_SECONDS=60 Tests/run --filter BalancerTests`.
    @Test(arguments: ExampleBalancer.Case.all)
    func `visitors notice neither a reload in mid-transfer nor idle time-outs`(which: ExampleBalancer.Case) async throws {
        let streams = 3
        let bytes = Extent.balancerMebibytes << 20
        let passage = try await self.apart { stage in
            let source = try Traffic.Source(on: stage)
            let balancer = try ExampleBalancer(which, on: stage)
            let (client, traffic, pausesInTransfer) = try Self.withTransfer {
                let client = try balancer.client(to: source.port)
                let port = try client.event("tunnel").port("url")
                let traffic = try Traffic(from: source, through: port, streams: streams, rate: 16 << 20, on: stage)
                try traffic.carry(bytes / 2)
                try balancer.reload()
                try traffic.carry(bytes / 2)
                try traffic.rest()
                return (client, traffic, try client.pauses().count)
            }
            let mark = client.mark
            Thread.sleep(until: Date() + TimeInterval(Extent.balancerIdleSeconds))
            if which.product.cutsIdleConnections { try client.pausesEnded(1, since: mark) }
            let pausesAtRest = try client.pauses(since: mark).count
            try traffic.flow()
            try traffic.carry(1 << 20)
            return Passage(
                traffic: try traffic.finish(), pausesInTransfer: pausesInTransfer, pausesAtRest: pausesAtRest,
                hasLearned: client.count(ofLinesContaining: "this path cuts idle connections after about ") > 0,
                address: try balancer.server.event("connected")["address"], lostSessions: balancer.server.events("lost").count)
        }
        #expect(passage.traffic.sent >= bytes && passage.traffic.received >= bytes)
        #expect(passage.pausesInTransfer == (which.product.cutsOnReload ? 1 : 0))
        #expect(passage.lostSessions == 0)
        // A header of the PROXY protocol tells a port, X-Forwarded-For does not.
        let address = try #require(passage.address)
        #expect(which.way == .pass ? address.hasPrefix("127.0.0.1:") : address == "127.0.0.1")
        if !which.product.cutsIdleConnections {
            #expect(passage.pausesAtRest == 0)
        } else if Extent.balancerIdleSeconds >= 4 * ExampleBalancer.idleLimit {
            #expect(passage.hasLearned && passage.pausesAtRest <= 3)
        }
        if Extent.balancerMebibytes >= 100 {
            print(
                """
                \(which): \(streams) visitors, \(passage.traffic.sent >> 20) MiB there and \(passage.traffic.received >> 20) MiB back each; \
                pauses: \(passage.pausesInTransfer) in transfer, \(passage.pausesAtRest) at rest; \
                longest silence \(passage.traffic.silence) ms
                """)
        }
    }

    /// Caddy ends each WebSocket with a Close of its own, wherever in a frame the connection stands.
    @Test(arguments: [ExampleBalancer.Way.terminate, .reencrypt])
    func `reloads of Caddy under full load damage no frame`(way: ExampleBalancer.Way) async throws {
        let reloads = 5
        let pauses = try await self.apart { stage in
            let source = try Traffic.Source(on: stage)
            let balancer = try ExampleBalancer(.init(product: .caddy, way: way), on: stage)
            return try Self.withTransfer {
                let client = try balancer.client(to: source.port)
                // More than there is room for.
                let traffic = try Traffic(
                    from: source, through: client.event("tunnel").port("url"), streams: 2, rate: 1 << 30, on: stage)
                for reload in 1...reloads {
                    try traffic.carry(1 << 20)
                    try balancer.reload()
                    try client.pausesEnded(reload)
                }
                try traffic.finish()
                return try client.pauses().count
            }
        }
        #expect(pauses == reloads)
    }

    @Test(arguments: ExampleBalancer.Product.allCases)
    func `signs of life more often than the idle time-out keep the connection`(product: ExampleBalancer.Product) async throws {
        let pauses = try await self.apart { stage in
            let echo = try stage.echo()
            let balancer = try ExampleBalancer(.init(product: product, way: .terminate), on: stage)
            let client = try balancer.client(to: echo.port, ["--keepalive", "4s"])
            let visitor = try stage.visit(client.event("tunnel").port("url"))
            try exchange(visitor)
            Thread.sleep(until: Date() + TimeInterval(ExampleBalancer.idleLimit + 3))
            try exchange(visitor)
            return try client.pauses().count
        }
        #expect(pauses == 0)
    }

    @Test(.enabled(if: ForwardProxy.machineAddress != nil, "loopback never goes through a proxy, and this machine has no other address"))
    func `through squid and HAProxy, what one telnet peer types, the others read`() throws {
        try Stage.run { stage in
            let address = try #require(ForwardProxy.machineAddress)
            let (port, broker) = try stage.broker()
            let balancer = try ExampleBalancer(
                .init(product: .haproxy, way: .terminate), host: (address, address), on: stage)
            let squid = try ForwardProxy.squid(on: stage, to: balancer.port)
            let client = try balancer.client(to: port, ["--proxy", "http://user:p%40ss%3Aw0rd@\(squid.authority)"])
            let tunnel = try client.event("tunnel").port("url")
            try client.line(containing: "connected", "proxy=")
            // A reload of HAProxy in between is not noticed.
            try stage.talk(by: tunnel, broker) { try balancer.reload() }
        }
    }

    // MARK: Inside

    private static func withTransfer<Value>(_ body: () throws -> Value) throws -> Value {
        self.transfer.wait()
        defer { self.transfer.signal() }
        return try body()
    }

    /// Runs a case on a thread of its own, where it may wait without keeping other tests from running.
    private func apart<Value: Sendable>(_ body: @escaping @Sendable (Stage) throws -> Value) async throws -> Value {
        try await withCheckedThrowingContinuation { continuation in
            Thread.detachNewThread {
                continuation.resume(
                    with: Result {
                        var value: Value?
                        try Stage.run { value = try body($0) }
                        guard let value else { throw Failure("the case said nothing") }
                        return value
                    })
            }
        }
    }
}
