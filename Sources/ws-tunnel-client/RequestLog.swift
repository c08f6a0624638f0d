import Console
import TunnelClient

/// The lines of the requests of HTTP tunnels.
///
///     12:34:56.789  200  GET      12.3 ms    1.2 KiB  203.0.113.9      /path
enum RequestLog {
    /// On a terminal, for people.
    static func aligned(_ request: ClientRequest, into text: inout String) {
        text += Timestamp.localClock(request.started)
        text += "  "
        text += Self.row(request)
    }

    /// Without the time.
    static func row(_ request: ClientRequest) -> String {
        var row = Columns()
        row.add(request.status.map { String($0) } ?? "---", width: 3)
        row.add(request.method, width: 6)
        row.add(Self.time(request.duration), width: 9, fromLeft: true, gap: 1)
        row.add(Self.size(request.bytes), width: 9, fromLeft: true)
        let visitor = request.visitor
        row.add(visitor.isEmpty ? "-" : visitor, width: 15)
        row.add(request.path.harmless)
        if let failure = request.failure { row.add("(" + failure + ")") }
        return row.text
    }

    /// In a log that is no terminal.
    static func plain(_ request: ClientRequest, _ format: LogFormat, into text: inout String) {
        switch format {
        case .text:
            text += Timestamp.utc(request.started)
            text += " request: "
            text += Self.row(request)
        case .logfmt:
            text += "time=\(Timestamp.utc(request.started)) level=info msg=request method=\(request.method)"
            text += " path=\(Self.quoted(request.path)) status=\(request.status ?? 0) milliseconds=\(Self.milliseconds(request.duration))"
            text += " bytes=\(request.bytes) visitor=\(request.visitor) id=\(request.id) url=\(request.url)"
            if let failure = request.failure { text += " failure=\(Self.quoted(failure))" }
        case .json:
            text += EventStream.line("request", at: request.started) {
                $0.set("level", "info")
                $0.set("message", "request")
                Self.fill(request, &$0)
            }
        }
    }

    /// For `--json`.
    static func event(_ request: ClientRequest, into text: inout String) {
        text += EventStream.line("request", at: request.started) { Self.fill(request, &$0) }
    }

    private static func fill(_ request: ClientRequest, _ object: inout JSONObject) {
        object.set("id", request.id)
        object.set("method", request.method)
        object.set("path", request.path)
        if let status = request.status { object.set("status", Int(status)) }
        object.set("milliseconds", decimal: Self.milliseconds(request.duration))
        object.set("bytes", Int(clamping: request.bytes))
        if !request.visitor.isEmpty { object.set("visitor", request.visitor) }
        object.set("url", request.url)
        if let failure = request.failure { object.set("failure", failure) }
    }

    /// `12.3`
    private static func milliseconds(_ duration: Duration) -> String {
        let (seconds, attoseconds) = duration.components
        let tenths = seconds * 10_000 + attoseconds / 100_000_000_000_000
        return Self.decimal(tenths: tenths)
    }

    /// `12.3` of 123.
    private static func decimal(tenths: Int64) -> String {
        var text = String(tenths / 10)
        text += "."
        text += String(tenths % 10)
        return text
    }

    static func time(_ duration: Duration) -> String {
        let seconds = duration.components.seconds
        guard seconds >= 10 else { return Self.milliseconds(duration) + " ms" }
        return seconds < 600 ? "\(seconds) s" : "\(seconds / 60) min"
    }

    private static let units = [" KiB", " MiB", " GiB", " TiB"]

    static func size(_ bytes: UInt64) -> String {
        guard bytes >= 1_024 else { return String(bytes) + " B" }
        var (value, unit) = (bytes * 10 / 1_024, 0)
        while value >= 10_240, unit < Self.units.count - 1 {
            value /= 1_024
            unit += 1
        }
        return Self.decimal(tenths: Int64(clamping: value)) + Self.units[unit]
    }

    /// A line in the making. Over bytes: a string grows more slowly, and a busy tunnel has thousands of lines a second.
    private struct Columns {
        private var bytes: [UInt8] = []

        init() { self.bytes.reserveCapacity(128) }

        mutating func add(_ text: String, width: Int = 0, fromLeft: Bool = false, gap: Int = 2) {
            if !self.bytes.isEmpty { self.addBlanks(gap) }
            let missing = max(0, width - text.utf8.count)
            if fromLeft { self.addBlanks(missing) }
            self.bytes.append(contentsOf: text.utf8)
            if !fromLeft { self.addBlanks(missing) }
        }

        private mutating func addBlanks(_ count: Int) { self.bytes.append(contentsOf: repeatElement(0x20, count: count)) }

        var text: String { String(decoding: self.bytes, as: UTF8.self) }
    }

    private static func quoted(_ text: String) -> String {
        text.utf8.allSatisfy { $0 > 0x20 && $0 != UInt8(ascii: "\"") && $0 != UInt8(ascii: "=") && $0 < 0x7F }
            ? text : "\"" + text.harmless.split(separator: "\"", omittingEmptySubsequences: false).joined(separator: "\\\"") + "\""
    }
}

extension String {
    /// Without what a terminal would obey: paths come from strangers.
    fileprivate var harmless: String {
        self.utf8.allSatisfy { $0 >= 0x20 && $0 < 0x7F }
            ? self
            : String(
                String.UnicodeScalarView(
                    self.unicodeScalars.map { $0.value < 0x20 || (0x7F...0x9F).contains($0.value) ? "\u{FFFD}" : $0 }))
    }
}
