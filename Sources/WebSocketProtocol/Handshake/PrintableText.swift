/// What a stranger sent, made fit to be shown on a terminal: no escape sequences, no line breaks, nothing that reverses
/// the direction of writing.
package enum PrintableText {
    package static func line(of text: some StringProtocol) -> String {
        var line = String.UnicodeScalarView()
        for scalar in text.unicodeScalars {
            if scalar.properties.isWhitespace {
                // Line breaks and runs of blanks, as in the source of a web page, become one space.
                if let last = line.last, last != " " { line.append(" ") }
            } else if self.isPrintable(scalar) {
                line.append(scalar)
            }
        }
        if line.last == " " { line.removeLast() }
        return String(line)
    }

    private static func isPrintable(_ scalar: Unicode.Scalar) -> Bool {
        switch scalar.properties.generalCategory {
        case .control, .format, .surrogate, .privateUse, .unassigned: false
        default: scalar != "\u{FFFD}"
        }
    }
}
