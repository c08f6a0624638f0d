package import HTTPMessages
package import NIOCore
internal import NIOHTTP1
internal import TunnelProtocol
internal import WebSocketProtocol

/// What a reader of the inspector wants to have sent to the service once more: a kept request as it was, or with changes.
///
///     {"id": "…", "tunnel_name": "…",                              as it was
///      "method": "PUT", "uri": "/path?query",                      any of these changes it
///      "headers": {"Name": ["value"]} or [["Name", "value"]],      all of them; a hidden value stands for what it hides
///      "body": "text" or "body_base64": "…"}
package struct ReplayRequest: Equatable, Sendable {
    package struct Refusal: Error, Equatable, Sendable {
        package let sentence: String
    }

    package let id: String
    /// The name of the tunnel it is to go through; `nil`: its own.
    package let tunnel: String?
    private let method: String?
    private let target: String?
    private let fields: HTTPHeaders?
    private let body: ByteBuffer?

    /// Those of a connection, and what says how a body is framed (RFC 9110 §7.6.1): the client writes its own.
    private static let framing: Set<String> = [
        "connection", "keep-alive", "proxy-connection", "te", "trailer", "transfer-encoding", "upgrade", "content-length", "expect",
    ]

    package init(_ json: JSONValue) throws(Refusal) {
        guard case .object = json, let id = json["id"]?.text else { throw Refusal(sentence: "It needs the id of a request.") }
        self.id = id
        self.tunnel = try Self.text("tunnel_name", of: json).flatMap { $0.isEmpty ? nil : $0 }
        self.method = try Self.text("method", of: json)
        self.target = try Self.text("uri", of: json).map { String(opaque: $0.utf8) }
        self.fields = try json["headers"].map(Self.fields)
        if let base64 = try Self.text("body_base64", of: json) {
            guard let bytes = Base64.decode(base64) else { throw Refusal(sentence: "body_base64 is not Base64.") }
            self.body = ByteBuffer(bytes: bytes)
        } else {
            self.body = try Self.text("body", of: json).map { ByteBuffer(string: $0) }
        }
    }

    /// The request as it goes to the service.
    package func applied(to exchange: Exchange) throws(Refusal) -> (RequestMessage, ByteBuffer) {
        var request = exchange.request
        if let method { request.method = method }
        // What is shown for bytes that are not UTF-8 stands for them.
        if let target, !target.utf8.elementsEqual(request.target.shown.utf8) { request.target = target }
        if let fields {
            let kept = HiddenFields.restore(fields, from: exchange.request.fields)
            var ordered = HTTPHeaders(kept.filter { $0.name.lowercased() == "host" }.prefix(1).map { ($0.name, $0.value) })
            if ordered.isEmpty { ordered.add(contentsOf: exchange.request.fields["Host"].prefix(1).map { ("Host", $0) }) }
            ordered.add(
                contentsOf: kept.filter { $0.name.lowercased() != "host" && !Self.framing.contains($0.name.lowercased()) }
                    .map { ($0.name, $0.value) })
            request.fields = ordered
            request.asksForUpgrade = false
        }
        if self.body == nil, let why = exchange.obstacleOfBody { throw Refusal(sentence: why) }
        if self.fields == nil, exchange.request.asksForUpgrade { throw Refusal(sentence: exchange.obstacleToReplay ?? "") }
        let body = self.body ?? exchange.requestBody.beginning
        // An empty body is not the same as none: `Content-Length: 0` says that there is one.
        if body.readableBytes > 0 || request.body != .none { request.body = .bytes(UInt64(body.readableBytes)) }
        if body.readableBytes == 0, self.body != nil { request.body = .none }
        try Self.check(request)
        return (request, body)
    }

    private static func check(_ request: RequestMessage) throws(Refusal) {
        guard HTTPText.isToken(request.method), request.method != "CONNECT" else { throw Refusal(sentence: "\(request.method) is not a method.") }
        guard HTTPText.isTarget(request.target), request.target.hasPrefix("/") || request.target == "*" else {
            throw Refusal(sentence: "A path begins with / and has no blanks.")
        }
        guard request.fields.count <= MessageLimits.fields else { throw Refusal(sentence: "A request has at most \(MessageLimits.fields) fields.") }
        var bytes = request.target.opaqueByteCount
        for (name, value) in request.fields {
            _ = try Self.token(name)
            guard HTTPText.isValue(value) else { throw Refusal(sentence: "The value of \(name) has a control character in it.") }
            bytes += name.utf8.count + value.opaqueByteCount
        }
        guard bytes <= MessageLimits.headBytes else { throw Refusal(sentence: "The head is longer than \(MessageLimits.headBytes) bytes.") }
    }

    private static func text(_ name: String, of json: JSONValue) throws(Refusal) -> String? {
        switch json[name] {
        case nil, .null: return nil
        case .string(let text): return text
        default: throw Refusal(sentence: "\(name) is not a text.")
        }
    }

    private static func fields(_ json: JSONValue) throws(Refusal) -> HTTPHeaders {
        // NIO's list stops the process at a name beyond ASCII: they are looked at before they go there.
        var fields: [(String, String)] = []
        switch json {
        case .object(let members):
            for (name, value) in members.sorted(by: { $0.key < $1.key }) {
                let values: [JSONValue] = if case .array(let values) = value { values } else { [value] }
                for value in values {
                    guard let text = value.text else { throw Refusal(sentence: "The value of \(name) is not a text.") }
                    fields.append((try Self.token(name), String(opaque: text.utf8)))
                }
            }
        case .array(let pairs):
            for pair in pairs {
                guard case .array(let pair) = pair, pair.count == 2, let name = pair[0].text, let value = pair[1].text else {
                    throw Refusal(sentence: "headers are pairs of a name and a value.")
                }
                fields.append((try Self.token(name), String(opaque: value.utf8)))
            }
        default: throw Refusal(sentence: "headers are an object of lists, or a list of pairs.")
        }
        return HTTPHeaders(fields)
    }

    private static func token(_ name: String) throws(Refusal) -> String {
        guard HTTPText.isToken(name) else { throw Refusal(sentence: "\(name) is not a field's name.") }
        return name
    }
}
