/// The events of `--json`: one object a line on standard output, each with `event` and `time`.
package struct EventStream: Sendable {
    private let isOn: Bool

    /// Standard output belongs to it from now on, if it is on.
    package init(isOn: Bool) {
        self.isOn = isOn
        if isOn { OutputSink.standardOutput.form = .events }
    }

    /// One line of it as it would be sent.
    static func line(_ event: String, _ fill: (inout JSONObject) -> Void) -> String {
        var object = JSONObject()
        object.set("event", event)
        object.set("time", Timestamp.now())
        fill(&object)
        return object.line
    }

    package func send(_ event: String, _ fill: (inout JSONObject) -> Void = { _ in }) {
        guard self.isOn else { return }
        OutputSink.standardOutput.write(line: Self.line(event, fill))
    }
}
