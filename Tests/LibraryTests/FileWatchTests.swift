import Testing
import TunnelProtocol

@testable import TunnelServer

/// Facts are numbers here, and time is what a test says it is.
@Suite struct FileWatchTests {
    /// Expectations cannot change a value in place.
    private final class Box {
        var watch = FileWatch(1)

        func failed(_ facts: Int, at second: Int, isAsked: Bool = false) -> Bool {
            self.watch.failed(facts, now: Instant(nanoseconds: 0) + .seconds(second), isAsked: isAsked)
        }
    }

    private let box = Box()

    @Test func `files that stay as they are are not read again`() {
        #expect(!self.box.watch.look(1))
    }

    @Test func `a change is read once`() {
        #expect(self.box.watch.look(2))
        self.box.watch.succeeded(2)
        #expect(!self.box.watch.look(2))
    }

    @Test func `what cannot be used is tried at every look, and is reported once when patience is over`() {
        for second in 0..<5 {
            #expect(self.box.watch.look(2))
            #expect(!self.box.failed(2, at: second))
        }
        #expect(self.box.watch.look(2))
        #expect(self.box.failed(2, at: 5))
        #expect(!self.box.watch.look(2))
        #expect(self.box.watch.look(3))
    }

    @Test func `the second file of a pair ends the wait, without a word`() {
        #expect(!self.box.failed(2, at: 0))
        #expect(self.box.watch.look(3))
        self.box.watch.succeeded(3)
        #expect(!self.box.watch.look(3))
        // The next trouble has patience of its own.
        #expect(!self.box.failed(4, at: 60))
    }

    @Test func `files that never come to rest are reported all the same`() {
        var reports = 0
        for second in 0..<60 where self.box.failed(second, at: second) { reports += 1 }
        #expect(reports == 10)
    }

    @Test func `who asks is answered at once, and the file is then left alone`() {
        #expect(self.box.failed(2, at: 0, isAsked: true))
        #expect(!self.box.watch.look(2))
    }

    @Test func `the old files put back are no trouble`() {
        #expect(!self.box.failed(2, at: 0))
        #expect(self.box.watch.look(1))
        self.box.watch.succeeded(1)
        #expect(!self.box.watch.look(1))
    }
}
