package import NIOCore
package import WebSocketProtocol

/// One end of a WebSocket after its opening handshake that sends every message back: what Autobahn asks of both roles.
///
///     bytes ──receive──▶ events ──▶ answers, to be written ──▶ isOver: to be closed once they are
package struct Echo {
    /// What a message may come to. 16 MiB: the longest of the suite.
    private static let longestMessage = 16 << 20

    private var webSocket: WebSocketConnection
    private var message = ByteBuffer()
    /// The last whole message.
    package private(set) var lastMessage = ""

    package init(role: WebSocketConnection.Role, compression: PermessageDeflate?) {
        self.webSocket = WebSocketConnection(role: role, acceptsText: true, compression: compression)
    }

    /// Nothing is left to say.
    package var isOver: Bool { self.webSocket.isClosed }

    /// - Returns: The bytes to send.
    package mutating func receive(_ bytes: inout ByteBuffer, repeatsMessages: Bool = true) -> ByteBuffer {
        var answers = ByteBuffer()
        do throws(WebSocketViolation) {
            try self.webSocket.receive(&bytes)
            self.takeEvents(&answers, repeatsMessages)
        } catch {
            self.takeEvents(&answers, repeatsMessages)
            self.webSocket.encodeClose(error, maskingKey: self.key(), into: &answers)
        }
        return answers
    }

    private mutating func takeEvents(_ answers: inout ByteBuffer, _ repeatsMessages: Bool) {
        while let event = self.webSocket.nextEvent() {
            switch event {
            case .payload(let part): self.take(part, &answers, repeatsMessages)
            case .ping(let payload): self.webSocket.encodePong(payload, maskingKey: self.key(), into: &answers)
            case .pong: break
            case .closed(let code, _): self.webSocket.encodeClose(code, maskingKey: self.key(), into: &answers)
            case .violation(let violation):
                self.webSocket.encodeClose(violation, maskingKey: self.key(), into: &answers)
            }
        }
    }

    private mutating func take(_ part: MessagePart, _ answers: inout ByteBuffer, _ repeatsMessages: Bool) {
        guard self.webSocket.canSend else { return }
        self.message.writeImmutableBuffer(part.bytes)
        guard self.message.readableBytes <= Self.longestMessage else {
            self.webSocket.encodeClose(.messageTooBig, maskingKey: self.key(), into: &answers)
            return
        }
        guard part.isLast else { return }
        if repeatsMessages {
            self.webSocket.encode(part.kind, self.message, maskingKey: self.key(), into: &answers)
        } else {
            self.lastMessage = String(buffer: self.message)
        }
        self.message = ByteBuffer()
    }

    private func key() -> MaskingKey? {
        self.webSocket.role.masks ? MaskingKey(.random(in: .min ... .max)) : nil
    }
}
