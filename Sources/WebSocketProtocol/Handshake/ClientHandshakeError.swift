/// Why a request for an upgrade could not be written. The operator's fault: the values come from options and files.
package enum UnwritableRequest: Error, Equatable, Sendable {
    case host
    case path
    case subprotocol
    case field(UnwritableField)
    /// A field the handshake writes itself.
    case ownField(name: String)

    package var sentence: String {
        switch self {
        case .host: "the host is not one that a Host field can carry"
        case .path: "the path does not begin with / or has a character that no URL has"
        case .subprotocol: "the subprotocols are not distinct tokens"
        case .field(let field): field.sentence
        case .ownField(let name): "the field \(name) belongs to the handshake itself"
        }
    }
}

/// Why an answer to our request did not open a WebSocket (RFC 6455 §4.1, second half).
package enum ClientHandshakeError: Error, Equatable, Sendable {
    /// Not the head of an HTTP/1 response.
    case malformed(HeadError)
    /// Somebody answered, with another status than 101.
    case refused(RefusedUpgrade)
    case tooManyInterimResponses
    case httpVersion
    case upgrade
    case connection
    case acceptKey
    case extensionNotOffered
    /// permessage-deflate was offered and accepted in a way that does not answer the offer.
    case compression
    case subprotocolNotOffered(String)
    case noSubprotocol

    package var sentence: String {
        switch self {
        case .malformed(let error): "the answer is not HTTP/1: \(error.sentence)"
        case .refused(let refusal): refusal.sentence
        case .tooManyInterimResponses: "the answer was put off with too many 1xx responses"
        case .httpVersion: "the answer is 101 in HTTP/1.0, which has no upgrades"
        case .upgrade: "the answer is 101 without Upgrade: websocket"
        case .connection: "the answer is 101 without Connection: Upgrade"
        case .acceptKey: "the answer's Sec-WebSocket-Accept does not belong to our key: it may come from a cache"
        case .extensionNotOffered: "the answer chose a WebSocket extension that was not offered"
        case .compression: "the answer's permessage-deflate does not go with what was offered"
        case .subprotocolNotOffered(let name): "the answer chose the subprotocol \(name), which was not offered"
        case .noSubprotocol: "the answer chose no subprotocol: another WebSocket server may stand at this address"
        }
    }
}

/// An answer with another status than 101, as far as it helps the user to see who gave it. All of it fit for a
/// terminal.
package struct RefusedUpgrade: Equatable, Sendable {
    /// The most of a body that is looked at, in bytes, and of a field, in characters. 512: a few lines, which is all anybody reads of an
    /// error page.
    package static let bodyLimit = 512

    package let status: Int
    package let reason: String
    /// Only `Server`, `Retry-After`, `WWW-Authenticate` and `Location`, where they were sent.
    package let fields: HTTPFields
    /// The start of a text body, as far as it came together with the head; often empty.
    package let body: String

    package var sentence: String {
        let server = self.fields.values("Server").first.map { " by \($0)" } ?? ""
        return "refused\(server) with status \(self.status)" + (self.reason.isEmpty ? "" : " (\(self.reason))")
    }

    init(_ head: ResponseHead, body: some Collection<UInt8>) {
        self.status = head.status
        self.reason = PrintableText.line(of: head.reason)
        var fields = HTTPFields()
        for name in ["Server", "Retry-After", "WWW-Authenticate", "Location"] {
            for value in head.fields.values(name) { fields.append(name, String(PrintableText.line(of: value).prefix(Self.bodyLimit))) }
        }
        self.fields = fields
        self.body =
            Self.isText(head.fields) ? Self.text(of: body, chunked: head.fields.contains("Transfer-Encoding")) : ""
    }

    private static func isText(_ fields: HTTPFields) -> Bool {
        guard !fields.contains("Content-Encoding") else { return false }
        guard let type = fields.only("Content-Type") else { return true }
        let essence = String(type.prefix { $0 != ";" })
        return essence.prefix(5).equalsIgnoringCase("text/") || essence.suffix(4).equalsIgnoringCase("json")
    }

    private static func text(of body: some Collection<UInt8>, chunked: Bool) -> String {
        var start = Array(body.prefix(self.bodyLimit))[...]
        // RFC 9112 §7.1: the first chunk's length stands on a line of its own.
        if chunked { start = start.drop { $0 != HTTPSyntax.lineFeed }.dropFirst() }
        return PrintableText.line(of: String(decoding: start, as: UTF8.self))
    }
}
