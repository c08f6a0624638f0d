internal import HTTPMessages
internal import NIOCore
internal import NIOHTTP1
internal import TunnelProtocol
internal import WebSocketProtocol

/// An exchange as people and other programs see it. Secrets are hidden unless a reader `reveals` them.
struct ExchangeText {
    let exchange: Exchange
    let reveals: Bool
    /// With a replacement character for each byte that is not UTF-8, as all that is shown has it.
    let request: RequestMessage
    let response: ResponseMessage?

    init(exchange: Exchange, reveals: Bool) {
        self.exchange = exchange
        self.reveals = reveals
        self.request = exchange.request.shown
        self.response = exchange.response?.shown
    }

    /// What the tunnel speaks with the service; the visitor's own version is the server's business.
    static let version = "HTTP/1.1"

    /// As the visitor wrote it.
    var url: String {
        self.exchange.url + (self.request.target == "*" ? "" : self.request.target)
    }

    /// Without the port: as ngrok's agent has it.
    var visitor: String { self.exchange.request.visitor.map { "\($0.address)" } ?? "" }

    /// With a length where one is known: it is no field inside of a tunnel.
    func requestFields() -> [(name: String, value: String)] {
        self.fields(self.request.fields, self.request.body)
    }

    func responseFields() -> [(name: String, value: String)] {
        guard let response = self.response else { return [] }
        return self.fields(response.fields, response.body)
    }

    private func fields(_ fields: HTTPHeaders, _ body: BodyLength) -> [(name: String, value: String)] {
        var result = fields.map { ($0.name, HiddenFields.value(of: $0.name, $0.value, reveals: self.reveals)) }
        if case .bytes(let count) = body, !fields.contains(name: "Content-Length") { result.append(("Content-Length", String(count))) }
        return result
    }

    /// Byte for byte, hidden values aside.
    func requestHead() -> [UInt8] {
        let request = self.exchange.request
        return Self.head("\(request.method) \(request.target) \(Self.version)", self.fields(request.fields, request.body))
    }

    func responseHead() -> [UInt8] {
        guard let response = self.exchange.response else { return [] }
        return Self.head("\(Self.version) \(response.status) \(response.reason)", self.fields(response.fields, response.body))
    }

    private static func head(_ start: String, _ fields: [(name: String, value: String)]) -> [UInt8] {
        (([start] + fields.map { "\($0.name): \($0.value)" }).joined(separator: "\r\n") + "\r\n\r\n").opaqueBytes
    }
}

extension ExchangeText {
    /// One line of the list.
    static func writeSummary(_ entry: InspectorStore.Entry, tunnel: String, into json: inout JSONWriter) {
        let exchange = entry.exchange
        json.object { json in
            json.member("id", exchange.request.id)
            json.member("sequence", entry.sequence)
            json.member("tunnel_name", tunnel)
            json.member("method", exchange.request.method)
            json.member("path", exchange.request.target.shown)
            json.member("start", exchange.started)
            json.member("remote_addr", exchange.request.visitor.map { "\($0.address)" } ?? "")
            json.member("state", exchange.state.word)
            if case .failed(let why) = exchange.state { json.member("error", why) }
            if let response = exchange.response {
                json.member("status", response.status)
                json.member("content_type", response.fields.first(name: "Content-Type")?.shown ?? "")
            }
            if let duration = exchange.untilEnd { json.member("duration", duration.wholeNanoseconds) }
            json.member("request_bytes", exchange.requestBody.count)
            json.member("response_bytes", exchange.responseBody.count)
            if let original = exchange.replayOf { json.member("replay_of", original) }
        }
    }

    /// In the shape of ngrok's agent, with what it lacks beside it.
    func write(tunnel: String, into json: inout JSONWriter) {
        let exchange = self.exchange
        json.object { json in
            json.member("uri", "/api/requests/http/\(exchange.request.id)")
            json.member("id", exchange.request.id)
            json.member("tunnel_name", tunnel)
            json.member("remote_addr", self.visitor)
            json.member("start", CivilTime.text(exchange.started))
            json.member("duration", exchange.untilEnd?.wholeNanoseconds ?? 0)
            json.member("request", object: { json in
                json.member("method", exchange.request.method)
                json.member("proto", Self.version)
                self.writeFields(self.requestFields(), into: &json)
                json.member("uri", self.request.target)
                json.member("raw", Base64.encode(self.requestHead() + exchange.requestBody.beginning.readableBytesView))
                Self.write(exchange.requestBody, into: &json)
            })
            json.name("response")
            if let response = self.response {
                json.object { json in
                    json.member("status", "\(response.status) \(response.reason)")
                    json.member("status_code", response.status)
                    json.member("proto", Self.version)
                    self.writeFields(self.responseFields(), into: &json)
                    json.member("raw", Base64.encode(self.responseHead() + exchange.responseBody.beginning.readableBytesView))
                    Self.write(exchange.responseBody, into: &json)
                }
            } else {
                json.null()
            }
            json.member("state", exchange.state.word)
            if case .failed(let why) = exchange.state { json.member("error", why) }
            json.member("url", self.url)
            if let time = exchange.untilHead { json.member("time_to_head", time.wholeNanoseconds) }
            if let original = exchange.replayOf { json.member("replay_of", original) }
            if let why = exchange.obstacleToReplay { json.member("replay_refused", why) }
            json.member("hides", !self.reveals && (self.requestFields() + self.responseFields()).contains { HiddenFields.contains($0.name) })
        }
    }

    private func writeFields(_ fields: [(name: String, value: String)], into json: inout JSONWriter) {
        var order: [String] = []
        var values: [String: [String]] = [:]
        for (name, value) in fields {
            let name = name.canonicalFieldName
            if values[name] == nil { order.append(name) }
            values[name, default: []].append(value)
        }
        json.member("headers", object: { json in
            for name in order {
                json.member(name, array: { json in for value in values[name] ?? [] { json.value(value) } })
            }
        })
        json.member("fields", array: { json in
            for (name, value) in fields {
                json.array {
                    $0.value(name)
                    $0.value(value)
                }
            }
        })
    }

    private static func write(_ body: CapturedBody, into json: inout JSONWriter) {
        json.member("body", object: { json in
            json.member("size", body.count)
            json.member("kept", UInt64(body.beginning.readableBytes))
            json.member("base64", Base64.encode(body.beginning.readableBytesView))
        })
    }
}

extension String {
    /// `content-type` as `Content-Type`: scripts written for ngrok's agent look for Go's spelling.
    fileprivate var canonicalFieldName: String {
        self.split(separator: "-", omittingEmptySubsequences: false)
            .map { $0.prefix(1).uppercased() + $0.dropFirst().lowercased() }.joined(separator: "-")
    }
}

extension Exchange.State {
    var word: String {
        switch self {
        case .underWay: "underway"
        case .complete: "complete"
        case .failed: "failed"
        }
    }
}

extension Exchange {
    /// Why its request cannot be sent again as it was.
    var obstacleToReplay: String? {
        if self.request.asksForUpgrade { return "It asked for another protocol (Upgrade), which cannot be replayed." }
        return self.obstacleOfBody ?? (self.state == .underWay ? "It has not ended yet." : nil)
    }

    /// Why what is kept of its body is not all of it.
    var obstacleOfBody: String? {
        let body = self.requestBody
        if !body.isWhole { return "Its body has \(body.count) bytes, and only the first \(body.beginning.readableBytes) are kept." }
        if self.request.body == .none { return nil }
        guard let seen = self.ending?.seen else { return "It has not ended yet." }
        // The visitor left, or was answered before all of it had come.
        return switch self.request.body {
        case .bytes(let count) where count != body.count: "Of its body's \(count) bytes only \(body.count) came."
        case .unknown where !seen.requestHasEnded: "Its body did not come to its end: \(body.count) bytes of it are kept."
        case .none, .bytes, .unknown: nil
        }
    }
}
