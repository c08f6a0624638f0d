/// The events of `--json`: one object a line on standard output, each with `event` and `time`.
package struct EventStream: Sendable {
    private let isOn: Bool

    package init(isOn: Bool) {
        self.isOn = isOn
    }

    /// One line of it as it would be sent.
    ///
    /// - Parameter time: Milliseconds since 1970-01-01T00:00:00Z.
    package static func line(_ event: String, at time: Int64, _ fill: (inout JSONObject) -> Void) -> String {
        var object = JSONObject()
        object.set("event", event)
        object.set("time", Timestamp.utc(time))
        fill(&object)
        return object.line
    }

    package func send(_ event: String, _ fill: (inout JSONObject) -> Void = { _ in }) {
        guard self.isOn else { return }
        var object = JSONObject()
        object.set("event", event)
        object.set("time", Timestamp.now())
        fill(&object)
        OutputSink.standardOutput.write(line: object.line)
    }
}
