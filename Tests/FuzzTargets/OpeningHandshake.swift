import struct NIOCore.ByteBuffer
import WebSocketProtocol

extension FuzzTarget {
    /// Both halves of the opening handshake: a byte of settings, one for the cuts, then what the peer sends, or the values that
    /// a client is given.
    ///
    ///     settings   00 a request, to a server   01 an answer, to a client   02 a client's values, one a line   04 small limits
    ///
    /// Cut anywhere it comes to the same; a head written again is read as the same; what is answered is well-formed; limits hold;
    /// and a server accepts whatever our client agrees to send.
    package static let openingHandshake = FuzzTarget(name: "opening-handshake", longest: 18_000) { input in
        let settings = input.byte()
        var cuts = Cuts(seed: input.byte())
        let bytes = input.rest()
        let pieces = cuts.pieces(of: bytes)
        let limits = settings & 4 == 0 ? WebSocketLimits() : .small
        switch settings & 3 {
        case 1: try requireEqual(Answer(of: pieces, limits), Answer(of: [bytes], limits), "an answer in pieces")
        case 2: try handshake(values: bytes, pieces: &cuts)
        default:
            let request = Request(of: [bytes], limits)
            try requireEqual(Request(of: pieces, limits), request, "a request in pieces")
            try request.check(bytes, limits)
        }
    }
}

extension WebSocketLimits {
    /// Limits that a short input reaches.
    fileprivate static var small: WebSocketLimits {
        var limits = WebSocketLimits()
        limits.line = 100
        limits.head = 300
        limits.fields = 8
        limits.interimResponses = 2
        return limits
    }

    /// For what was read once already: three bytes stand for each that was not UTF-8.
    fileprivate static var wide: WebSocketLimits {
        var limits = WebSocketLimits()
        limits.line *= 3
        limits.head *= 4
        return limits
    }
}

/// What a server makes of a stranger's bytes.
private enum Request: Equatable {
    case unfinished
    case head(RequestHead, left: [UInt8])
    case failed(HeadError)

    init(of pieces: [[UInt8]], _ limits: WebSocketLimits) {
        self = .unfinished
        var server = ServerHandshake(limits: limits)
        for piece in pieces {
            if case .head(let head, let left) = self {
                self = .head(head, left: left + piece)
                continue
            }
            var buffer = ByteBuffer(bytes: piece)
            do throws(HeadError) {
                if let head = try server.receive(&buffer) { self = .head(head, left: buffer.bytes) }
            } catch {
                // A parser that has failed fails again, the same way.
                self = .failed(error)
            }
        }
    }

    func check(_ bytes: [UInt8], _ limits: WebSocketLimits) throws {
        switch self {
        case .unfinished:
            try require(bytes.count <= limits.head, "\(bytes.count) bytes of a head are waited on")
        case .failed(let error):
            try Self.checkResponse(Response(error))
        case .head(let head, let left):
            try require(bytes.count - left.count <= limits.head, "a head of \(bytes.count - left.count) bytes")
            try require(head.fields.all.count <= limits.fields, "\(head.fields.all.count) fields")
            try Self.checkAgain(head)
            try Self.checkUpgrade(head)
        }
    }

    private static func checkAgain(_ head: RequestHead) throws {
        var text = "\(head.method) \(head.target) HTTP/1.\(head.version.minor)\r\n"
        for field in head.fields.all { text += "\(field.name): \(field.value)\r\n" }
        try requireEqual(
            Request(of: [Array((text + "\r\n").utf8)], .wide), .head(head, left: []), "a request written and read again")
    }

    private static func checkUpgrade(_ head: RequestHead) throws {
        let upgrade: WebSocketUpgrade
        do throws(UpgradeRefusal) {
            upgrade = try WebSocketUpgrade(head)
        } catch {
            return try self.checkResponse(error.response)
        }
        try require(upgrade.path.utf8.first == UInt8(ascii: "/"), "the path \(upgrade.path)")
        for subprotocol in [nil] + upgrade.subprotocols {
            var buffer = ByteBuffer()
            try upgrade.encodeAcceptance(subprotocol: subprotocol, into: &buffer)
            var parser = HeadParser<ResponseHead>(limits: .wide)
            guard let answer = try parser.receive(&buffer), answer.status == 101 else { throw Broken("a 101 that is none") }
            let key = head.fields.only("Sec-WebSocket-Key") ?? ""
            try requireEqual(answer.fields.only("Sec-WebSocket-Accept"), AcceptKey.accept(key: key), "the accept key")
            try requireEqual(answer.fields.only("Sec-WebSocket-Protocol"), subprotocol, "the subprotocol")
            try require(buffer.readableBytes == 0, "bytes behind a 101")
        }
    }

    private static func checkResponse(_ response: Response) throws {
        var buffer = ByteBuffer()
        try response.encode(into: &buffer)
        var parser = HeadParser<ResponseHead>()
        let head = try parser.receive(&buffer)
        try requireEqual(head?.status, response.status, "a refusal's status")
        try requireEqual(buffer.bytes, Array(response.body.utf8), "a refusal's body")
    }
}

/// What a client makes of a stranger's bytes. Its key is that of sixteen zeros.
private enum Answer: Equatable {
    case unfinished
    case accepted(ClientHandshake.Accepted, left: [UInt8])
    case failed(ClientHandshakeError)
    /// How much of the body comes with a refusal's head is up to the cuts.
    case refused(status: Int, reason: String, HTTPFields)

    init(of pieces: [[UInt8]], _ limits: WebSocketLimits) {
        self = .unfinished
        guard var client = try? ClientHandshake(
            host: "localhost", path: "/", subprotocols: ["ws-tunnel.1"], nonce: Array(repeating: 0, count: 16),
            requiresSubprotocol: false, limits: limits)
        else { return }
        for piece in pieces {
            if case .accepted(let accepted, let left) = self {
                self = .accepted(accepted, left: left + piece)
                continue
            }
            var buffer = ByteBuffer(bytes: piece)
            do throws(ClientHandshakeError) {
                if let accepted = try client.receive(&buffer) { self = .accepted(accepted, left: buffer.bytes) }
            } catch {
                if case .refused(let refusal) = error {
                    self = .refused(status: refusal.status, reason: refusal.reason, refusal.fields)
                } else {
                    self = .failed(error)
                }
                return
            }
        }
    }
}

/// A client that is given a host, a path, subprotocols and fields, and a server that it then speaks to.
private func handshake(values: [UInt8], pieces cuts: inout Cuts) throws {
    let lines = String(decoding: values, as: UTF8.self).split(separator: "\n", omittingEmptySubsequences: false).map(String.init)
    guard lines.count >= 3 else { return }
    var fields = HTTPFields()
    for line in lines.dropFirst(3) {
        let parts = line.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
        fields.append(String(parts[0]), parts.count > 1 ? String(parts[1]) : "")
    }
    var client: ClientHandshake
    do {
        client = try ClientHandshake(
            host: lines[0], path: lines[1], subprotocols: lines[2].split(separator: ",").map(String.init), extraFields: fields,
            nonce: Array(repeating: 7, count: 16), requiresSubprotocol: false)
    } catch {
        return
    }
    let request: RequestHead
    switch Request(of: cuts.pieces(of: client.request.bytes), WebSocketLimits()) {
    case .head(let head, let left):
        try require(left.isEmpty, "our own request ends before its end")
        request = head
    case .failed(let error):
        return try requireEqual(error.status, 431, "our own request is refused: \(error.sentence)")
    case .unfinished: throw Broken("our own request has no end")
    }
    let upgrade = try WebSocketUpgrade(request)
    try requireEqual(upgrade.path, lines[1], "the path of our own request")
    var answer = ByteBuffer()
    try upgrade.encodeAcceptance(subprotocol: upgrade.subprotocols.first, into: &answer)
    var accepted: ClientHandshake.Accepted?
    for piece in cuts.pieces(of: answer.bytes) {
        var buffer = ByteBuffer(bytes: piece)
        accepted = try client.receive(&buffer)
    }
    try require(accepted != nil, "our own answer has no end")
    try requireEqual(accepted?.subprotocol, upgrade.subprotocols.first, "the subprotocol of our own answer")
}
