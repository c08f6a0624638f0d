package import struct NIOCore.ByteBuffer
internal import struct NIOHTTP1.HTTPHeaders

/// What a visitor is told when no service answers: by the server when there is no tunnel, or none that can be asked, by the client
/// when its service does not answer.
package enum Page: Equatable, Sendable {
    /// No tunnel has this name, or its client has gone for good.
    case noSuchTunnel(host: String)
    /// The server gives no names: it was started without a domain, or the request names no host.
    case noDomain
    /// The tunnel is there, and no client that could take the request.
    case clientAway(host: String)
    /// The client's connection broke a moment ago, and it has not come back in time.
    case resuming(host: String)
    /// Every member of the group says that its service is not well.
    case unwell(host: String)
    /// The server has as many requests or streams as it may.
    case busy
    case unauthorized
    case forbidden
    /// - Parameter limit: Bytes that a body may have.
    case tooLarge(limit: UInt64)
    /// The request itself is at fault.
    case refused(MessageRefusal)
    /// - Parameters:
    ///   - service: As the operator wrote it: `127.0.0.1:3000`.
    ///   - host: As the visitor wrote it.
    case serviceUnreachable(service: String, host: String)
    /// The service ended the connection instead of answering.
    case noAnswer(service: String)
    case timedOut(service: String)
    /// What the service answered cannot be passed on.
    case invalidAnswer(service: String, MessageRefusal)
    /// The tunnel broke before an answer had come.
    case interrupted

    package var status: UInt16 { self.text.status }

    /// For JSON, logs and scripts: `no_such_tunnel`.
    package var code: String { self.text.code }

    /// The whole answer. The body is as long as the head says, and is left out by whoever answers HEAD.
    ///
    /// - Parameters:
    ///   - accept: The values of Accept. HTML for who asks for it, JSON for who asks for that, else plain text.
    ///   - id: The request's, shown so that it can be found in the logs.
    package func response(accept: [String], id: String) -> (head: ResponseMessage, body: ByteBuffer) {
        let text = self.text
        let form = PageForm(accept: accept)
        let body = ByteBuffer(string: form.body(text, id: id))
        var fields: HTTPHeaders = [
            "Content-Type": form.contentType, "Cache-Control": "no-store", "Vary": "Accept", "X-Content-Type-Options": "nosniff",
            "X-Request-Id": id.asValue,
        ]
        if form == .html { fields.add(name: "Content-Security-Policy", value: "default-src 'none'; style-src 'unsafe-inline'") }
        if let seconds = text.retryAfter { fields.add(name: "Retry-After", value: String(seconds)) }
        if self == .unauthorized { fields.add(name: "WWW-Authenticate", value: "Basic realm=\"tunnel\", charset=\"UTF-8\"") }
        let head = ResponseMessage(
            status: text.status, reason: Self.reason(text.status), fields: fields, body: .bytes(UInt64(body.readableBytes)),
            failure: self.failure)
        return (head, body)
    }

    private var failure: ResponseMessage.Failure? {
        switch self {
        case .serviceUnreachable: .unreachable
        case .noAnswer: .noAnswer
        case .timedOut: .timedOut
        case .invalidAnswer: .invalidAnswer
        case .noSuchTunnel, .noDomain, .clientAway, .resuming, .unwell, .busy, .unauthorized, .forbidden, .tooLarge, .refused, .interrupted:
            nil
        }
    }

    /// RFC 9110 §15.
    package static func reason(_ status: UInt16) -> String {
        switch status {
        case 400: "Bad Request"
        case 401: "Unauthorized"
        case 403: "Forbidden"
        case 404: "Not Found"
        case 405: "Method Not Allowed"
        case 408: "Request Timeout"
        case 411: "Length Required"
        case 413: "Content Too Large"
        case 414: "URI Too Long"
        case 417: "Expectation Failed"
        case 431: "Request Header Fields Too Large"
        case 501: "Not Implemented"
        case 502: "Bad Gateway"
        case 503: "Service Unavailable"
        case 504: "Gateway Timeout"
        case 505: "HTTP Version Not Supported"
        default: "Error"
        }
    }
}

/// The words of a page.
struct PageText {
    let status: UInt16
    let code: String
    let title: String
    /// What happened, and why.
    let message: String
    /// What to do.
    let remedy: String
    /// Seconds after which it may be otherwise.
    var retryAfter: Int?
}

extension Page {
    var text: PageText {
        switch self {
        case .noSuchTunnel(let host):
            PageText(
                status: 404, code: "no_such_tunnel", title: "No such tunnel",
                message: "There is no tunnel named \(host) here.",
                remedy: "Check the address. If it is yours, start ws-tunnel-client again and use the address it prints.")
        case .noDomain:
            PageText(
                status: 404, code: "no_tunnel", title: "Nothing here",
                message: "A ws-tunnel server answers at this address, and the request names none of its tunnels.",
                remedy: "Use the address that ws-tunnel-client prints.")
        case .clientAway(let host):
            PageText(
                status: 503, code: "client_away", title: "The tunnel is not connected",
                message: "\(host) is a tunnel, but the computer behind it is not connected at the moment.",
                remedy: "Try again in a moment. If it is yours, look whether ws-tunnel-client is running.", retryAfter: 10)
        case .resuming(let host):
            PageText(
                status: 503, code: "resuming", title: "The tunnel is reconnecting",
                message: "The connection to the computer behind \(host) broke a moment ago and is being made again.",
                remedy: "Try again in a few seconds.", retryAfter: 5)
        case .unwell(let host):
            PageText(
                status: 503, code: "unhealthy", title: "The service is not well",
                message: "Every service behind \(host) says that it is not ready.",
                remedy: "Try again in a moment. If it is yours, look at its health check.", retryAfter: 10)
        case .busy:
            PageText(
                status: 503, code: "busy", title: "Too busy",
                message: "This tunnel has as many requests under way as it may.", remedy: "Try again in a moment.", retryAfter: 5)
        case .unauthorized:
            PageText(
                status: 401, code: "unauthorized", title: "Password needed",
                message: "This tunnel is protected by a user name and a password.", remedy: "Ask whoever gave you the address for them.")
        case .forbidden:
            PageText(
                status: 403, code: "forbidden", title: "Not from here",
                message: "This tunnel does not take visitors from your network address.",
                remedy: "Ask whoever gave you the address to allow yours.")
        case .tooLarge(let limit):
            PageText(
                status: 413, code: "too_large", title: "Too large",
                message: "This tunnel takes at most \(limit) bytes in one request.", remedy: "Send less at once.")
        case .refused(let refusal):
            PageText(
                status: refusal.status, code: "bad_request", title: Self.reason(refusal.status),
                message: "This request cannot be passed on: \(refusal.sentence).",
                remedy: "It is the program that sent the request that has to change.")
        case .serviceUnreachable, .noAnswer, .timedOut, .invalidAnswer, .interrupted: self.serviceText
        }
    }

    private var serviceText: PageText {
        switch self {
        case .serviceUnreachable(let service, let host):
            PageText(
                status: 502, code: "service_unreachable", title: "The service is not running",
                message: "The tunnel to \(host) is up, but nothing answers at \(service) behind it.",
                remedy: "If it is yours: is \(service) running?")
        case .noAnswer(let service):
            PageText(
                status: 502, code: "no_answer", title: "No answer",
                message: "The service at \(service) closed the connection before it answered.",
                remedy: "If it is yours, look at its log: it may have crashed, or speak something else than HTTP.")
        case .timedOut(let service):
            PageText(
                status: 504, code: "timed_out", title: "No answer in time",
                message: "The service at \(service) took the request and did not answer in time.",
                remedy: "Try again. If it is yours, look at its log, or give it more time with --timeout.")
        case .invalidAnswer(let service, let refusal):
            PageText(
                status: 502, code: "invalid_answer", title: "The answer makes no sense",
                message: "The answer of the service at \(service) cannot be passed on: \(refusal.sentence).",
                remedy: "If it is yours, the service has to change; or does it speak HTTPS?")
        default:
            PageText(
                status: 502, code: "interrupted", title: "Interrupted",
                message: "The tunnel broke before an answer came. The service may have seen the request.",
                remedy: "Try again in a moment.", retryAfter: 5)
        }
    }
}
