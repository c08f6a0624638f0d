/// What the lines of an output look like: what the output itself has to say must not be the one line that its reader cannot read.
package enum OutputForm: Sendable {
    case log(LogFormat)
    /// The events of `--json`.
    case events

    /// Lines that are missing, and the member or key under which their number stands.
    enum Missing: String {
        case lines, requests

        fileprivate func sentence(_ count: Int) -> String {
            switch self {
            case .lines: "\(count) lines were dropped: nobody read them"
            case .requests: "\(count) requests were not listed: there are too many"
            }
        }
    }

    /// The line that stands for those that are missing.
    func dropped(_ count: Int, _ missing: Missing) -> String {
        let sentence = missing.sentence(count)
        switch self {
        case .events: return EventStream.line("dropped") { $0.set(missing.rawValue, count) }
        case .log(.text): return "(\(sentence))"
        case .log(.logfmt):
            return "time=\(Timestamp.now()) level=warning msg=\(Logfmt.value(sentence)) \(missing.rawValue)=\(count)"
        case .log(.json):
            return EventStream.line("dropped") {
                $0.set("level", "warning")
                $0.set("message", sentence)
                $0.set(missing.rawValue, count)
            }
        }
    }
}
