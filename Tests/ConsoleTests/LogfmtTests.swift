import Testing

@testable import Console

/// Values of logfmt.
@Suite struct LogfmtTests {
    /// Reads a line as others do.
    private func pairs(_ line: String) -> [String: String] {
        var result: [String: String] = [:]
        var rest = line[...]
        while let equals = rest.firstIndex(of: "=") {
            let key = String(rest[..<equals])
            rest = rest[rest.index(after: equals)...]
            var value = ""
            if rest.first == "\"" {
                rest.removeFirst()
                while let character = rest.popFirst(), character != "\"" {
                    value.append(character == "\\" ? rest.popFirst() ?? " " : character)
                }
            } else {
                value = String(rest.prefix { $0 != " " })
                rest = rest.dropFirst(value.count)
            }
            result[key] = value
            rest = rest.drop { $0 == " " }
        }
        return result
    }

    @Test(arguments: [
        #"/a=b\"#, #"/=\""#, #"/\\"#, #"\" status=200 path=\""#, "", #"""#, "=", "two words", "/plain", #"C:\"#, "é", #"\\\"\"#,
    ])
    func `a value is read as it was written, and ends where it should`(value: String) {
        #expect(self.pairs("path=\(Logfmt.value(value)) status=404") == ["path": value, "status": "404"])
        var text = LineText()
        text.write(logfmt: value)
        #expect(text.text == Logfmt.value(value))
    }

    @Test func `what cannot be misread has no quotation marks`() {
        #expect(Logfmt.value("/plain?a&b") == "/plain?a&b")
        #expect(Logfmt.value(#"/a\b"#) == #""/a\\b""#)
        #expect(Logfmt.value("\u{1B}[2J") == "\"\u{FFFD}[2J\"")
    }
}
