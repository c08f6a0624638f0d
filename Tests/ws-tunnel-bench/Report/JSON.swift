import Glibc

/// A JSON text (RFC 8259) for programs that go on with the figures.
indirect enum JSON {
    case text(String)
    /// Null when it is not finite.
    case number(Double)
    case list([JSON])
    /// In this order.
    case object([(String, JSON)])

    /// - Parameter indent: Spaces before the lines after the first.
    func text(indent: Int = 0) -> String {
        let space = String(repeating: " ", count: indent + 2)
        let end = "\n" + String(repeating: " ", count: indent)
        switch self {
        case .text(let text): return Self.quoted(text)
        case .number(let number):
            guard number.isFinite else { return "null" }
            return number == number.rounded() && abs(number) < 1e15 ? String(Int(number)) : String(number)
        case .list(let values): return "[" + values.map { $0.text(indent: indent) }.joined(separator: ", ") + "]"
        case .object(let members):
            let lines = members.map { "\(space)\(Self.quoted($0)): \($1.text(indent: indent + 2))" }
            return "{\n" + lines.joined(separator: ",\n") + end + "}"
        }
    }

    /// Writes the text to a file.
    func write(to path: String) throws {
        guard let file = fopen(path, "w") else { throw Failure("cannot write \(path): \(String(cString: strerror(errno)))") }
        let isWritten = fputs(self.text() + "\n", file) >= 0
        guard fclose(file) == 0, isWritten else { throw Failure("cannot write \(path): \(String(cString: strerror(errno)))") }
    }

    private static func quoted(_ text: String) -> String {
        let escaped = text.unicodeScalars.map { scalar in
            switch scalar {
            case "\"", "\\": return "\\\(scalar)"
            case _ where scalar.value < 0x20:
                let hex = String(scalar.value, radix: 16)
                return "\\u" + String(repeating: "0", count: 4 - hex.count) + hex
            default: return String(scalar)
            }
        }
        return "\"" + escaped.joined() + "\""
    }
}
