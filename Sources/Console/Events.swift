/// The events of `--json`: one object a line on standard output, each with `event` and `time`.
package struct EventStream: Sendable {
    private let isOn: Bool

    package init(isOn: Bool) {
        self.isOn = isOn
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
