package import TunnelProtocol

/// A request of an HTTP tunnel that is over.
public struct ClientRequest: Sendable {
    /// The server's, also in the field X-Request-Id.
    public let id: String
    /// When it began: milliseconds since 1970-01-01T00:00:00Z.
    public let started: Int64
    public let method: String
    /// Without the query, which may hold what is nobody's concern.
    public let path: String
    /// Of the final response; `nil` when there was none.
    public let status: UInt16?
    /// To the end of the response.
    public let duration: Duration
    /// Of the response's body.
    public let bytes: UInt64
    let endpoint: Endpoint?
    /// The tunnel's public URL.
    public let url: String
    /// Why it did not come to a proper end.
    public let failure: String?

    /// The visitor's address; empty when it is not known.
    public var visitor: String { self.endpoint.map { "\($0.address)" } ?? "" }

    /// The same where it is an address of IPv4, its first number in the highest byte.
    package var visitorV4: UInt32? {
        guard case .v4(let bits) = self.endpoint?.address else { return nil }
        return bits
    }

    package init(
        id: String, started: Int64, method: String, path: String, status: UInt16?, duration: Duration, bytes: UInt64, endpoint: Endpoint?,
        url: String, failure: String?
    ) {
        self.id = id
        self.started = started
        self.method = method
        self.path = path
        self.status = status
        self.duration = duration
        self.bytes = bytes
        self.endpoint = endpoint
        self.url = url
        self.failure = failure
    }
}

extension String {
    /// Of a request's target, its path.
    var withoutQuery: String {
        let query = self.utf8.withContiguousStorageIfAvailable { $0.firstIndex(of: UInt8(ascii: "?")) }
        guard case .some(.some(let count)) = query else { return self }
        return String(decoding: self.utf8.prefix(count), as: UTF8.self)
    }
}
