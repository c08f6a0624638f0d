import Testing

@testable import TunnelProtocol

struct PathMemoryTests {
    private static func usual() -> PathMemory { PathMemory(interval: .seconds(20)) }

    @Test func `one death teaches nothing, a second one after the same silence does`() {
        var path = Self.usual()
        #expect(path.died(after: .seconds(12)) == nil)
        #expect(path.interval == .seconds(20))
        let lesson = path.died(after: .seconds(15))
        #expect(lesson?.silence == .seconds(12), "the shorter of the two")
        #expect(lesson.map { abs($0.interval / .seconds(8) - 1) < 0.001 } == true, "two thirds of it")
        #expect(path.interval == lesson?.interval)
    }

    @Test func `deaths after different silences are chance`() {
        var path = Self.usual()
        for seconds in [3.0, 4.1, 5.6, 7.6, 10.3, 14] { #expect(path.died(after: .seconds(seconds)) == nil, "\(seconds) s") }
        #expect(path.interval == .seconds(20))
    }

    @Test func `a similar silence is one that is a quarter off at most`() {
        for (seconds, isSimilar) in [(7.5, true), (12.5, true), (7.4, false), (12.6, false)] {
            var path = Self.usual()
            _ = path.died(after: .seconds(seconds))
            #expect((path.died(after: .seconds(10)) != nil) == isSimilar, "\(seconds) s")
        }
    }

    @Test func `less than three seconds of silence are nobody's time-out`() {
        var path = Self.usual()
        for quiet in [Duration.zero, .seconds(2.9), .seconds(2.9), .seconds(-5)] { #expect(path.died(after: quiet) == nil) }
        #expect(path.died(after: .seconds(3)) == nil)
        #expect(path.died(after: .seconds(3))?.silence == .seconds(3))
        #expect(path.interval >= .seconds(1.5))
    }

    @Test func `PINGs come no later for what was learned, and not a little sooner each time`() {
        var path = Self.usual()
        for _ in 0..<10 { #expect(path.died(after: .seconds(40)) == nil, "PINGs every 20 s are enough there") }
        for _ in 0..<2 { _ = path.died(after: .seconds(9)) }
        let learned = path.interval
        #expect(learned < .seconds(6.1))
        for seconds in [9.0, 8.9, 8.8, 60, 60] { #expect(path.died(after: .seconds(seconds)) == nil, "\(seconds) s") }
        #expect(path.interval == learned)
        for _ in 0..<2 { _ = path.died(after: .seconds(5)) }
        #expect(path.interval < learned, "a path may become worse")
    }

    @Test func `what was long ago is forgotten`() {
        var path = Self.usual()
        _ = path.died(after: .seconds(12))
        for seconds in [3.0, 5, 8, 20, 32, 50, 80, 130] { _ = path.died(after: .seconds(seconds)) }
        #expect(path.died(after: .seconds(12)) == nil, "eight others came since")
        #expect(path.died(after: .seconds(12)) != nil)
    }
}
