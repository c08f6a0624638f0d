import Foundation
import HTTPMessages
import NIOCore
import TunnelClient
import TunnelProtocol

extension FuzzTarget {
    /// What the inspector's API is sent: a byte for the request that is kept, then JSON that says how it is to be sent again.
    ///
    ///     kept   00 with its whole body   01 with its body's beginning   02 it asked for another protocol   03 it has not ended
    ///            04 it ended before its body
    ///
    /// What is read is JSON to others too, grows no bigger than it came and nests no deeper than it may; written again it is the same;
    /// without its end it is none. A request made of it is refused in a sentence, or can be written to a service, as one.
    package static let inspectorJSON = FuzzTarget(name: "inspector-json", longest: 70_000) { input in
        let kept = keptExchange(input.byte())
        let bytes = input.rest()
        guard let value = try? JSONValue(ByteBuffer(bytes: bytes)) else { return }
        try require(value.cost <= bytes.count, "\(value.cost) of texts and values in \(bytes.count) bytes")
        try require(value.depth <= JSONValue.depthLimit, "\(value.depth) levels")
        try checkSurroundings(of: bytes, value)
        try checkRewriting(value)
        try checkReplay(value, of: kept)
    }

    private static func keptExchange(_ kind: UInt8) -> Exchange {
        let fields = [("Host", "app.example.com"), ("Cookie", "a=1"), ("Cookie", "b=2"), ("X-Api-Key", "0123")]
        let begun = Exchange(
            request: RequestMessage(
                visitor: nil, scheme: "https", id: "1", method: "PUT", target: "/a?b", fields: .init(fields), body: .bytes(4),
                asksForUpgrade: kind == 2),
            tunnel: TunnelNumber(0), url: "https://app.example.com", started: 0)
        guard kind != 3 else { return begun }
        var seen = Exchange.Seen()
        if kind != 4 { seen.requestBody.append(ByteBuffer(string: "body")) }
        if kind == 1 { seen.requestBody.append(ByteBuffer(repeating: 0, count: CapturedBody.captureLimit)) }
        return begun.ended(seen, failure: nil, after: .zero)
    }

    private static func checkSurroundings(of bytes: [UInt8], _ value: JSONValue) throws {
        try require(
            (try? JSONSerialization.jsonObject(with: Data(bytes), options: .fragmentsAllowed)) != nil, "others would not read it")
        try requireEqual(try JSONValue(ByteBuffer(bytes: Array("\t\n".utf8) + bytes + Array("\r ".utf8))), value, "between blanks")
        let blanks = Set(" \t\r\n".utf8)
        let end = bytes.lastIndex { !blanks.contains($0) } ?? 0
        if Set("]}\"".utf8).contains(bytes[end]) {
            try require((try? JSONValue(ByteBuffer(bytes: bytes[..<end]))) == nil, "it is read without its end")
        }
        try require((try? JSONValue(ByteBuffer(bytes: bytes + Array(" 0".utf8)))) == nil, "another value may follow")
        for levels in [JSONValue.depthLimit - value.depth, JSONValue.depthLimit - value.depth + 1] {
            let nested = Array(repeating: UInt8(ascii: "["), count: levels) + bytes + Array(repeating: UInt8(ascii: "]"), count: levels)
            let isRead = (try? JSONValue(ByteBuffer(bytes: nested))) != nil
            try requireEqual(isRead, value.depth + levels <= JSONValue.depthLimit, "read inside of \(levels) more lists")
        }
    }

    private static func checkRewriting(_ value: JSONValue) throws {
        let value = try value.withFractionsAsText()
        let written = JSONWriter(value)
        try require(!written.bytes.readableBytesView.contains { $0 < 0x20 }, "a line end was written")
        let again = try JSONValue(written.bytes)
        try requireEqual(again, value, "written and read again")
        // Texts are equal when they look alike; these are the bytes.
        try requireEqual(JSONWriter(again).bytes, written.bytes, "written twice")
    }

    private static func checkReplay(_ value: JSONValue, of kept: Exchange) throws {
        let (request, body): (RequestMessage, ByteBuffer)
        do throws(ReplayRequest.Refusal) {
            (request, body) = try ReplayRequest(value).applied(to: kept)
        } catch {
            return try require(!error.sentence.isEmpty, "refused without a reason")
        }
        let isReplaced = value["body"]?.text ?? value["body_base64"]?.text != nil
        try require(isReplaced || body == ByteBuffer(string: "body"), "what is not its body is sent for it")
        try require(HTTPText.isToken(request.method) && HTTPText.isTarget(request.target), "\(request.method) \(request.target)")
        try require(request.fields.count <= MessageLimits.fields, "\(request.fields.count) fields")
        for (name, value) in request.fields {
            try require(HTTPText.isToken(name) && HTTPText.isValue(value), "the field \(name): \(value)")
        }
        try require(request.fields["Host"].count == 1, "\(request.fields["Host"].count) hosts")
        let length: BodyLength = body.readableBytes > 0 ? .bytes(UInt64(body.readableBytes)) : request.body
        try requireEqual(request.body, length, "the length of \(body.readableBytes) bytes")
        var record = ByteBuffer()
        record.writeRecord(request)
        var decoder = MessageDecoder(.requests)
        decoder.receive(record)
        try requireEqual(try decoder.next(), .request(request), "through a tunnel")
        try checkWritten(.request(request))
        try checkFraming(request, body)
    }

    /// A service finds this request and the one behind it. Its method and target are those of every day: their characters have
    /// been looked at, and NIO's decoder knows fewer.
    private static func checkFraming(_ request: RequestMessage, _ body: ByteBuffer) throws {
        var usual = request
        (usual.method, usual.target) = ("PUT", "/")
        var bytes = ByteBuffer()
        bytes.writeRequestHead(usual)
        bytes.writeImmutableBuffer(body)
        bytes.writeRequestHead(RequestMessage(scheme: "https", id: "id", method: "PUT", target: "/next", fields: ["Host": "next"]))
        let read = try decodedRequests(in: [bytes.bytes], hasBinaryBodies: true)
        let text = String(buffer: bytes)
        try require(!read.hasError, "what was written is refused:\n\(text)")
        guard !request.asksForUpgrade else { return }
        try require(read.messages.count == 2, "\(read.messages.count) requests in\n\(text)")
        try require(read.messages[0].isWhole && read.messages[0].body == body.bytes, "another body in\n\(text)")
        try requireEqual(read.messages[1].head.uri, "/next", "the next request")
    }
}

extension JSONValue {
    fileprivate var depth: Int {
        switch self {
        case .null, .bool, .number, .string: 1
        case .array(let elements): 1 + (elements.map(\.depth).max() ?? 0)
        case .object(let members): 1 + (members.values.map(\.depth).max() ?? 0)
        }
    }

    /// A byte for each byte of text, and one for each value: none can be written with less.
    fileprivate var cost: Int {
        switch self {
        case .null, .bool, .number: 1
        case .string(let text): 1 + text.utf8.count
        case .array(let elements): elements.reduce(1) { $0 + $1.cost }
        case .object(let members): members.reduce(1) { $0 + $1.key.utf8.count + $1.value.cost }
        }
    }

    /// The writer has whole numbers only; the others are checked by themselves.
    fileprivate func withFractionsAsText() throws -> JSONValue {
        switch self {
        case .null, .bool, .string: return self
        case .number(let number):
            try require(number.isFinite, "\(number) was read")
            try requireEqual(try JSONValue(ByteBuffer(string: "\(number)")), self, "a number written and read again")
            return Int64(exactly: number) == nil ? .string("\(number)") : self
        case .array(let elements): return .array(try elements.map { try $0.withFractionsAsText() })
        case .object(let members): return .object(try members.mapValues { try $0.withFractionsAsText() })
        }
    }
}

extension JSONWriter {
    fileprivate init(_ value: JSONValue) {
        self.init()
        self.write(value)
    }

    private mutating func write(_ value: JSONValue) {
        switch value {
        case .null: self.null()
        case .bool(let isTrue): self.value(isTrue)
        case .number(let number): self.value(Int64(number))
        case .string(let text): self.value(text)
        case .array(let elements): self.array { json in for element in elements { json.write(element) } }
        case .object(let members):
            self.object { json in
                // By bytes: of "é2" and "e\u{301}" Swift's < says that neither comes before the other.
                for (name, value) in members.sorted(by: { $0.key.utf8.lexicographicallyPrecedes($1.key.utf8) }) {
                    json.name(name)
                    json.write(value)
                }
            }
        }
    }
}
