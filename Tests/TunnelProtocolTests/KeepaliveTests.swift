import NIOCore
import Testing

@testable import TunnelProtocol

struct KeepaliveTests {
    private static func usual() -> Keepalive {
        Keepalive(interval: .seconds(20), timeout: .seconds(45), now: .start)
    }

    @Test func `a silent peer is pinged at every interval, then declared dead`() {
        var keepalive = Self.usual()
        #expect(keepalive.nextDeadline == .at(0))
        #expect(keepalive.timeReached(now: .at(0), jitter: 0) == .ping(1))
        #expect(keepalive.nextDeadline == .at(20))
        #expect(keepalive.timeReached(now: .at(19.9), jitter: 0) == .wait)
        #expect(keepalive.timeReached(now: .at(20), jitter: 0) == .ping(2))
        #expect(keepalive.timeReached(now: .at(40), jitter: 0) == .ping(3))
        #expect(keepalive.nextDeadline == .at(45))
        #expect(keepalive.timeReached(now: .at(44.9), jitter: 0) == .wait)
        #expect(keepalive.timeReached(now: .at(45), jitter: 0) == .dead(silence: .seconds(45)))
        #expect(keepalive.timeReached(now: .at(60), jitter: 0) == .dead(silence: .seconds(60)))
    }

    @Test func `a peer that sends anything stays alive, and is pinged all the same`() {
        var keepalive = Self.usual()
        var pings = 0
        for second in 0..<600 {
            keepalive.heard(now: .at(Double(second)))
            switch keepalive.timeReached(now: .at(Double(second)), jitter: 0) {
            case .ping: pings += 1
            case .wait: break
            case .dead: Issue.record("dead at \(second) s")
            }
        }
        #expect(pings == 30)
    }

    @Test func `the first answers are followed by further PINGs soon, and the shortest round trip counts`() {
        var keepalive = Self.usual()
        var now = Instant.start
        var measured: [Duration] = []
        for (number, time) in [30, 2, 1, 5, 4].enumerated() {
            #expect(keepalive.nextDeadline == now)
            #expect(keepalive.timeReached(now: now, jitter: 0) == .ping(UInt64(number + 1)))
            now = now + .milliseconds(time)
            keepalive.heard(now: now)
            measured += [keepalive.pongReceived(UInt64(number + 1), now: now)].compactMap(\.self)
            let next = now + (number < 3 ? .milliseconds(250) : .seconds(20) - .milliseconds(time))
            #expect(keepalive.nextDeadline == next)
            now = next
        }
        #expect(measured == [30, 2, 1, 5, 4].map { .milliseconds($0) })
        #expect(keepalive.roundTrip == .milliseconds(1))
    }

    @Test func `a peer that wants few PINGs gets no more of them at the beginning`() {
        var keepalive = Self.usual()
        keepalive.relax(to: .seconds(15))
        #expect(keepalive.timeReached(now: .at(0), jitter: 0) == .ping(1))
        #expect(keepalive.pongReceived(1, now: .at(1)) == .seconds(1))
        #expect(keepalive.nextDeadline == .at(20))
    }

    @Test func `acting at each deadline, and never between, misses nothing`() {
        var keepalive = Self.usual()
        var now = Instant.start
        var actions: [Keepalive.Action] = []
        for _ in 0..<4 {
            now = max(now, keepalive.nextDeadline)
            actions.append(keepalive.timeReached(now: now, jitter: 0))
        }
        #expect(actions == [.ping(1), .ping(2), .ping(3), .dead(silence: .seconds(45))])
    }

    @Test(arguments: 0..<200 as Range<UInt64>)
    func `intervals stay within a tenth, and are not all the same`(seed: UInt64) {
        var random = SplitMix64(seed: seed)
        var keepalive = Self.usual()
        var now = Instant.start
        var intervals = Set<Duration>()
        for _ in 0..<20 {
            keepalive.heard(now: now)
            _ = keepalive.timeReached(now: now, jitter: Double.random(in: -1...1, using: &random))
            let interval = keepalive.nextDeadline - now
            #expect(interval >= .seconds(18) && interval <= .seconds(22), "seed \(seed)")
            intervals.insert(interval)
            now = keepalive.nextDeadline
        }
        #expect(intervals.count > 10, "seed \(seed)")
    }

    @Test func `jitter from beyond its range counts as its end`() {
        for (jitter, interval) in [(-9.0, 18), (-1, 18), (0, 20), (1, 22), (.infinity, 22)] {
            var keepalive = Self.usual()
            _ = keepalive.timeReached(now: .start, jitter: jitter)
            #expect(keepalive.nextDeadline - .start == .seconds(interval))
        }
    }

    @Test func `only the answer to the latest PING measures the path, and only once`() {
        var keepalive = Self.usual()
        #expect(keepalive.pongReceived(0, now: .at(0)) == nil)
        _ = keepalive.timeReached(now: .at(0), jitter: 0)
        #expect(keepalive.pongReceived(1, now: .at(0.25)) == .milliseconds(250))
        #expect(keepalive.pongReceived(1, now: .at(0.5)) == nil)
        keepalive.heard(now: .at(0.5))
        _ = keepalive.timeReached(now: .at(20), jitter: 0)
        #expect(keepalive.pongReceived(1, now: .at(20.1)) == nil)
        #expect(keepalive.pongReceived(99, now: .at(20.1)) == nil)
        #expect(keepalive.pongReceived(2, now: .at(21)) == .seconds(1))
        #expect(keepalive.roundTrip == .milliseconds(250), "the shortest one is the path's own")
    }
}

extension KeepaliveTests {
    @Test func `the quiet before a death ends with the first question that nothing followed`() {
        var keepalive = Self.usual()
        #expect(keepalive.quiet(now: .at(7)) == .seconds(7), "nobody asked")
        _ = keepalive.timeReached(now: .at(0), jitter: 0)
        keepalive.heard(now: .at(0.25))
        #expect(keepalive.quiet(now: .at(15.25)) == .seconds(15), "the answer came")
        #expect(keepalive.timeReached(now: .at(20), jitter: 0) == .ping(2))
        #expect(keepalive.quiet(now: .at(39)) == .seconds(19.75), "the path was dead when the PING left")
        #expect(keepalive.timeReached(now: .at(40), jitter: 0) == .ping(3))
        #expect(keepalive.quiet(now: .at(44)) == .seconds(19.75), "the second PING asks the same")
        keepalive.heard(now: .at(44))
        #expect(keepalive.quiet(now: .at(44)) == .zero)
    }

    @Test func `a question out of turn ends the quiet too, and leaves the interval alone`() {
        var keepalive = Self.usual()
        _ = keepalive.timeReached(now: .at(0), jitter: 0)
        keepalive.heard(now: .at(1))
        #expect(keepalive.probe(now: .at(5)) == .ping(2))
        #expect(keepalive.quiet(now: .at(9)) == .seconds(4))
        #expect(keepalive.nextDeadline == .at(20))
        #expect(keepalive.pongReceived(2, now: .at(5.5)) == .seconds(0.5))
    }
}

struct BackoffTests {
    @Test func `the ceiling grows by half from half a second to thirty seconds, and a success begins anew`() {
        var backoff = Backoff()
        let ceilings: [Duration] = (0..<12).map { _ in backoff.failed(random: 1) }
        #expect(ceilings.prefix(4) == [.seconds(0.5), .seconds(0.75), .seconds(1.125), .seconds(1.6875)])
        #expect(ceilings[10] < .seconds(30) && ceilings[11] == .seconds(30))
        #expect(backoff.failures == 12)
        backoff.succeeded()
        #expect(backoff.failures == 0)
        #expect(backoff.failed(random: 1) == .seconds(0.5))
    }

    @Test(arguments: 0..<200 as Range<UInt64>)
    func `a delay is anywhere between nothing and the ceiling`(seed: UInt64) {
        var random = SplitMix64(seed: seed)
        var backoff = Backoff()
        for attempt in 0..<40 {
            let delay = backoff.failed(random: Double.random(in: 0..<1, using: &random))
            #expect(delay >= .zero && delay <= .seconds(30), "seed \(seed), attempt \(attempt)")
            #expect(attempt > 0 || delay <= .seconds(0.5), "seed \(seed)")
        }
        var many = Backoff(first: .seconds(4), longest: .seconds(4))
        let delays = (0..<1_000).map { _ in many.failed(random: Double.random(in: 0..<1, using: &random)) }
        #expect(delays.contains { $0 < .seconds(0.4) } && delays.contains { $0 > .seconds(3.6) }, "seed \(seed)")
    }

    @Test func `a number from beyond the range counts as its end`() {
        var backoff = Backoff()
        #expect(backoff.failed(random: -1) == .zero)
        #expect(backoff.failed(random: 7) == .seconds(0.75))
    }
}

struct InstantTests {
    @Test func `arithmetic saturates at both ends of the clock`() {
        let end = Instant(nanoseconds: .max)
        #expect(end + .seconds(1) == end)
        #expect(Instant.start + .seconds(-10_000_000) == Instant(nanoseconds: 0))
        #expect(Instant.start + Duration(secondsComponent: .max, attosecondsComponent: 0) > .start)
        #expect(Instant(nanoseconds: 0) + Duration(secondsComponent: .min, attosecondsComponent: 0) == Instant(nanoseconds: 0))
        #expect(Instant.start - .at(1) == .zero)
        #expect(Instant.at(1) - .start == .seconds(1))
        #expect((end - Instant(nanoseconds: 0)).wholeNanoseconds == .max)
        #expect(Duration.seconds(-1).wholeMilliseconds == 0)
        #expect(Duration.microseconds(2_999).wholeMilliseconds == 2)
    }
}
