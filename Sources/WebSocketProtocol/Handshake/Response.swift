package import struct NIOCore.ByteBuffer

/// A whole answer that ends the connection: a refusal, mostly.
///
/// `Content-Length` and `Connection: close` are always written, and so are never among `fields`.
package struct Response: Equatable, Sendable {
    package var status: Int
    package var reason: String
    package var fields: HTTPFields
    /// Plain text, unless the fields give another Content-Type.
    package var body: String

    package init(status: Int, reason: String, fields: HTTPFields = [:], body: String = "") {
        precondition((200...599).contains(status), "\(status) does not end a connection")
        self.status = status
        self.reason = reason
        self.fields = fields
        self.body = body
    }

    /// The answer to a head that could not be read.
    package init(_ error: HeadError) {
        let reason =
            switch error.status {
            case 431: "Request Header Fields Too Large"
            case 505: "HTTP Version Not Supported"
            default: "Bad Request"
            }
        self.init(status: error.status, reason: reason, body: error.sentence + "\n")
    }

    /// Writes the response, or throws before a byte of it is written.
    ///
    /// - Parameter withBody: False in answer to HEAD: the body's length is told all the same (RFC 9110 §9.3.2).
    package func encode(withBody: Bool = true, into buffer: inout ByteBuffer) throws(UnwritableField) {
        guard HTTPSyntax.isFieldValue(self.reason.utf8) else { throw UnwritableField(name: "status", part: .value) }
        for name in ["Content-Length", "Connection", "Transfer-Encoding"] where self.fields.contains(name) {
            preconditionFailure("\(name) is the encoder's to write")
        }
        var fields = self.fields
        if !self.body.isEmpty, !fields.contains("Content-Type") {
            fields.append("Content-Type", "text/plain; charset=utf-8")
        }
        // RFC 9110 §7.8: an Upgrade field is named by Connection, so that no proxy passes it on.
        fields.append("Connection", fields.contains("Upgrade") ? "close, Upgrade" : "close")
        // RFC 9110 §8.6: never with 204.
        if self.status != 204 { fields.append("Content-Length", String(self.body.utf8.count)) }
        try fields.checkWritable()
        buffer.writeString("HTTP/1.1 \(self.status) \(self.reason)\r\n")
        fields.encode(into: &buffer)
        if withBody, self.status != 204 { buffer.writeString(self.body) }
    }
}
