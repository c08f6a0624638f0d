import Console
import TunnelClient

/// The lines of the requests of HTTP tunnels.
///
///     12:34:56.789  200  GET      12.3 ms    1.2 KiB  203.0.113.9      /path
///     12:34:56.789  200  GET      12.3 ms    1.2 KiB  203.0.113.9      app.example.com/path      with several tunnels
enum RequestLog {
    enum Form: Sendable {
        /// On a terminal, for people.
        case aligned
        /// In a log that is no terminal.
        case plain(LogFormat)
        /// For `--json`.
        case event
    }

    /// - Parameter namesTunnel: Whether people are told which tunnel it came through; programs always are.
    static func write(_ request: ClientRequest, _ form: Form, namesTunnel: Bool, into text: inout LineText) {
        switch form {
        case .aligned:
            text.write(localClock: request.started)
            Self.row(request, after: "  ", namesTunnel: namesTunnel, into: &text)
        case .plain(.text):
            text.write(utc: request.started)
            Self.row(request, after: " request: ", namesTunnel: namesTunnel, into: &text)
        case .plain(.logfmt): Self.pairs(request, into: &text)
        case .plain(.json): Self.object(request, more: #""level":"info","message":"request","#, into: &text)
        case .event: Self.object(request, more: "", into: &text)
        }
    }

    /// Without the time.
    ///
    /// - Parameters:
    ///   - start: At most 16 bytes.
    ///   - namesTunnel: Its host stands before the path then, as in its URL.
    static func row(_ request: ClientRequest, after start: String = "", namesTunnel: Bool = false, into text: inout LineText) {
        let visitor = Visitor(request)
        let path = request.path.harmless
        let url = namesTunnel ? request.url.harmless : ""
        let room = start.utf8.count + request.method.utf8.count + visitor.length + url.utf8.count + path.utf8.count
            + (request.failure?.utf8.count ?? 0)
        text.write(room: room + Self.spareBytes) { row in
            row.write(start)
            if let status = request.status {
                row.write(UInt64(status))
            } else {
                row.write("---")
            }
            row.write(blanks: 2)
            row.write(request.method)
            row.write(blanks: max(0, 6 - request.method.utf8.count) + 1)
            Self.time(request.duration).write(width: 9, into: &row)
            row.write(blanks: 2)
            Self.size(request.bytes).write(width: 9, into: &row)
            row.write(blanks: 2)
            visitor.write(into: &row)
            row.write(blanks: max(0, 15 - visitor.length) + 2)
            if namesTunnel {
                Self.host(of: url, into: &row)
                // `OPTIONS *`, where no path begins.
                if path.utf8.first != UInt8(ascii: "/") { row.write(blanks: 1) }
            }
            row.write(path)
            if let failure = request.failure {
                row.write("  (")
                row.write(failure)
                row.write(")")
            }
        }
    }

    /// Of a URL, what is between its scheme and its path: the port too, if it has one.
    private static func host(of url: String, into row: inout OutputSpan<UInt8>) {
        var slashes = 0
        for byte in url.utf8 {
            if byte == UInt8(ascii: "/") {
                slashes += 1
            } else if slashes == 2 {
                row.append(byte)
            }
        }
    }

    /// What a row has beside its texts: status (5), two amounts (27 each), two columns' blanks (6 and 15), gaps and brackets (16).
    private static let spareBytes = 96

    private static func pairs(_ request: ClientRequest, into text: inout LineText) {
        text.write("time=")
        text.write(utc: request.started)
        text.write(" level=info msg=request method=")
        text.write(request.method)
        text.write(" path=")
        text.write(logfmt: request.path)
        text.write(" status=")
        text.write(room: 96) { line in
            line.write(UInt64(request.status ?? 0))
            line.write(" milliseconds=")
            Self.milliseconds(request.duration).write(into: &line)
            line.write(" bytes=")
            line.write(request.bytes)
        }
        text.write(" visitor=")
        text.write(request.visitor)
        text.write(" id=")
        text.write(request.id)
        text.write(" url=")
        text.write(request.url)
        if let failure = request.failure {
            text.write(" failure=")
            text.write(logfmt: failure)
        }
    }

    /// - Parameter more: Members behind the time, each with its comma.
    private static func object(_ request: ClientRequest, more: String, into text: inout LineText) {
        text.write(#"{"event":"request","time":""#)
        text.write(utc: request.started)
        text.write(#"","#)
        text.write(more)
        text.write(#""id":"#)
        text.write(json: request.id)
        text.write(#","method":"#)
        text.write(json: request.method)
        text.write(#","path":"#)
        text.write(json: request.path)
        text.write(room: 128) { line in
            if let status = request.status {
                line.write(#","status":"#)
                line.write(UInt64(status))
            }
            line.write(#","milliseconds":"#)
            Self.milliseconds(request.duration).write(into: &line)
            line.write(#","bytes":"#)
            line.write(min(request.bytes, UInt64(Int.max)))
        }
        let visitor = request.visitor
        if !visitor.isEmpty {
            text.write(#","visitor":"#)
            text.write(json: visitor)
        }
        text.write(#","url":"#)
        text.write(json: request.url)
        if let failure = request.failure {
            text.write(#","failure":"#)
            text.write(json: failure)
        }
        text.write("}")
    }

    /// An address as it is shown, without a string for the usual kind.
    private struct Visitor {
        private let numbers: UInt32?
        private let text: String
        /// In bytes.
        let length: Int

        init(_ request: ClientRequest) {
            self.numbers = request.visitorV4
            if let numbers = self.numbers {
                self.text = ""
                self.length = 3 + Self.shifts.reduce(0) { sum, shift in
                    let number = numbers >> shift & 0xFF
                    return sum + (number < 10 ? 1 : number < 100 ? 2 : 3)
                }
            } else {
                let visitor = request.visitor
                self.text = visitor.isEmpty ? "-" : visitor
                self.length = self.text.utf8.count
            }
        }

        private static var shifts: StrideThrough<UInt32> { stride(from: 24, through: 0, by: -8) }

        func write(into row: inout OutputSpan<UInt8>) {
            guard let numbers = self.numbers else { return row.write(self.text) }
            for shift in Self.shifts {
                row.write(UInt64(numbers >> shift & 0xFF))
                if shift > 0 { row.append(UInt8(ascii: ".")) }
            }
        }
    }

    /// A number to one decimal place or none, and what it counts: `12.3 ms`.
    struct Amount {
        let whole: UInt64
        var tenth: UInt64?
        var unit = ""

        fileprivate init(_ whole: UInt64, _ unit: String) {
            self.whole = whole
            self.unit = unit
        }

        fileprivate init(tenths: UInt64, _ unit: String = "") {
            self.whole = tenths / 10
            self.tenth = tenths % 10
            self.unit = unit
        }

        /// - Parameter width: Blanks come before it where it is shorter.
        func write(width: Int = 0, into row: inout OutputSpan<UInt8>) {
            var (length, rest) = (1 + self.unit.utf8.count + (self.tenth == nil ? 0 : 2), self.whole)
            while rest >= 10 {
                length += 1
                rest /= 10
            }
            row.write(blanks: width - length)
            row.write(self.whole)
            if let tenth = self.tenth {
                row.append(UInt8(ascii: "."))
                row.write(tenth)
            }
            row.write(self.unit)
        }
    }

    /// `12.3`
    private static func milliseconds(_ duration: Duration) -> Amount { Amount(tenths: Self.tenths(duration)) }

    /// Of a millisecond. Up to 18 s in 64 bits, which is nearly every request.
    private static func tenths(_ duration: Duration) -> UInt64 {
        if let attoseconds = UInt64(exactly: duration.attoseconds) { return attoseconds / 100_000_000_000_000 }
        return UInt64(clamping: duration.attoseconds / 100_000_000_000_000)
    }

    static func time(_ duration: Duration) -> Amount {
        let tenths = Self.tenths(duration)
        guard tenths >= 100_000 else { return Amount(tenths: tenths, " ms") }
        let seconds = tenths / 10_000
        return seconds < 600 ? Amount(seconds, " s") : Amount(seconds / 60, " min")
    }

    private static let units = [" KiB", " MiB", " GiB", " TiB"]

    static func size(_ bytes: UInt64) -> Amount {
        guard bytes >= 1_024 else { return Amount(bytes, " B") }
        var (value, unit) = (bytes * 10 / 1_024, 0)
        while value >= 10_240, unit < Self.units.count - 1 {
            value /= 1_024
            unit += 1
        }
        return Amount(tenths: value, Self.units[unit])
    }
}

extension String {
    /// Without what a terminal would obey: paths come from strangers.
    fileprivate var harmless: String {
        self.utf8.withContiguousStorageIfAvailable { $0.allSatisfy { $0 >= 0x20 && $0 < 0x7F } } == true
            ? self
            : String(
                String.UnicodeScalarView(
                    self.unicodeScalars.map { $0.value < 0x20 || (0x7F...0x9F).contains($0.value) ? "\u{FFFD}" : $0 }))
    }
}
