import HTTPMessages
import Intermediaries
import NIOCore
import NIOHTTP1
import TunnelProtocol

extension FuzzTarget {
    /// What a visitor sends: a byte for the cuts, then the bytes.
    ///
    /// Whatever the rules let pass is one request for the service, the same one, and nothing of it becomes another: what is written
    /// is read by the same decoder and judged the same, and the request written behind it is the next.
    package static let httpRequest = FuzzTarget(name: "http-request", longest: 4_000) { input in
        var cuts = Cuts(seed: input.byte())
        let bytes = input.rest()
        let pieces = cuts.pieces(of: bytes)
        let decoded = try decodedRequests(in: pieces)
        for message in decoded.messages {
            guard let request = judged(message.head) else { continue }
            try request.fields.checkBytes(of: bytes)
            try require(!request.method.isEmpty && !request.target.isEmpty, "an empty line for \(message.head)")
            guard !request.host.isEmpty else { continue }
            try require(request.fields.first?.name == "Host", "Host is not the first of \(request.fields)")
            try check(request, as: request.fields)
            var fields = request.fields
            let peer = ForwardedNode(.v4(0x0A00_0001), port: 1)
            let origin = bytes.count.isMultiple(of: 2) ? peer : ForwardedNode(.v6(Opaque16(high: 0x2001_0DB8 << 32, low: 1)), port: nil)
            fields.setForwarding(
                origin: origin, peer: peer, peerIsTrusted: bytes.count.isMultiple(of: 3), scheme: "https", host: request.authority, id: "id")
            try checkForwarding(fields, origin: origin, peer: peer)
            try check(request, as: fields)
        }
    }

    private static func judged(_ head: HTTPRequestHead) -> JudgedRequest? {
        guard var request = try? JudgedRequest(head) else { return nil }
        request.fields = request.fields.joined
        return request
    }

    /// Writes the request with these fields and another behind it, and reads both.
    private static func check(_ request: JudgedRequest, as fields: HTTPHeaders) throws {
        var body = request.body
        // No more than fits here; the decoder does not care which number it is.
        if case .bytes(let count) = body, count > 1_000 { body = .bytes(count % 1_000) }
        let asksForUpgrade = request.upgrade != nil
        let message = RequestMessage(
            scheme: "https", id: "id", method: request.method, target: request.target, fields: fields, body: body,
            asksForUpgrade: asksForUpgrade)
        var record = ByteBuffer()
        record.writeRecord(message)
        var decoder = MessageDecoder(.requests)
        decoder.receive(record)
        try requireEqual(try decoder.next(), .request(message), "through a tunnel")
        var bytes = ByteBuffer()
        bytes.writeRequestHead(message)
        var content: [UInt8] = []
        switch body {
        case .none: break
        case .bytes(let count):
            content = Array(repeating: UInt8(ascii: "G"), count: Int(count))
            bytes.writeBytes(content)
        case .unknown:
            content = Array("GET / HTTP/1.1\r\n\r\n".utf8)
            bytes.writeChunkHead(content.count)
            bytes.writeBytes(content)
            bytes.writeChunkEnd()
            bytes.writeLastChunk(trailers: request.fields)
        }
        bytes.writeRequestHead(RequestMessage(scheme: "https", id: "id", method: "PUT", target: "/next", fields: ["Host": "next"]))
        let text = String(buffer: bytes)
        let read = try decodedRequests(in: [bytes.bytes])
        try require(!read.hasError, "what was written is refused:\n\(text)")
        try require(read.messages.count == (asksForUpgrade ? 1 : 2), "\(read.messages.count) requests in\n\(text)")
        let first = read.messages[0]
        try require(first.isWhole && first.body == content, "another body in\n\(text)")
        guard let again = judged(first.head) else { throw Broken("judged otherwise:\n\(text)") }
        try requireEqual(again.method, request.method, "method")
        try requireEqual(again.target, request.target, "target")
        try requireEqual(again.host, request.host, "host")
        try requireEqual(again.body, body, "length")
        try requireEqual(again.upgrade, request.upgrade, "upgrade")
        try requireEqual(again.fields.withoutUpgrade, fields.withoutUpgrade, "fields")
        if !asksForUpgrade {
            try requireEqual(read.messages[1].head.uri, "/next", "the next request")
            try requireEqual(read.messages[1].head.headers.map { [$0.name, $0.value] }, [["Host", "next"]], "its fields")
        }
    }

    /// What is said of the request's origin is what we know of it, each once.
    private static func checkForwarding(_ fields: HTTPHeaders, origin: ForwardedNode, peer: ForwardedNode) throws {
        for name in ["X-Forwarded-For", "X-Forwarded-Proto", "X-Forwarded-Host", "Forwarded", "X-Real-IP", "X-Request-Id", "Host"] {
            try require(fields[name].count == 1, "\(fields[name].count) fields \(name)")
        }
        try requireEqual(fields["X-Real-IP"], ["\(origin.address)"], "X-Real-IP")
        try require(fields["X-Forwarded-For"].allSatisfy { $0.hasSuffix("\(peer.address)") }, "X-Forwarded-For ends otherwise")
    }
}

extension HTTPHeaders {
    /// Connection and Upgrade, which are compared by themselves, may move behind the others.
    fileprivate var withoutUpgrade: [[String]] {
        self.filter { !["connection", "upgrade"].contains($0.name.lowercased()) }.map { [$0.name, $0.value] }
    }
}
