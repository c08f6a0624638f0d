package import struct NIOCore.ByteBuffer
package import struct NIOHTTP1.HTTPHeaders

/// How a response that was written goes on, and what its visitor's connection comes to.
package struct WrittenResponse: Equatable, Sendable {
    package enum Framing: Equatable, Sendable {
        /// Nothing follows the head.
        case none
        /// So many bytes.
        case bytes(UInt64)
        /// Chunks: `writeChunkHead`, `writeChunkEnd`, `writeLastChunk`.
        case chunked
        /// Bytes up to the end of the connection.
        case untilClose
    }

    package let framing: Framing
    /// Whether another request may follow on the connection.
    package let keepsAlive: Bool

    package init(framing: Framing, keepsAlive: Bool) {
        self.framing = framing
        self.keepsAlive = keepsAlive
    }
}

/// HTTP/1.1 as text (RFC 9112). What is written is one message whatever the values are: a control character in one becomes a blank,
/// and a field whose name is not a token is left out.
extension ByteBuffer {
    /// Writes the head of a request for a service, with the framing of its body: `Content-Length`, or chunks when the length is not
    /// known. The fields are taken as they are.
    ///
    /// - Parameter keepsAlive: Whether the connection is to be used again.
    package mutating func writeRequestHead(_ message: RequestMessage, keepsAlive: Bool = true) {
        self.writeString(HTTPText.isToken(message.method) ? message.method : "GET")
        self.writeString(" ")
        self.writeString(HTTPText.isTarget(message.target) ? message.target : "/")
        self.writeString(" HTTP/1.1\r\n")
        self.writeFieldLines(message.fields)
        switch message.body {
        case .none: break
        case .bytes(let count): self.writeContentLength(count)
        case .unknown: self.writeString("Transfer-Encoding: chunked\r\n")
        }
        if !keepsAlive, !message.asksForUpgrade { self.writeString("Connection: close\r\n") }
        self.writeLineEnd()
    }

    /// Writes the head of a response for a visitor, with the framing of its body and what becomes of the connection.
    ///
    ///     length      to HTTP/1.1        to HTTP/1.0
    ///     known       Content-Length     Content-Length
    ///     none        Content-Length: 0  Content-Length: 0
    ///     unknown     chunked            up to the end of the connection
    ///
    /// A 1xx or 204 has none of it; the answer to HEAD and a 304 only the length that the service gave (RFC 9110 §8.6). Interim
    /// responses say nothing of the connection; an HTTP/1.0 visitor must not be sent any (RFC 9110 §15.2).
    ///
    /// - Parameters:
    ///   - method: Of the request.
    ///   - keepsAlive: Whether the visitor and we wish to go on.
    /// - Returns: How to write what follows.
    @discardableResult
    package mutating func writeResponseHead(
        _ message: ResponseMessage, toMethod method: String, toHTTP10 isHTTP10: Bool, keepsAlive: Bool
    ) -> WrittenResponse {
        self.writeString("HTTP/1.1 ")
        self.writeString(String(message.status))
        self.writeString(" ")
        self.writeString(message.reason.asValue)
        self.writeLineEnd()
        self.writeFieldLines(message.fields)
        var keepsAlive = keepsAlive
        let framing: WrittenResponse.Framing
        if message.status < 200 || message.status == 204 {
            framing = .none
        } else if message.status == 304 || method == "HEAD" {
            framing = .none
            if case .bytes(let count) = message.body { self.writeContentLength(count) }
        } else {
            switch message.body {
            case .none:
                self.writeContentLength(0)
                framing = .none
            case .bytes(let count):
                self.writeContentLength(count)
                framing = .bytes(count)
            case .unknown where isHTTP10:
                keepsAlive = false
                framing = .untilClose
            case .unknown:
                self.writeString("Transfer-Encoding: chunked\r\n")
                framing = .chunked
            }
        }
        if message.status >= 200 {
            if !keepsAlive {
                self.writeString("Connection: close\r\n")
            } else if isHTTP10 {
                self.writeString("Connection: keep-alive\r\n")
            }
        }
        self.writeLineEnd()
        return WrittenResponse(framing: framing, keepsAlive: keepsAlive)
    }

    /// The line before a chunk's bytes (RFC 9112 §7.1). After them goes `writeChunkEnd`.
    ///
    /// - Parameter count: More than 0: an empty chunk would end the body.
    package mutating func writeChunkHead(_ count: Int) {
        precondition(count > 0, "a chunk of \(count) bytes")
        self.writeString(String(count, radix: 16))
        self.writeLineEnd()
    }

    package mutating func writeChunkEnd() {
        self.writeLineEnd()
    }

    /// The end of a chunked body, and the fields of its trailer section. Those that a trailer must not have are left out
    /// (RFC 9110 §6.5.1): whoever merges it into the head would take them for the message's own.
    package mutating func writeLastChunk(trailers: HTTPHeaders = HTTPHeaders()) {
        self.writeString("0\r\n")
        for (name, value) in trailers where FieldKind.mayTrail(name) { self.writeFieldLine(name, value) }
        self.writeLineEnd()
    }

    private mutating func writeContentLength(_ count: UInt64) {
        self.writeString("Content-Length: ")
        self.writeString(String(count))
        self.writeLineEnd()
    }

    private mutating func writeFieldLines(_ fields: HTTPHeaders) {
        // Enough for most heads at once.
        self.reserveCapacity(minimumWritableBytes: 1_024)
        for (name, value) in fields { self.writeFieldLine(name, value) }
    }

    private mutating func writeFieldLine(_ name: String, _ value: String) {
        guard HTTPText.isToken(name) else { return }
        self.writeString(name)
        // A colon and a blank.
        self.writeInteger(UInt16(0x3A20))
        self.writeString(value.asValue)
        self.writeLineEnd()
    }

    private mutating func writeLineEnd() { self.writeInteger(UInt16(0x0D0A)) }
}

extension HTTPHeaders {
    /// Those of them that may stand behind a body, as many as a head may have.
    var fitForTrailers: HTTPHeaders {
        HTTPHeaders(
            Array(self.filter { FieldKind.mayTrail($0.name) && HTTPText.isToken($0.name) }.prefix(MessageLimits.fields)).map { ($0.name, $0.value.asValue) })
    }
}
