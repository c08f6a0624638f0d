internal import ArgumentParser
package import Logging

/// How log lines look.
package enum LogFormat: String, CaseIterable, ExpressibleByArgument, Sendable {
    /// For people: `warning: nothing is listening on 127.0.0.1:8000`, with the time in front unless on a terminal.
    case text
    /// `time=... level=warning msg="..." key=value`
    case logfmt
    /// One JSON object a line.
    case json
}

/// Makes the program's logger; standard error belongs to it.
package func makeLogger(_ format: LogFormat, _ level: Logger.Level) -> Logger {
    OutputSink.standardError.form = .log(format)
    var logger = Logger(label: "ws-tunnel") { _ in LineLogHandler(format: format) }
    logger.logLevel = level
    return logger
}

/// Renders log records as lines. The metadata key `remedy` says what to do; in text it gets a line of its own.
struct LineLogHandler: LogHandler {
    static let remedy = "remedy"

    let format: LogFormat
    var logLevel = Logger.Level.info
    var metadata: Logger.Metadata = [:]

    subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { self.metadata[key] }
        set { self.metadata[key] = newValue }
    }

    func log(event: LogEvent) {
        var all = self.metadata
        if let own = event.metadata { all.merge(own) { $1 } }
        let pairs = all.map { ($0.key, "\($0.value)") }.filter { !$0.1.isEmpty }.sorted { $0.0 < $1.0 }
        OutputSink.standardError.write(line: self.line(event.level, "\(event.message)", pairs))
    }

    private func line(_ level: Logger.Level, _ message: String, _ pairs: [(key: String, value: String)]) -> String {
        switch self.format {
        case .text:
            let time = OutputSink.standardError.isTerminal ? "" : Timestamp.now() + " "
            var line = "\(time)\(level): \(message.printable)"
            for (key, value) in pairs where key != Self.remedy { line += " \(key)=\(Logfmt.value(value))" }
            for (key, value) in pairs where key == Self.remedy { line += "\n  \(value.printable)" }
            return line
        case .logfmt:
            var line = "time=\(Timestamp.now()) level=\(level) msg=\(Logfmt.value(message))"
            for (key, value) in pairs { line += " \(key)=\(Logfmt.value(value))" }
            return line
        case .json:
            var object = JSONObject()
            object.set("time", Timestamp.now())
            object.set("level", level.rawValue)
            object.set("message", message)
            for (key, value) in pairs { object.set(key, value) }
            return object.line
        }
    }
}
