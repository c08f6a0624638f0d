internal import Dispatch
internal import Synchronization

/// Values that come faster than lines of text are to be written: they are rendered on a thread of their own, and what came within a
/// moment is written at once. The order is kept; whoever adds never waits.
///
/// At most `capacity` values wait; further ones are dropped, and the next batch says how many.
package final class LineBatch<Value: Sendable>: Sendable {
    private struct Waiting {
        var values: [Value] = []
        var dropped = 0
        var isScheduled = false
    }

    private let sink: OutputSink
    private let queue = DispatchQueue(label: "lines")
    private let waiting = Mutex(Waiting())
    private let render: @Sendable (Value, inout String) -> Void
    private let renderDropped: @Sendable (Int, inout String) -> Void

    /// A fifth of a second of what a busy client sees; a megabyte or two of text.
    private let capacity = 8_192
    /// Short enough to look immediate.
    private let moment = DispatchTimeInterval.milliseconds(50)

    /// - Parameters:
    ///   - render: Appends a value's line, without its end.
    ///   - dropped: Appends a line that says so of so many values.
    package init(
        to sink: OutputSink, render: @escaping @Sendable (Value, inout String) -> Void,
        dropped: @escaping @Sendable (Int, inout String) -> Void
    ) {
        self.sink = sink
        self.render = render
        self.renderDropped = dropped
    }

    package func add(_ value: Value) {
        let isFirst = self.waiting.withLock { waiting in
            guard waiting.values.count < self.capacity else {
                waiting.dropped += 1
                return false
            }
            waiting.values.append(value)
            defer { waiting.isScheduled = true }
            return !waiting.isScheduled
        }
        if isFirst { self.queue.asyncAfter(deadline: .now() + self.moment) { self.write() } }
    }

    /// What waits is handed to the sink.
    package func flush() {
        self.queue.sync { self.write() }
    }

    private func write() {
        let (values, dropped) = self.waiting.withLock { waiting in
            defer { waiting = Waiting() }
            return (waiting.values, waiting.dropped)
        }
        guard !values.isEmpty else { return }
        var text = ""
        text.reserveCapacity(values.count * 96)
        for value in values {
            if !text.isEmpty { text += "\n" }
            self.render(value, &text)
        }
        if dropped > 0 {
            text += "\n"
            self.renderDropped(dropped, &text)
        }
        self.sink.write(line: text)
    }
}
