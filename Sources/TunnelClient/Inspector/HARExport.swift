internal import HTTPMessages
package import NIOCore
internal import NIOHTTP1
internal import TunnelProtocol
internal import TunnelTransport
internal import WebSocketProtocol

/// Exchanges as an HTTP Archive 1.2, for browsers' developer tools and the like.
///
/// What the archive cannot say is in its comments: bodies that are kept in part, requests without an answer. What has not ended is
/// left out.
package enum HARExport {
    /// - Parameter entries: In the order in which they are to be listed; archives have the oldest first.
    package static func archive(_ entries: [InspectorStore.Entry], reveals: Bool) -> ByteBuffer {
        var json = JSONWriter()
        json.object { json in
            json.member("log", object: { json in
                json.member("version", "1.2")
                json.member("creator", object: { json in
                    json.member("name", "ws-tunnel-client")
                    json.member("version", programVersion)
                })
                json.member("entries", array: { json in
                    for entry in entries where entry.exchange.state != .underWay {
                        self.write(ExchangeText(exchange: entry.exchange, reveals: reveals), into: &json)
                    }
                })
            })
        }
        return json.bytes
    }

    private static func write(_ text: ExchangeText, into json: inout JSONWriter) {
        let exchange = text.exchange
        let total = exchange.untilEnd ?? .zero
        // What came no further than the head's absence is all waiting.
        let wait = min(exchange.untilHead ?? total, total)
        json.object { json in
            json.member("startedDateTime", CivilTime.text(exchange.started))
            json.name("time")
            json.milliseconds(total)
            json.member("request", object: { self.writeRequest(text, into: &$0) })
            json.member("response", object: { self.writeResponse(text, into: &$0) })
            json.member("cache", object: { _ in })
            json.member("timings", object: { json in
                json.member("send", 0)
                json.name("wait")
                json.milliseconds(wait)
                json.name("receive")
                json.milliseconds(total - wait)
            })
            if case .failed(let why) = exchange.state { json.member("comment", why) }
        }
    }

    private static func writeRequest(_ text: ExchangeText, into json: inout JSONWriter) {
        let request = text.request
        let body = text.exchange.requestBody
        json.member("method", request.method)
        json.member("url", text.url)
        json.member("httpVersion", ExchangeText.version)
        json.member("cookies", array: { json in
            guard text.reveals else { return }
            for pair in request.fields[canonicalForm: "Cookie"].flatMap({ $0.split(separator: ";") }) {
                self.writePair(String(pair), into: &json)
            }
        })
        self.writeFields(text.requestFields(), into: &json)
        json.member("queryString", array: { json in
            guard let query = request.target.split(separator: "?", maxSplits: 1, omittingEmptySubsequences: false).dropFirst().first
            else { return }
            for pair in query.split(separator: "&") { self.writePair(String(pair), into: &json) }
        })
        if body.count > 0 {
            json.member("postData", object: { json in
                json.member("mimeType", request.fields.first(name: "Content-Type") ?? "application/octet-stream")
                // HAR 1.2 has no encoding here: bytes that are no text are said to be Base64 as everybody else says it.
                self.writeText(body, into: &json)
            })
        }
        json.member("headersSize", text.requestHead().count)
        json.member("bodySize", body.count)
    }

    private static func writeResponse(_ text: ExchangeText, into json: inout JSONWriter) {
        let response = text.response
        let body = text.exchange.responseBody
        json.member("status", response?.status ?? 0)
        json.member("statusText", response?.reason ?? "")
        json.member("httpVersion", ExchangeText.version)
        json.member("cookies", array: { json in
            guard text.reveals else { return }
            for cookie in response?.fields["Set-Cookie"] ?? [] {
                self.writePair(String(cookie.prefix { $0 != ";" }), into: &json)
            }
        })
        self.writeFields(text.responseFields(), into: &json)
        json.member("content", object: { json in
            json.member("size", body.count)
            json.member("mimeType", response?.fields.first(name: "Content-Type") ?? "application/octet-stream")
            if body.count > 0 { self.writeText(body, into: &json) }
        })
        json.member("redirectURL", response?.fields.first(name: "Location") ?? "")
        json.member("headersSize", response == nil ? -1 : text.responseHead().count)
        json.member("bodySize", response == nil ? -1 : Int64(clamping: body.count))
    }

    private static func writeText(_ body: CapturedBody, into json: inout JSONWriter) {
        if let text = String(validating: body.beginning.readableBytesView, as: UTF8.self) {
            json.member("text", text)
        } else {
            json.member("text", Base64.encode(body.beginning.readableBytesView))
            json.member("encoding", "base64")
        }
        if !body.isWhole { json.member("comment", "the first \(body.beginning.readableBytes) of \(body.count) bytes") }
    }

    private static func writeFields(_ fields: [(name: String, value: String)], into json: inout JSONWriter) {
        json.member("headers", array: { json in
            for (name, value) in fields {
                json.object {
                    $0.member("name", name)
                    $0.member("value", value)
                }
            }
        })
    }

    private static func writePair(_ pair: String, into json: inout JSONWriter) {
        let parts = pair.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
        json.object {
            $0.member("name", PercentCoding.decoded(String(parts[0].drop { $0 == " " })))
            $0.member("value", parts.count > 1 ? PercentCoding.decoded(String(parts[1])) : "")
        }
    }
}
