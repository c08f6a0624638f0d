package import struct NIOCore.ByteBuffer

/// A request that may be answered with 101: every rule of RFC 6455 §4.2.1 holds for it.
///
/// Each fact is read once, here; what routes by the host and what checks the key see the same values.
package struct WebSocketUpgrade: Equatable, Sendable {
    package let authority: Authority
    /// `/path?query`, also where the request had an absolute URI.
    package let path: String
    /// In the client's order of preference; perhaps none.
    package let subprotocols: [String]
    private let key: String
    private let extensions: [ExtensionElement]

    package init(_ request: RequestHead) throws(UpgradeRefusal) {
        let fields = request.fields
        guard request.method == "GET" else { throw .method }
        guard request.version >= .http1_1 else { throw .httpVersion }
        (self.authority, self.path) = try Self.destination(of: request)
        // RFC 9112 §6.3: either field announces a body, which would be read as frames.
        guard !fields.contains("Transfer-Encoding"), fields.values("Content-Length").allSatisfy({ $0 == "0" })
        else { throw .body }
        guard fields.list("Upgrade", contains: "websocket") else { throw .upgrade }
        guard fields.list("Connection", contains: "upgrade") else { throw .connection }
        guard fields.only("Sec-WebSocket-Version") == "13" else { throw .version }
        guard let key = fields.only("Sec-WebSocket-Key"), AcceptKey.isValid(key: key) else { throw .key }
        self.key = key
        self.subprotocols = fields.list("Sec-WebSocket-Protocol")
        // RFC 6455 §4.1, item 10.
        guard self.subprotocols.allSatisfy({ HTTPSyntax.isToken($0.utf8) }),
            Set(self.subprotocols).count == self.subprotocols.count
        else { throw .subprotocols }
        guard let extensions = ExtensionElement.all(in: fields) else { throw .extensions }
        self.extensions = extensions
    }

    /// Writes the 101, or throws before a byte of it is written. Extensions are declined by silence.
    ///
    /// - Parameters:
    ///   - subprotocol: one of those offered, or nil to choose none.
    ///   - compression: permessage-deflate as this end would have it, or nil to decline it.
    /// - Returns: permessage-deflate as it was agreed on, for `WebSocketConnection`; nil if it was not.
    @discardableResult
    package func encodeAcceptance(
        subprotocol: String?, compression: PermessageDeflate? = nil, fields extra: HTTPFields = [:],
        into buffer: inout ByteBuffer
    ) throws(UnwritableField) -> PermessageDeflate? {
        var fields: HTTPFields = [
            "Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Accept": AcceptKey.accept(key: self.key),
        ]
        if let subprotocol {
            precondition(self.subprotocols.contains(subprotocol), "\(subprotocol) was not offered")
            fields.append("Sec-WebSocket-Protocol", subprotocol)
        }
        let acceptance = compression.flatMap { PermessageDeflate.accept(self.extensions, wanted: $0) }
        if let acceptance { fields.append(ExtensionElement.field, acceptance.answer.text) }
        for field in extra.all {
            // RFC 9110 §8.6 and §6.1 forbid a body's fields in a 101; the others are written above.
            precondition(!HandshakeFields.owns(field.name), "\(field.name) is the encoder's to write")
            fields.append(field.name, field.value)
        }
        try fields.checkWritable()
        buffer.writeString("HTTP/1.1 101 Switching Protocols\r\n")
        fields.encode(into: &buffer)
        return acceptance?.agreed
    }

    /// RFC 9112 §3.2: exactly one Host, always. An absolute URI has the last word, and here it must agree as well: what
    /// stands in front of us may have gone by the other one.
    private static func destination(of request: RequestHead) throws(UpgradeRefusal) -> (Authority, String) {
        guard let value = request.fields.only("Host"), let host = Authority(value) else { throw .host }
        let target = request.target
        if target.utf8.first == UInt8(ascii: "/") { return (host, target) }
        for scheme in ["http://", "https://"] where target.prefix(scheme.count).equalsIgnoringCase(scheme) {
            let rest = target.dropFirst(scheme.count)
            let end = rest.firstIndex { $0 == "/" || $0 == "?" } ?? rest.endIndex
            guard Authority(rest[..<end]) == host else { throw .host }
            let path = rest[end...]
            return (host, path.first == "/" ? String(path) : "/" + path)
        }
        throw .target
    }
}

/// The fields that belong to the opening handshake itself, or that would give its messages a body.
enum HandshakeFields {
    static func owns(_ name: String) -> Bool {
        let own = ["host", "upgrade", "connection", "content-length", "transfer-encoding"]
        return own.contains { $0.equalsIgnoringCase(name) }
            || name.prefix(14).equalsIgnoringCase("sec-websocket-")
    }
}
