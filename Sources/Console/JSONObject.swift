/// One JSON object on one line (RFC 8259), for `--json` and the JSON log.
package struct JSONObject: Sendable {
    private var members: [String] = []

    package init() {}

    package mutating func set(_ name: String, _ value: String) {
        self.members.append("\(Self.quoted(name)):\(Self.quoted(value))")
    }

    package mutating func set(_ name: String, _ value: Int) {
        self.members.append("\(Self.quoted(name)):\(value)")
    }

    /// - Parameter text: A decimal number.
    package mutating func set(_ name: String, decimal text: String) {
        self.members.append("\(Self.quoted(name)):\(text)")
    }

    package var line: String { "{\(self.members.joined(separator: ","))}" }

    static func quoted(_ text: String) -> String {
        var result = "\""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\"": result += "\\\""
            case "\\": result += "\\\\"
            case "\n": result += "\\n"
            case "\r": result += "\\r"
            case "\t": result += "\\t"
            // Terminals obey the C1 controls too.
            case _ where scalar.value < 0x20 || (0x7F...0x9F).contains(scalar.value):
                let hex = String(scalar.value, radix: 16)
                result += "\\u" + String(repeating: "0", count: 4 - hex.count) + hex
            default: result.unicodeScalars.append(scalar)
            }
        }
        return result + "\""
    }
}
