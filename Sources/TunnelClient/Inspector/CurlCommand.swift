internal import HTTPMessages
internal import NIOCore
internal import NIOHTTP1
internal import WebSocketProtocol

/// A request as a command line that a POSIX shell can be given, whatever a visitor put into it.
package enum CurlCommand {
    /// Added by the server on the way; curl's request gets its own.
    private static let forwarding: Set<String> = [
        "forwarded", "x-forwarded-for", "x-forwarded-proto", "x-forwarded-host", "x-forwarded-port", "x-request-id", "x-real-ip",
    ]

    package static func text(_ exchange: Exchange, reveals: Bool) -> String {
        let text = ExchangeText(exchange: exchange, reveals: reveals)
        let request = text.request
        let body = exchange.requestBody
        let url = PercentCoding.encodedURL(text.url)
        var words = ["curl"]
        // curl would fetch every variant that brackets describe, and shorten paths with dots.
        if url.contains(where: { "[]{}".contains($0) }) { words.append("--globoff") }
        if url.contains("/.") { words.append("--path-as-is") }
        switch request.method {
        case "GET" where body.count == 0: break
        case "HEAD": words.append("--head")
        default: words += ["-X", Self.quoted(request.method)]
        }
        if request.target == "*" { words += ["--request-target", "'*'"] }
        words.append(Self.quoted(url))
        var lines = [words.joined(separator: " ")]
        for (name, value) in request.fields {
            let lower = name.lowercased()
            guard !Self.forwarding.contains(lower), lower != "content-length", lower != "connection", lower != "upgrade" else { continue }
            if lower == "host", value == HTTPTunnel.host(of: exchange.url) { continue }
            if lower == "accept-encoding" {
                lines.append("--compressed")
                continue
            }
            let shown = Self.withoutControls(HiddenFields.value(of: name, value, reveals: reveals))
            // Without a value, the semicolon is what makes curl send the field.
            lines.append("-H " + Self.quoted(shown.isEmpty ? "\(name);" : "\(name): \(shown)"))
        }
        var prefix = ""
        if body.count > 0 {
            if let text = Self.printable(body.beginning) {
                lines.append("--data-raw " + Self.quoted(text))
            } else {
                prefix = "printf %s '\(Base64.encode(body.beginning.readableBytesView))' | base64 -d | "
                lines.append("--data-binary @-")
            }
            // --data makes it a form unless the request says otherwise.
            if !request.fields.contains(name: "Content-Type") { lines.append("-H 'Content-Type:'") }
        }
        let command = prefix + lines.joined(separator: " \\\n  ")
        return exchange.obstacleOfBody.map { "# \($0)\n\(command)" } ?? command
    }

    /// Nothing within single quotes means anything to a shell but their end.
    package static func quoted(_ text: String) -> String {
        let parts = text.split(separator: "'", omittingEmptySubsequences: false)
        return "'" + parts.joined(separator: "'\\''") + "'"
    }

    /// A terminal takes control characters for keys, also when they are pasted.
    private static func isControl(_ scalar: UnicodeScalar) -> Bool { scalar.value < 0x20 || 0x7F...0x9F ~= scalar.value }

    private static func printable(_ bytes: ByteBuffer) -> String? {
        guard let text = String(validating: bytes.readableBytesView, as: UTF8.self),
            text.unicodeScalars.allSatisfy({ $0 == "\n" || $0 == "\t" || !Self.isControl($0) })
        else { return nil }
        return text
    }

    /// A field's value may hold tabs, and control characters beyond ASCII.
    private static func withoutControls(_ text: String) -> String {
        String(String.UnicodeScalarView(text.unicodeScalars.map { Self.isControl($0) ? " " : $0 }))
    }
}
