import HTTPMessages
import NIOCore
import NIOHTTP1

extension FuzzTarget {
    /// What the other end of an HTTP tunnel's stream sends: a byte of settings, one for the cuts, then the bytes.
    ///
    ///     settings   01 responses, else requests
    ///
    /// Cut anywhere it comes to the same records; written again it does as well; what is in them can be written into HTTP; and
    /// bodies hold no more than came in.
    package static let httpRecords = FuzzTarget(name: "http-records", longest: 4_000) { input in
        let direction = input.byte() & 1 == 0 ? MessageDecoder.Direction.requests : .responses
        var cuts = Cuts(seed: input.byte())
        let bytes = input.rest()
        var whole = Records(direction)
        whole.receive([bytes])
        var pieces = Records(direction)
        pieces.receive(cuts.pieces(of: bytes))
        try requireEqual(pieces.seen, whole.seen, "in pieces")
        try requireEqual(pieces.failure, whole.failure, "the end in pieces")

        var (written, body) = (ByteBuffer(), 0)
        for record in whole.seen {
            switch record {
            case .request(let request): written.writeRecord(request)
            case .response(let response): written.writeRecord(response)
            case .body(let part):
                body += part.readableBytes
                written.writeBodyRecordHead(part.readableBytes)
                written.writeImmutableBuffer(part)
            case .end(let trailers): written.writeEndRecord(trailers: trailers)
            }
        }
        try require(body <= bytes.count, "\(body) bytes of body in \(bytes.count)")
        var again = Records(direction)
        again.receive([written.bytes])
        try requireEqual(again.seen, whole.seen, "written and read again")
        for record in whole.seen { try checkWritten(record) }
    }

    /// One message whatever is in it.
    static func checkWritten(_ record: MessageRecord) throws {
        var bytes = ByteBuffer()
        switch record {
        case .request(let request): bytes.writeRequestHead(request)
        case .response(let response): bytes.writeResponseHead(response, toMethod: "GET", toHTTP10: false, keepsAlive: true)
        case .body, .end: return
        }
        let text = bytes.bytes
        let ends = text.indices.filter { text[$0] == 0x0A }
        try require(ends.allSatisfy { $0 > 0 && text[$0 - 1] == 0x0D }, "a bare LF was written")
        try require(text.count { $0 == 0x0D } == ends.count && !text.contains(0), "a CR or NUL was written")
        try require(ends.dropLast().allSatisfy { text[$0 + 1] != 0x0D || $0 + 2 == ends.last }, "an empty line inside of a head")
    }
}

/// One direction of a stream, and what was read from it; the parts of a body are joined.
private struct Records {
    private var decoder: MessageDecoder
    private(set) var seen: [MessageRecord] = []
    private(set) var failure: MalformedRecord?

    init(_ direction: MessageDecoder.Direction) {
        self.decoder = MessageDecoder(direction)
    }

    mutating func receive(_ pieces: [[UInt8]]) {
        for piece in pieces where self.failure == nil {
            self.decoder.receive(ByteBuffer(bytes: piece))
            do throws(MalformedRecord) {
                while let record = try self.decoder.next() { self.append(record) }
            } catch {
                self.failure = error
            }
        }
    }

    private mutating func append(_ record: MessageRecord) {
        guard case .body(let part) = record, case .body(var before) = self.seen.last else {
            self.seen.append(record)
            return
        }
        before.writeImmutableBuffer(part)
        self.seen[self.seen.count - 1] = .body(before)
    }
}
