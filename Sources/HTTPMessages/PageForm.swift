/// How a page is put: what a browser shows, a program reads, or a terminal prints.
enum PageForm: Equatable {
    case html
    case json
    case text

    /// The most wanted of the three (RFC 9110 §12.5.1). Who wants anything, or says nothing, gets plain text.
    init(accept: [String]) {
        var (form, best) = (PageForm.text, 0)
        for element in accept.flatMap(\.listElements) {
            let parts = element.utf8.split(separator: UInt8(ascii: ";"))
            guard let type = parts.first.map({ Substring($0).trimmedBlanks }), let wanted = Self.form(of: type) else { continue }
            let weight = parts.dropFirst().compactMap { Self.weight(Substring($0).trimmedBlanks) }.first ?? 1_000
            if weight > best { (form, best) = (wanted, weight) }
        }
        self = form
    }

    private static func form(of type: Substring) -> PageForm? {
        if type.isName("text/html") || type.isName("application/xhtml+xml") { return .html }
        if type.isName("application/json") || type.lowercased().hasSuffix("+json") { return .json }
        return type.isName("text/plain") ? .text : nil
    }

    /// RFC 9110 §12.4.2, in thousandths; `nil` for another parameter.
    private static func weight(_ parameter: Substring) -> Int? {
        let bytes = Array(parameter.utf8)
        guard bytes.count >= 3, HTTPText.lowercased(bytes[0]) == UInt8(ascii: "q"), bytes[1] == UInt8(ascii: "=") else { return nil }
        guard HTTPText.isDigit(bytes[2]) else { return 0 }
        let digits = bytes.dropFirst(3).filter(HTTPText.isDigit).prefix(3)
        var thousandths = 0
        for index in 0..<3 { thousandths = thousandths * 10 + (index < digits.count ? Int(digits[digits.startIndex + index] - 0x30) : 0) }
        return min(1_000, Int(bytes[2] - 0x30) * 1_000 + thousandths)
    }

    var contentType: String {
        switch self {
        case .html: "text/html; charset=utf-8"
        case .json: "application/json"
        case .text: "text/plain; charset=utf-8"
        }
    }

    func body(_ text: PageText, id: String) -> String {
        switch self {
        case .html: Self.html(text, id: id)
        case .json:
            """
            {"error": \(Self.quoted(text.code)), "status": \(text.status), "message": \(Self.quoted(text.message)), \
            "remedy": \(Self.quoted(text.remedy)), "requestId": \(Self.quoted(id))}\n
            """
        case .text: "\(text.status) \(text.title)\n\n\(text.message)\n\(text.remedy)\n\nRequest \(id)\n".printable
        }
    }

    private static func html(_ text: PageText, id: String) -> String {
        """
        <!DOCTYPE html>
        <html lang="en">
        <head>
        <meta charset="utf-8">
        <meta name="viewport" content="width=device-width, initial-scale=1">
        <meta name="robots" content="noindex">
        <title>\(Self.escaped(text.title))</title>
        <style>
        :root { color-scheme: light dark; --ink: #1c2430; --dim: #5d6877; --paper: #f4f6f8; --card: #fff; --line: #dde3ea; --mark: #b4540a; }
        @media (prefers-color-scheme: dark) {
          :root { --ink: #e6eaf0; --dim: #9aa6b5; --paper: #12161c; --card: #1a2029; --line: #2b3440; --mark: #f0a35e; }
        }
        * { box-sizing: border-box; }
        body { margin: 0; min-height: 100vh; display: grid; place-items: center; padding: 1.5rem; background: var(--paper); color: var(--ink);
          font: 1rem/1.55 system-ui, -apple-system, "Segoe UI", Roboto, sans-serif; }
        main { width: 100%; max-width: 34rem; padding: 2rem; background: var(--card); border: 1px solid var(--line); border-radius: .75rem; }
        h1 { margin: .25rem 0 1rem; font-size: 1.5rem; line-height: 1.25; }
        p { margin: 0 0 1rem; overflow-wrap: anywhere; }
        .status { margin: 0; color: var(--mark); font-weight: 600; }
        .dim { margin: 1.5rem 0 0; padding-top: 1rem; border-top: 1px solid var(--line); color: var(--dim); font-size: .875rem; }
        code { font: .8125rem ui-monospace, "SF Mono", Menlo, Consolas, monospace; }
        </style>
        </head>
        <body>
        <main>
        <p class="status">\(text.status)</p>
        <h1>\(Self.escaped(text.title))</h1>
        <p>\(Self.escaped(text.message))</p>
        <p>\(Self.escaped(text.remedy))</p>
        <p class="dim">Request <code>\(Self.escaped(id))</code></p>
        </main>
        </body>
        </html>

        """
    }

    static func escaped(_ text: String) -> String {
        var escaped: [UInt8] = []
        for byte in text.utf8 {
            switch byte {
            case UInt8(ascii: "&"): escaped += Array("&amp;".utf8)
            case UInt8(ascii: "<"): escaped += Array("&lt;".utf8)
            case UInt8(ascii: ">"): escaped += Array("&gt;".utf8)
            case UInt8(ascii: "\""): escaped += Array("&quot;".utf8)
            case UInt8(ascii: "'"): escaped += Array("&#39;".utf8)
            case 0..<0x20, 0x7F: escaped.append(0x20)
            default: escaped.append(byte)
            }
        }
        return String(decoding: escaped, as: UTF8.self)
    }

    /// A string of JSON (RFC 8259 §7).
    static func quoted(_ text: String) -> String {
        var quoted = "\""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\"": quoted += "\\\""
            case "\\": quoted += "\\\\"
            case "\u{0}"..<"\u{20}", "\u{7F}"..."\u{9F}", "\u{2028}", "\u{2029}":
                let digits = String(scalar.value, radix: 16)
                quoted += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
            default: quoted.unicodeScalars.append(scalar)
            }
        }
        return quoted + "\""
    }
}

extension String {
    /// Fit for a terminal: what steers one is a question mark.
    fileprivate var printable: String {
        var text = String.UnicodeScalarView()
        for scalar in self.unicodeScalars {
            let isControl = scalar.value < 0x20 && scalar != "\n" || 0x7F...0x9F ~= scalar.value
            text.append(isControl ? "?" : scalar)
        }
        return String(text)
    }
}
