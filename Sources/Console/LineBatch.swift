internal import Dispatch
internal import NIOConcurrencyHelpers

/// Lines of requests that come faster than they are to be written one by one: what came within a moment is handed to the sink at once. The order
/// is kept; whoever adds never waits for whoever reads.
///
/// At most `capacity` lines wait; further ones are dropped, and the batch says how many.
package final class LineBatch: Sendable {
    private struct Waiting {
        var text = LineText()
        var lines = 0
        var dropped = 0
        var isScheduled = false
    }

    private let sink: OutputSink
    private let queue = DispatchQueue(label: "lines")
    private let waiting = NIOLockedValueBox(Waiting())

    /// A fifth of a second of what a busy client sees; a megabyte or two of text.
    private static let capacity = 8_192
    /// Short enough to look immediate.
    private static let moment = DispatchTimeInterval.milliseconds(50)

    package init(to sink: OutputSink) {
        self.sink = sink
    }

    /// - Parameter write: Writes one line, without its end; called at once, unless it is one too many. Writing it takes less than
    ///   keeping what it says for another thread.
    package func add(_ write: @Sendable (inout LineText) -> Void) {
        let isFirst = self.waiting.withLockedValue { waiting in
            guard waiting.lines < Self.capacity else {
                waiting.dropped += 1
                return false
            }
            if waiting.lines > 0 { waiting.text.write(UInt8(ascii: "\n")) }
            waiting.lines += 1
            write(&waiting.text)
            defer { waiting.isScheduled = true }
            return !waiting.isScheduled
        }
        if isFirst { self.queue.asyncAfter(deadline: .now() + Self.moment) { self.hand() } }
    }

    /// What waits is handed to the sink.
    package func flush() {
        self.queue.sync { self.hand() }
    }

    private func hand() {
        let lines: [UInt8]? = self.waiting.withLockedValue { waiting in
            let isEmpty = waiting.lines == 0
            if waiting.dropped > 0 {
                waiting.text.write(UInt8(ascii: "\n"))
                waiting.text.write(self.sink.form.dropped(waiting.dropped, .requests))
            }
            (waiting.lines, waiting.dropped, waiting.isScheduled) = (0, 0, false)
            return isEmpty ? nil : waiting.text.take()
        }
        if let lines { self.sink.write(lines: lines) }
    }
}
