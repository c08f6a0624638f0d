package import struct NIOCore.ByteBuffer
package import struct NIOHTTP1.HTTPHeaders
package import TunnelProtocol

/// What follows a head.
package enum BodyLength: Equatable, Sendable {
    /// Not even an empty body: nothing in the head speaks of one.
    case none
    /// `Content-Length`.
    case bytes(UInt64)
    /// Chunked, or up to the end of the connection.
    case unknown
}

/// The head of a request, as it travels from the server to the client: judged and routed, without what belonged to the visitor's
/// connection, with what the server knows of the visitor.
package struct RequestMessage: Equatable, Sendable {
    /// Who sent it, as far as it can be known.
    package var visitor: Endpoint?
    /// `http` or `https`: what the visitor spoke.
    package var scheme: String
    /// One for each request; in the field X-Request-Id, in logs and in the inspector.
    package var id: String
    package var method: String
    /// Origin-form, or `*` (RFC 9112 §3.2).
    package var target: String
    /// The first is Host. Without fields of the connection (RFC 9110 §7.6.1), Content-Length and Transfer-Encoding; with Connection
    /// and Upgrade only when the request asks for one.
    package var fields: HTTPHeaders {
        get { self.fieldList.headers }
        set { self.fieldList = MessageFields(newValue) }
    }
    package var body: BodyLength
    /// Whether Connection and Upgrade are meant: after a 101 the body records of both directions carry the other protocol.
    package var asksForUpgrade: Bool
    var fieldList: MessageFields

    package init(
        visitor: Endpoint? = nil, scheme: String, id: String, method: String, target: String, fields: HTTPHeaders,
        body: BodyLength = .none, asksForUpgrade: Bool = false
    ) {
        self.visitor = visitor
        self.scheme = scheme
        self.id = id
        self.method = method
        self.target = target
        self.fieldList = MessageFields(fields)
        self.body = body
        self.asksForUpgrade = asksForUpgrade
    }

    /// What keeping the fields takes, in bytes, rounded up.
    package var fieldBytesKept: Int { self.fieldList.bytesKept }

    /// For people to read (`String.shown`): not to be sent.
    package var shown: RequestMessage {
        var shown = self
        shown.target = self.target.shown
        shown.fields = self.fields.shown
        return shown
    }
}

/// The head of a response, as it travels from the client to the server: without what belonged to the service's connection.
package struct ResponseMessage: Equatable, Sendable {
    /// 1xx other than 101 are followed by another.
    package var status: UInt16
    package var reason: String
    package var fields: HTTPHeaders {
        get { self.fieldList.headers }
        set { self.fieldList = MessageFields(newValue) }
    }
    package var body: BodyLength
    /// Why the client answers in the service's place; `nil`: the service does.
    package var failure: Failure?
    var fieldList: MessageFields

    /// What is wrong with the service.
    package enum Failure: UInt64, Sendable {
        /// No connection, and nothing of the request has reached it: another member of the group may be asked.
        case unreachable = 1
        /// It ended before its answer.
        case noAnswer = 2
        case timedOut = 3
        /// Its answer is not one that may be passed on.
        case invalidAnswer = 4
    }

    package init(
        status: UInt16, reason: String, fields: HTTPHeaders = HTTPHeaders(), body: BodyLength = .none, failure: Failure? = nil
    ) {
        self.status = status
        self.reason = reason
        self.fieldList = MessageFields(fields)
        self.body = body
        self.failure = failure
    }

    /// What keeping the fields takes, in bytes, rounded up.
    package var fieldBytesKept: Int { self.fieldList.bytesKept }

    /// For people to read (`String.shown`): not to be sent.
    package var shown: ResponseMessage {
        var shown = self
        shown.reason = self.reason.shown
        shown.fields = self.fields.shown
        return shown
    }
}

extension HTTPHeaders {
    fileprivate var shown: HTTPHeaders { HTTPHeaders(self.map { ($0.name, $0.value.shown) }) }
}

/// One piece of what a stream of an HTTP tunnel carries. In each direction, again and again:
///
///     server ▶ client    request   body*   end
///     client ▶ server    response (1xx)*   response   body*   end
///
/// The next request follows once both ends of the one before are there. Each direction of an upgraded connection ends with `end`,
/// too. A message that cannot be completed resets the stream.
package enum MessageRecord: Equatable, Sendable {
    indirect case request(RequestMessage)
    indirect case response(ResponseMessage)
    /// Never empty.
    case body(ByteBuffer)
    /// With the fields of a trailer section (RFC 9110 §6.5).
    case end(HTTPHeaders)
}
