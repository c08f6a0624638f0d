/// The `key=value` of a logfmt line. Values come from strangers: none of them may end early, or look like another key.
enum Logfmt {
    /// As it is where it cannot be misread, else in quotation marks; within those a backslash stands before each backslash and each
    /// quotation mark.
    static func value(_ text: String) -> String {
        guard !Self.isPlain(text) else { return text }
        var result = "\""
        for scalar in text.printable.unicodeScalars {
            if scalar == "\"" || scalar == "\\" { result += "\\" }
            result.unicodeScalars.append(scalar)
        }
        return result + "\""
    }

    /// Whether it needs no quotation marks.
    static func isPlain(_ text: String) -> Bool {
        func isPlain(_ byte: UInt8) -> Bool {
            byte > 0x20 && byte < 0x7F && byte != UInt8(ascii: "\"") && byte != UInt8(ascii: "=") && byte != UInt8(ascii: "\\")
        }
        guard !text.isEmpty else { return false }
        // In nearly all cases; a busy tunnel has tens of thousands of them a second.
        return text.utf8.withContiguousStorageIfAvailable { $0.allSatisfy(isPlain) } ?? text.utf8.allSatisfy(isPlain)
    }
}
