import Foundation

/// A WebSocket spoken by hand, to a server without TLS, that may break any rule.
struct RawWebSocket {
    let connection: Connection
    /// The server's answer to the upgrade.
    let answer: String

    /// Opens it properly, and greets unless told otherwise.
    ///
    /// - Parameters:
    ///   - key: By default the right one.
    ///   - extra: Further fields of the request.
    init(to server: Server, on stage: Stage, greets: Bool = true, key: String? = nil, extra: String = "") throws {
        self.connection = try stage.visit(server.port)
        try self.connection.send(Self.request(key: key ?? stage.key, extra: extra.isEmpty ? "" : "\(extra)\r\n"))
        self.answer = try Self.readHead(from: self.connection)
        guard answer.hasPrefix("HTTP/1.1 101 ") else { throw Failure("the upgrade was answered with \(answer)") }
        guard greets else { return }
        try self.send(Self.hello)
        _ = try self.message(0x02)
    }

    /// HELLO with windows of 16 KiB less one and 63 streams.
    static let hello: [UInt8] = [0x01, 0x02, 2, 0x7F, 0xFF, 0x03, 1, 63]

    /// What the server's WELCOME says.
    struct Welcome {
        let session: [UInt8]
        var token: [UInt8]
        /// Link frames of ours that the server has received.
        let received: Int

        /// HELLO that asks to go on with a link.
        ///
        /// - Parameter received: Link frames of the server's that came here; at most 63.
        func hello(received: UInt8, attempt: UInt8) -> [UInt8] {
            RawWebSocket.hello + [0x04, 16] + self.session + [0x05, 32] + self.token + [0x06, 1, received, 0x0A, 1, attempt]
        }
    }

    /// Sends HELLO and reads WELCOME.
    func greet(_ hello: [UInt8] = Self.hello) throws -> Welcome {
        try self.send(hello)
        let parameters = try Self.parameters(self.message(0x02).dropFirst())
        guard let session = parameters[0x04], let token = parameters[0x05], let received = parameters[0x06]?.last else {
            throw Failure("WELCOME holds only \(parameters)")
        }
        return Welcome(session: session, token: token, received: Int(received))
    }

    /// A number below 2^30, as the tunnel protocol writes it.
    static func varint(_ value: Int) -> [UInt8] {
        if value < 0x40 { return [UInt8(value)] }
        if value < 0x4000 { return [0x40 | UInt8(value >> 8), UInt8(value & 0xFF)] }
        return [0x80 | UInt8(value >> 24), UInt8(value >> 16 & 0xFF), UInt8(value >> 8 & 0xFF), UInt8(value & 0xFF)]
    }

    /// Key, length, value, and so on; numbers below 16,384.
    static func parameters(_ bytes: ArraySlice<UInt8>) throws -> [Int: [UInt8]] {
        var rest = bytes
        func varint() throws -> Int {
            guard let first = rest.popFirst(), first < 0x40 || !rest.isEmpty else { throw Failure("a varint is cut off") }
            return first < 0x40 ? Int(first) : Int(first & 0x3F) << 8 | Int(rest.removeFirst())
        }
        var result: [Int: [UInt8]] = [:]
        while !rest.isEmpty {
            let (key, length) = (try varint(), try varint())
            guard rest.count >= length else { throw Failure("a parameter is cut off") }
            result[key] = Array(rest.prefix(length))
            rest = rest.dropFirst(length)
        }
        return result
    }

    static func request(key: String, extra: String = "") -> String {
        """
        GET /_ws-tunnel/v1 HTTP/1.1\r
        Host: localhost\r
        Connection: Upgrade\r
        Upgrade: websocket\r
        Sec-WebSocket-Version: 13\r
        Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r
        Sec-WebSocket-Protocol: ws-tunnel.1\r
        Authorization: Bearer \(key)\r
        \(extra)\r

        """
    }

    /// One frame.
    ///
    /// - Parameters:
    ///   - first: FIN, reserved bits and opcode.
    ///   - length: What the header claims; by default the truth.
    func send(_ payload: [UInt8], first: UInt8 = 0x82, isMasked: Bool = true, length: Int? = nil) throws {
        let length = length ?? payload.count
        let mask: [UInt8] = isMasked ? [0x12, 0x34, 0x56, 0x78] : []
        var frame = [first]
        let flag: UInt8 = isMasked ? 0x80 : 0
        if length < 126 {
            frame.append(flag | UInt8(length))
        } else {
            frame += [flag | 126, UInt8(length >> 8 & 0xFF), UInt8(length & 0xFF)]
        }
        frame += mask
        frame += isMasked ? payload.enumerated().map { $1 ^ mask[$0 % 4] } : payload
        try self.connection.send(frame)
    }

    /// One frame of 126 to 65,535 bytes, with a mask of zeros: masking many megabytes would take the test's time.
    func sendBulk(_ payload: [UInt8], first: UInt8 = 0x82) throws {
        try self.connection.send([first, 0xFE, UInt8(payload.count >> 8), UInt8(payload.count & 0xFF), 0, 0, 0, 0] + payload)
    }

    /// Several proper messages in one write.
    func send(messages: [[UInt8]]) throws {
        // A mask of zeros changes nothing.
        try self.connection.send(messages.flatMap { [0x82, 0x80 | UInt8($0.count), 0, 0, 0, 0] + $0 })
    }

    /// The next frame of the server's: its first byte and its payload.
    func frame() throws -> (first: UInt8, payload: [UInt8]) {
        let header = try self.connection.receive(2)
        var length = Int(header[1] & 0x7F)
        if length == 126 {
            let more = try self.connection.receive(2)
            length = Int(more[0]) << 8 | Int(more[1])
        }
        return (header[0], try self.connection.receive(length))
    }

    /// The payload of the next binary message that begins with `type`, passing over whatever comes before it.
    func message(_ type: UInt8) throws -> [UInt8] {
        while true {
            let (first, payload) = try self.frame()
            if first == 0x82, payload.first == type { return payload }
        }
    }

    /// The code of the Close frame that the server sends, passing over whatever comes before it.
    func closeCode() throws -> Int {
        while true {
            let (first, payload) = try self.frame()
            if first == 0x88 { return payload.count < 2 ? 1005 : Int(payload[0]) << 8 | Int(payload[1]) }
        }
    }

    /// An HTTP head, with the empty line at its end.
    private static func readHead(from connection: Connection) throws -> String {
        var head: [UInt8] = []
        while !head.suffix(4).elementsEqual([13, 10, 13, 10]) { head += try connection.receive(1) }
        return String(decoding: head, as: UTF8.self)
    }
}
