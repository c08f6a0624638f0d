package import struct NIOCore.ByteBuffer

/// The client's half of the opening handshake (RFC 6455 §4.1).
///
///     init ──request──▶ waiting ──1xx──▶ waiting ──101, all rules kept──▶ Accepted, then WebSocketConnection
///                                          └─────anything else──────────▶ ClientHandshakeError
package struct ClientHandshake: Sendable {
    /// What the server agreed to.
    package struct Accepted: Equatable, Sendable {
        package let subprotocol: String?
        /// permessage-deflate as agreed on, for `WebSocketConnection`.
        package let compression: PermessageDeflate?
        package let fields: HTTPFields
    }

    /// The request, to be sent as it is.
    package let request: ByteBuffer

    private let key: String
    private let subprotocols: [String]
    private let requiresSubprotocol: Bool
    private let compression: PermessageDeflate?
    private var parser: HeadParser<ResponseHead>
    private var interimResponsesLeft: Int

    /// - Parameters:
    ///   - host: the server's name as in its URL, with the port unless it is the scheme's own.
    ///   - path: path and query of the URL.
    ///   - subprotocols: offered in this order.
    ///   - compression: permessage-deflate as this end would have it, or nil not to offer it.
    ///   - extraFields: such as Authorization; none that the handshake writes itself.
    ///   - nonce: 16 bytes, fresh and random.
    ///   - requiresSubprotocol: refuse an answer that chose none of those offered.
    package init(
        host: String, path: String, subprotocols: [String] = [], compression: PermessageDeflate? = nil,
        extraFields: HTTPFields = [:], nonce: [UInt8], requiresSubprotocol: Bool = true, limits: WebSocketLimits = .answers
    ) throws(UnwritableRequest) {
        guard Authority(host) != nil else { throw .host }
        guard path.utf8.first == UInt8(ascii: "/"), HTTPSyntax.isTarget(path.utf8) else { throw .path }
        guard subprotocols.allSatisfy({ HTTPSyntax.isToken($0.utf8) }), Set(subprotocols).count == subprotocols.count
        else { throw .subprotocol }
        self.key = AcceptKey.key(nonce: nonce)
        self.subprotocols = subprotocols
        self.requiresSubprotocol = requiresSubprotocol && !subprotocols.isEmpty
        self.compression = compression
        self.parser = HeadParser(limits: limits)
        self.interimResponsesLeft = limits.interimResponses

        var fields: HTTPFields = [
            "Host": host, "Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Key": self.key,
            "Sec-WebSocket-Version": "13",
        ]
        if !subprotocols.isEmpty {
            fields.append("Sec-WebSocket-Protocol", subprotocols.joined(separator: ", "))
        }
        if let compression { fields.append(ExtensionElement.field, compression.offer.text) }
        for field in extraFields.all {
            guard !HandshakeFields.owns(field.name) else { throw .ownField(name: field.name) }
            fields.append(field.name, field.value)
        }
        do throws(UnwritableField) { try fields.checkWritable() } catch { throw .field(error) }
        var request = ByteBuffer()
        request.writeString("GET \(path) HTTP/1.1\r\n")
        fields.encode(into: &request)
        self.request = request
    }

    /// Takes bytes as they come. Returns nil, all bytes taken, until the answer's head is whole. What remains in
    /// `bytes` then are the server's first frames, for `WebSocketConnection`.
    package mutating func receive(_ bytes: inout ByteBuffer) throws(ClientHandshakeError) -> Accepted? {
        while let head = try self.nextHead(&bytes) {
            switch head.status {
            case 101: return try self.check(head)
            case 100..<200:
                // RFC 9110 §15.2: a client reads past interim responses it did not ask for.
                guard self.interimResponsesLeft > 0 else { throw .tooManyInterimResponses }
                self.interimResponsesLeft -= 1
            default: throw .refused(RefusedUpgrade(head, body: bytes.readableBytesView))
            }
        }
        return nil
    }

    private mutating func nextHead(_ bytes: inout ByteBuffer) throws(ClientHandshakeError) -> ResponseHead? {
        do throws(HeadError) { return try self.parser.receive(&bytes) } catch { throw .malformed(error) }
    }

    private func check(_ head: ResponseHead) throws(ClientHandshakeError) -> Accepted {
        let fields = head.fields
        guard head.version >= .http1_1 else { throw .httpVersion }
        // RFC 6455 §4.1: this value, not an element of a list.
        guard let upgrade = fields.only("Upgrade"), upgrade.equalsIgnoringCase("websocket") else { throw .upgrade }
        guard fields.list("Connection", contains: "upgrade") else { throw .connection }
        guard fields.only("Sec-WebSocket-Accept") == AcceptKey.accept(key: self.key) else { throw .acceptKey }
        let compression = try self.checkExtensions(fields)
        guard fields.contains("Sec-WebSocket-Protocol") else {
            guard !self.requiresSubprotocol else { throw .noSubprotocol }
            return Accepted(subprotocol: nil, compression: compression, fields: fields)
        }
        guard let chosen = fields.only("Sec-WebSocket-Protocol"), self.subprotocols.contains(chosen) else {
            let chosen = fields.values("Sec-WebSocket-Protocol").joined(separator: ", ")
            throw .subprotocolNotOffered(PrintableText.line(of: chosen))
        }
        return Accepted(subprotocol: chosen, compression: compression, fields: fields)
    }

    /// RFC 6455 §4.1 and §9.1: what was not offered, or comes twice, is refused; so is a field without an element.
    private func checkExtensions(_ fields: HTTPFields) throws(ClientHandshakeError) -> PermessageDeflate? {
        guard fields.contains(ExtensionElement.field) else { return nil }
        guard let compression, let elements = ExtensionElement.all(in: fields), elements.count == 1,
            elements[0].name == PermessageDeflate.name
        else { throw .extensionNotOffered }
        guard let agreed = compression.agreed(answer: elements[0]) else { throw .compression }
        return agreed
    }
}
