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
        let method = HTTPText.isToken(message.method) ? message.method : "GET"
        let target = HTTPText.isTarget(message.target) ? message.target : "/"
        var lines = message.fieldList.lines
        if target.mayBeOpaque { lines = lines.asText }
        let start = self.writerIndex
        self.writeTexts(room: method.utf8.count + target.utf8.count + lines.bytes + TextWriter.framingBytes) { text in
            text.write(method)
            text.write(0x20)
            text.write(target)
            text.write(" HTTP/1.1\r\n")
            text.write(lines)
            switch message.body {
            case .none: break
            case .bytes(let count): text.write(contentLength: count)
            case .unknown: text.write("Transfer-Encoding: chunked\r\n")
            }
            if !keepsAlive, !message.asksForUpgrade { text.write("Connection: close\r\n") }
            text.writeLineEnd()
        }
        if lines.isText { self.restoreOpaqueBytes(from: start) }
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
    ///   - id: For X-Request-Id, unless the response has one.
    /// - Returns: How to write what follows.
    @discardableResult
    package mutating func writeResponseHead(
        _ message: ResponseMessage, toMethod method: String, toHTTP10 isHTTP10: Bool, keepsAlive: Bool, id: String? = nil
    ) -> WrittenResponse {
        var keepsAlive = keepsAlive
        var length: UInt64?
        let framing: WrittenResponse.Framing
        if message.status < 200 || message.status == 204 {
            framing = .none
        } else if message.status == 304 || method == "HEAD" {
            framing = .none
            if case .bytes(let count) = message.body { length = count }
        } else {
            switch message.body {
            case .none:
                length = 0
                framing = .none
            case .bytes(let count):
                length = count
                framing = .bytes(count)
            case .unknown where isHTTP10:
                keepsAlive = false
                framing = .untilClose
            case .unknown: framing = .chunked
            }
        }
        let reason = message.reason.asValue
        var lines = message.fieldList.lines
        if reason.mayBeOpaque { lines = lines.asText }
        let start = self.writerIndex
        let id = id.flatMap { HTTPText.isToken($0) && !message.fieldList.contains("x-request-id") ? $0 : nil }
        self.writeTexts(room: reason.utf8.count + lines.bytes + (id?.utf8.count ?? 0) + TextWriter.framingBytes) { text in
            text.write("HTTP/1.1 ")
            text.write(number: UInt64(message.status))
            text.write(0x20)
            text.write(reason)
            text.writeLineEnd()
            text.write(lines)
            if let id {
                text.write("X-Request-Id: ")
                text.write(id)
                text.writeLineEnd()
            }
            if let length { text.write(contentLength: length) }
            if framing == .chunked { text.write("Transfer-Encoding: chunked\r\n") }
            if message.status >= 200 {
                if !keepsAlive {
                    text.write("Connection: close\r\n")
                } else if isHTTP10 {
                    text.write("Connection: keep-alive\r\n")
                }
            }
            text.writeLineEnd()
        }
        if lines.isText { self.restoreOpaqueBytes(from: start) }
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
        let lines = MessageFields(trailers.isEmpty ? trailers : trailers.fitForTrailers).lines
        let start = self.writerIndex
        self.writeTexts(room: lines.bytes + TextWriter.framingBytes) { text in
            text.write("0\r\n")
            text.write(lines)
            text.writeLineEnd()
        }
        self.restoreOpaqueBytes(from: start)
    }

    /// What was written from here on is a text.
    private mutating func restoreOpaqueBytes(from start: Int) {
        guard OpaqueBytes.mayStand(in: self.readableBytesView[start...]) else { return }
        let bytes = OpaqueBytes.bytes(of: self.readableBytesView[start...])
        self.moveWriterIndex(to: start)
        self.writeBytes(bytes)
    }

    private mutating func writeLineEnd() { self.writeInteger(UInt16(0x0D0A)) }
}

extension TextWriter {
    /// What a head has beside its fields, its target and its reason, rounded up: version, status, lengths, Connection.
    fileprivate static let framingBytes = 160

    fileprivate mutating func write(contentLength: UInt64) {
        self.write("Content-Length: ")
        self.write(number: contentLength)
        self.writeLineEnd()
    }
}

extension HTTPHeaders {
    /// Those of them that may stand behind a body, as many as a head may have.
    var fitForTrailers: HTTPHeaders {
        HTTPHeaders(
            Array(self.filter { FieldKind.mayTrail($0.name) && HTTPText.isToken($0.name) }.prefix(MessageLimits.fields)).map { ($0.name, $0.value.asValue) })
    }
}
