package import struct NIOHTTP1.HTTPHeaders
package import struct NIOHTTP1.HTTPResponseHead
package import struct NIOHTTP1.HTTPVersion

/// A service's response that can be read in one way only, without what belonged to the service's connection.
///
/// The same strictness as for requests: a response that visitors could read otherwise than we do would let a service's output be
/// split into answers that nobody gave. It is refused with 502.
package struct JudgedResponse: Equatable, Sendable {
    /// 100 to 599.
    package let status: UInt16
    package let reason: String
    /// Without fields of the connection and Content-Length; with Connection and Upgrade only when `isUpgrade`.
    package var fields: HTTPHeaders
    /// What the head says of the body, even where none follows: the answer to HEAD and a 304 tell how long it would be.
    package let body: BodyLength
    /// Whether bytes of a body follow: not for 1xx, 204, 304, or in answer to HEAD (RFC 9112 §6.3).
    package let hasBody: Bool
    /// Whether it comes in chunks, perhaps with trailers behind them.
    package let isChunked: Bool
    /// Whether the service's connection may carry another request afterwards. Never when the body goes on to the end of the
    /// connection, nor where a head speaks of a body that must not be.
    package let keepsAlive: Bool
    /// A 101 to a request that asked for it: from here on both directions carry another protocol.
    package let isUpgrade: Bool

    /// - Parameters:
    ///   - method: Of the request.
    ///   - askedForUpgrade: Whether the request did, with Connection and Upgrade.
    /// - Throws: `MessageRefusal` with 502.
    package init(_ head: HTTPResponseHead, toMethod method: String, askedForUpgrade: Bool) throws(MessageRefusal) {
        guard head.version == .http1_1 || head.version == .http1_0 else {
            throw MessageRefusal(502, "it is neither HTTP/1.1 nor HTTP/1.0")
        }
        let isHTTP10 = head.version == .http1_0
        guard let status = UInt16(exactly: head.status.code), 100...599 ~= status else {
            throw MessageRefusal(502, "its status is not between 100 and 599")
        }
        self.status = status
        self.reason = head.status.reasonPhrase
        guard HTTPText.isValue(self.reason) else { throw MessageRefusal(502, "a control character is in its status line") }
        let (framing, body) = try Self.framing(head.headers, isHTTP10: isHTTP10)

        let isInterim = status < 200
        self.isUpgrade = status == 101
        if self.isUpgrade {
            // RFC 9110 §15.2.2: it has to say what is spoken from here on.
            guard askedForUpgrade, method != "CONNECT" else { throw MessageRefusal(502, "it changes the protocol, which nobody asked for") }
            guard framing.asksForUpgrade, framing.upgrades.contains(where: { !$0.listElements.isEmpty }) else {
                throw MessageRefusal(502, "it changes the protocol, and does not say to which")
            }
        }
        guard !isInterim || !framing.isFramed else { throw MessageRefusal(502, "it speaks of a body where none may be") }
        self.hasBody = !(isInterim || status == 204 || status == 304 || method == "HEAD")
        self.isChunked = self.hasBody && framing.isChunked
        if status == 204 {
            self.body = .none
        } else if self.hasBody, body == .none {
            // RFC 9112 §6.3: up to the end of the connection.
            self.body = .unknown
        } else {
            self.body = body
        }
        let endsWithConnection = self.hasBody && body == .none
        // Some servers send the chunks, or the bytes, that must not follow.
        let mayTrail = !self.hasBody && (framing.isChunked || status == 204 && body != .none && body != .bytes(0))
        self.keepsAlive = !framing.closes && (!isHTTP10 || framing.keepsAlive) && !endsWithConnection && !mayTrail

        var fields = framing.fields
        if self.isUpgrade {
            fields.append(("Connection", "Upgrade"))
            fields.append(("Upgrade", framing.upgrades.joined(separator: ", ")))
        }
        self.fields = HTTPHeaders(fields)
    }

    private static func framing(
        _ headers: HTTPHeaders, isHTTP10: Bool
    ) throws(MessageRefusal) -> (Framing, BodyLength) {
        do throws(MessageRefusal) {
            let framing = try Framing(headers)
            return (framing, try framing.body(isHTTP10: isHTTP10))
        } catch {
            throw MessageRefusal(502, error.sentence)
        }
    }
}
