import NIOCore
import Testing

@testable import TunnelProtocol

struct LinkConnectionTests {
    private static let hello = Frame.Hello(agent: "client/1", terms: Frame.Terms())
    private static let welcome = Frame.Welcome(
        agent: "server/1", terms: Frame.Terms(), session: SessionID(Opaque16(high: 1, low: 2)),
        token: ResumeToken(Opaque16(high: 3, low: 4), Opaque16(high: 5, low: 6)))

    private static func keepalive() -> Keepalive {
        Keepalive(interval: .seconds(20), timeout: .seconds(45), now: .start)
    }

    private static func server() -> LinkConnection { LinkConnection(keepalive: keepalive()) }

    private static func client() -> LinkConnection {
        var client = LinkConnection(hello: hello, keepalive: keepalive())
        #expect(client.nextOutbound() == .hello(hello))
        return client
    }

    private static func establishedClient() throws -> LinkConnection {
        var client = client()
        _ = try client.receive(.welcome(welcome))
        return client
    }

    private static func establishedServer() throws -> LinkConnection {
        var server = server()
        _ = try server.receive(.hello(hello))
        server.welcome(welcome)
        #expect(server.nextOutbound() == .welcome(welcome))
        return server
    }

    /// Every frame that may follow the greeting and must not come before it.
    private static let later: [[UInt8]] = [
        hex("03 00"), hex("04 00 00 00 00 00 00 00 01"), hex("05 00 00 00 00 00 00 00 01"), hex("10 01 00"),
        hex("20 01 01"), hex("22 01 00"), hex("23 01"), hex("3f"),
    ]

    /// - Parameter expected: Seconds between a server's first two PINGs, and after which it takes a silent client for dead.
    @Test(arguments: [(nil, 20.0, 45.0), (5_000, 20, 45), (80_000, 80, 180), (600_000, 600, 1_350), (Varint.maximum, 600, 1_350)])
    func `a client may ask for rarer PINGs, within bounds`(milliseconds: UInt64?, interval: Double, patience: Double) throws {
        var server = Self.server()
        var hello = Self.hello
        hello.pingIntervalMilliseconds = milliseconds
        _ = try server.receive(.hello(hello))
        server.welcome(Self.welcome)
        #expect(server.timeReached(now: .at(0), jitter: 0) == .ping(1))
        #expect(server.timeReached(now: .at(interval - 0.1), jitter: 0) == .wait)
        #expect(server.timeReached(now: .at(interval), jitter: 0) == .ping(2))
        #expect(server.timeReached(now: .at(patience - 0.1), jitter: 0) != .dead(silence: .seconds(patience - 0.1)))
        #expect(server.timeReached(now: .at(patience), jitter: 0) == .dead(silence: .seconds(patience)))
    }

    @Test func `a client greets first, and is established by WELCOME`() throws {
        var client = LinkConnection(hello: Self.hello, keepalive: Self.keepalive())
        #expect(client.hasOutbound)
        #expect(client.nextOutbound() == .hello(Self.hello))
        #expect(!client.hasOutbound && client.nextOutbound() == nil)
        #expect(!client.isEstablished)
        #expect(try client.receive(.welcome(Self.welcome)) == .welcome(Self.welcome))
        #expect(client.isEstablished)
    }

    @Test func `a server is silent until HELLO, and established by its WELCOME`() throws {
        var server = Self.server()
        #expect(!server.hasOutbound)
        #expect(try server.receive(.hello(Self.hello)) == .hello(Self.hello))
        #expect(!server.hasOutbound && !server.isEstablished)
        server.welcome(Self.welcome)
        #expect(server.isEstablished)
        #expect(server.nextOutbound() == .welcome(Self.welcome))
    }

    @Test func `nothing but the greeting may come first`() throws {
        for message in Self.later {
            for var connection in [Self.server(), Self.client()] {
                #expect(violation { _ = try connection.receive(message) } == .unexpectedFrame, "\(message)")
            }
            var greeted = Self.server()
            _ = try greeted.receive(.hello(Self.hello))
            #expect(violation { _ = try greeted.receive(message) } == .unexpectedFrame, "\(message) before WELCOME")
        }
    }

    @Test func `the first part of DATA before the greeting is refused already`() {
        var server = Self.server()
        #expect(
            violation { _ = try server.receive(ByteBuffer(bytes: [0x22, 1, 0]), isLast: false, now: .start) }
                == .unexpectedFrame)
    }

    @Test func `a greeting comes once, and from the right side`() throws {
        var server = try Self.establishedServer()
        #expect(violation { _ = try server.receive(.hello(Self.hello)) } == .unexpectedFrame)
        server = try Self.establishedServer()
        #expect(violation { _ = try server.receive(.welcome(Self.welcome)) } == .unexpectedFrame)
        server = Self.server()
        #expect(violation { _ = try server.receive(.welcome(Self.welcome)) } == .unexpectedFrame)
        _ = try server.receive(.hello(Self.hello))
        #expect(violation { _ = try server.receive(.hello(Self.hello)) } == .unexpectedFrame)

        var client = Self.client()
        #expect(violation { _ = try client.receive(.hello(Self.hello)) } == .unexpectedFrame)
        client = try Self.establishedClient()
        #expect(violation { _ = try client.receive(.welcome(Self.welcome)) } == .unexpectedFrame)
    }

    @Test func `a server that leaves may say so instead of WELCOME, but a client greets first`() throws {
        let goAway = Frame.GoAway(reason: .shutdown, graceMilliseconds: 0)
        var client = Self.client()
        #expect(try client.receive(.goAway(goAway)) == .goAway(goAway))
        #expect(try client.receive(.welcome(Self.welcome)) == .welcome(Self.welcome))
        var server = Self.server()
        #expect(violation { _ = try server.receive(.goAway(goAway)) } == .unexpectedFrame)
        server = Self.server()
        _ = try server.receive(.hello(Self.hello))
        #expect(try server.receive(.goAway(goAway)) == .goAway(goAway))
    }

    @Test func `an unknown frame of the connection is ignored, and one of the link is counted`() throws {
        var server = try Self.establishedServer()
        #expect(try server.receive(hex("0f 01 02")) == nil)
        #expect(try server.receive(hex("1f 01 02")) == .link(.ignored(type: 0x1F)))
        #expect(try server.receive(hex("3f")) == .link(.ignored(type: 0x3F)))
        #expect(violation { _ = try server.receive(hex("40")) } == .unknownFrame)
    }

    @Test func `frames of the link are handed through, DATA part by part`() throws {
        var client = try Self.establishedClient()
        #expect(try client.receive(.finish(StreamID(2))) == .link(.frame(.finish(StreamID(2)))))
        #expect(try client.receive(hex("03 05")) == .acknowledgement(5))
        #expect(
            try client.receive(ByteBuffer(bytes: [0x22, 2, 9]), isLast: false, now: .start)
                == .link(.data(StreamID(2), ByteBuffer(bytes: [9]), isLast: false)))
        #expect(
            try client.receive(ByteBuffer(bytes: [8]), isLast: true, now: .start)
                == .link(.data(StreamID(2), ByteBuffer(bytes: [8]), isLast: true)))
    }

    @Test func `of PINGs that wait for an answer only the latest gets one`() throws {
        var server = try Self.establishedServer()
        server.goAway(Frame.GoAway(reason: .connectionAge, graceMilliseconds: 1))
        for payload in 1...100_000 as ClosedRange<UInt64> where payload % 1_000 == 0 {
            #expect(try server.receive(.ping(payload)) == nil)
        }
        #expect(server.nextOutbound() == .goAway(Frame.GoAway(reason: .connectionAge, graceMilliseconds: 1)))
        #expect(server.nextOutbound() == .pong(100_000))
        #expect(server.nextOutbound() == nil)
        #expect(try server.receive(.ping(7)) == nil)
        #expect(server.nextOutbound() == .pong(7))
    }

    @Test func `a PONG measures the path`() throws {
        var client = try Self.establishedClient()
        #expect(client.timeReached(now: .at(1), jitter: 0) == .ping(1))
        #expect(client.nextOutbound() == .ping(1))
        #expect(
            try client.receive(ByteBuffer(bytes: Frame.pong(1).encoded), isLast: true, now: .at(1.5))
                == .roundTrip(.milliseconds(500)))
        #expect(client.roundTrip == .milliseconds(500))
        #expect(try client.receive(.pong(1)) == nil)
    }

    @Test func `the first PING goes out with the greeting done, however long that took`() throws {
        for var connection in [Self.client(), Self.server()] {
            #expect(connection.nextDeadline == .at(45), "a caller that sleeps until the deadline does not spin")
            #expect(connection.timeReached(now: .at(0), jitter: 0) == .wait)
            #expect(connection.timeReached(now: .at(1), jitter: 0) == .wait)
            #expect(!connection.hasOutbound)
            if try connection.receive(.welcome(Self.welcome), orHello: Self.hello) {
                connection.welcome(Self.welcome)
                _ = connection.nextOutbound()
            }
            #expect(connection.nextDeadline <= .at(2))
            #expect(connection.timeReached(now: .at(2), jitter: 0) == .ping(1))
            #expect(connection.nextOutbound() == .ping(1))
            #expect(connection.nextDeadline == .at(22))
        }
    }

    @Test func `silence ends a connection before the greeting and after it`() throws {
        var client = Self.client()
        #expect(client.timeReached(now: .at(45), jitter: 0) == .dead(silence: .seconds(45)))
        var server = try Self.establishedServer()
        server.heard(now: .at(30))
        #expect(server.timeReached(now: .at(45), jitter: 0) == .ping(1))
        #expect(server.timeReached(now: .at(75), jitter: 0) == .dead(silence: .seconds(45)))
    }
}

extension LinkConnection {
    fileprivate mutating func receive(_ frame: Frame) throws(PeerViolation) -> Input? {
        try self.receive(frame.encoded)
    }

    fileprivate mutating func receive(_ message: [UInt8]) throws(PeerViolation) -> Input? {
        try self.receive(ByteBuffer(bytes: message), isLast: true, now: .start)
    }

    /// Whichever greeting this side waits for; returns whether it was HELLO.
    fileprivate mutating func receive(_ welcome: Frame, orHello hello: Frame.Hello) throws(PeerViolation) -> Bool {
        var trial = self
        if (try? trial.receive(welcome)) != nil {
            self = trial
            return false
        }
        _ = try self.receive(.hello(hello))
        return true
    }
}
