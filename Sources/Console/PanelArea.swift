/// The rows of a terminal that a panel occupies; says what to write, and writes nothing itself.
///
///     log line
///     log line
///     | panel line     ┐ rewritten in place
///     | panel line     ┘
///     ▏                the cursor rests here: whatever ends the program, the shell's prompt finds a row of its own
///
/// A line never wraps and is never more than one row, so the way up to the first is known.
package struct PanelArea: Sendable {
    package struct Size: Equatable, Sendable {
        package var columns: Int
        package var rows: Int

        package init(columns: Int, rows: Int) {
            self.columns = columns
            self.rows = rows
        }
    }

    /// What is on the screen, as it was cut.
    private var shown: [String] = []

    package init() {}

    /// Whether the screen shows these lines already.
    package func shows(_ lines: [String], on size: Size) -> Bool {
        self.shown == Self.fitted(lines, size)
    }

    /// - Returns: What removes the panel, and leaves the cursor where it began.
    package mutating func erase(on size: Size) -> String {
        guard !self.shown.isEmpty else { return "" }
        // A window that became narrower has broken the lines that no longer fit.
        let columns = max(1, size.columns)
        let rows = self.shown.reduce(0) { $0 + max(1, (Self.width($1) + columns - 1) / columns) }
        self.shown = []
        // ECMA-48: carriage return; CUU, up so many rows; ED, erase from the cursor to the end of the screen.
        return "\r\u{1B}[\(rows)A\u{1B}[J"
    }

    /// - Returns: What shows the lines below all there is; nothing else is shown.
    package mutating func draw(_ lines: [String], on size: Size) -> String {
        self.shown = Self.fitted(lines, size)
        return self.shown.map { $0 + "\n" }.joined()
    }

    /// What was shown stays where it is, as text like any other.
    package mutating func forget() {
        self.shown = []
    }

    /// The cursor's row and one line of the log remain; the last column stays empty, as some terminals wrap once it is written.
    private static func fitted(_ lines: [String], _ size: Size) -> [String] {
        lines.prefix(max(0, size.rows - 2)).map { self.cut($0.printable, to: size.columns - 1) }
    }

    private static func cut(_ line: String, to columns: Int) -> String {
        var width = 0
        return String(
            String.UnicodeScalarView(
                line.unicodeScalars.prefix { scalar in
                    width += self.width(scalar)
                    return width <= columns
                }))
    }

    private static func width(_ line: String) -> Int { line.unicodeScalars.reduce(0) { $0 + self.width($1) } }

    /// Anything beyond ASCII may be wide; a line that is cut too soon is better than one that wraps.
    private static func width(_ scalar: Unicode.Scalar) -> Int { scalar.isASCII ? 1 : 2 }
}

extension String {
    /// Without control characters, which a terminal would obey; parts of what is said come from peers.
    var printable: String {
        String(
            String.UnicodeScalarView(
                self.unicodeScalars.map { $0.value < 0x20 || (0x7F...0x9F).contains($0.value) ? "\u{FFFD}" : $0 }))
    }
}
