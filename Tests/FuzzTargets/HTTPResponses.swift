import HTTPMessages
import NIOCore
import NIOHTTP1

extension FuzzTarget {
    /// What a service answers: a byte of settings, one for the cuts, then the bytes.
    ///
    ///     settings   01 to HEAD   02 an upgrade was asked for   04 the visitor speaks HTTP/1.0   08 the visitor keeps alive
    ///
    /// Whatever the rules let pass is one answer to the visitor, the same one: what is written is read by the same decoder, and the
    /// answer written behind it is the next.
    package static let httpResponse = FuzzTarget(name: "http-response", longest: 4_000) { input in
        let settings = input.byte()
        var cuts = Cuts(seed: input.byte())
        let method = settings & 1 == 0 ? "GET" : "HEAD"
        let asked = settings & 2 != 0
        let bytes = input.rest()
        let decoded = try decodedResponses(in: cuts.pieces(of: bytes), to: [method, "GET"])
        for message in decoded.messages.prefix(1) {
            guard var response = try? JudgedResponse(message.head, toMethod: method, askedForUpgrade: asked) else { continue }
            try response.fields.checkBytes(of: bytes)
            response.fields = response.fields.joined
            try check(response, to: method, asked, isHTTP10: settings & 4 != 0, keepsAlive: settings & 8 != 0)
        }
    }

    private static func check(_ response: JudgedResponse, to method: String, _ asked: Bool, isHTTP10: Bool, keepsAlive: Bool) throws {
        var body = response.body
        if case .bytes(let count) = body, count > 1_000 { body = .bytes(count % 1_000) }
        let message = ResponseMessage(status: response.status, reason: response.reason, fields: response.fields, body: body)
        var record = ByteBuffer()
        record.writeRecord(message)
        var decoder = MessageDecoder(.responses)
        decoder.receive(record)
        try requireEqual(try decoder.next(), .response(message), "through a tunnel")
        var bytes = ByteBuffer()
        let written = bytes.writeResponseHead(message, toMethod: method, toHTTP10: isHTTP10, keepsAlive: keepsAlive)
        try require(keepsAlive || !written.keepsAlive, "kept alive against the visitor's wish")
        var content: [UInt8] = []
        switch written.framing {
        case .none: try require(!response.hasBody || body == .bytes(0), "a body is lost")
        case .bytes(let count):
            content = Array(repeating: UInt8(ascii: "H"), count: Int(count))
            bytes.writeBytes(content)
        case .chunked:
            content = Array("HTTP/1.1 200 OK\r\n\r\n".utf8)
            bytes.writeChunkHead(content.count)
            bytes.writeBytes(content)
            bytes.writeChunkEnd()
            bytes.writeLastChunk(trailers: response.fields)
        case .untilClose:
            content = Array("HTTP/1.1 200 OK\r\n\r\n".utf8)
            bytes.writeBytes(content)
        }
        try require(response.hasBody || content.isEmpty, "a body where none may be")
        // A connection that is to be closed carries nothing else.
        let goesOn = written.keepsAlive && !response.isUpgrade
        if goesOn { bytes.writeResponseHead(ResponseMessage(status: 299, reason: "Next"), toMethod: "GET", toHTTP10: false, keepsAlive: true) }
        let text = String(buffer: bytes)
        let read = try decodedResponses(in: [bytes.bytes], to: [method, "GET"])
        try require(!read.hasError, "what was written is refused:\n\(text)")
        try require(read.messages.count == (goesOn ? 2 : 1), "\(read.messages.count) answers in\n\(text)")
        let first = read.messages[0]
        try require(first.body == content, "another body in\n\(text)")
        guard let again = try? JudgedResponse(first.head, toMethod: method, askedForUpgrade: asked) else {
            throw Broken("judged otherwise:\n\(text)")
        }
        try requireEqual(again.status, response.status, "status")
        try requireEqual(again.hasBody, response.hasBody, "whether there is a body")
        try requireEqual(again.fields.map { [$0.name, $0.value] }, response.fields.map { [$0.name, $0.value] }, "fields")
        if goesOn { try requireEqual(read.messages[1].head.status.code, 299, "the next answer") }
    }
}
