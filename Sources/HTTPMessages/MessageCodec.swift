package import struct NIOCore.ByteBuffer
package import struct NIOHTTP1.HTTPHeaders
internal import TunnelProtocol

/// The first byte of each record.
///
///     type   length (varint)   payload
///
///     01 request    flags, [body length], visitor, id, method, target, fields
///     02 response   flags, [body length], failure, status, reason, fields
///     03 body       bytes
///     04 end        fields
///
/// Texts and lists of fields are counted by a varint before them. Flags: 01 and 02 what is known of the body (0 nothing follows,
/// 1 its length, 2 unknown), 04 https, 08 asks for an upgrade.
enum RecordType {
    static let request: UInt8 = 0x01
    static let response: UInt8 = 0x02
    static let body: UInt8 = 0x03
    static let end: UInt8 = 0x04
}

private enum Flag {
    static let lengthMask: UInt8 = 0x03
    static let isSecure: UInt8 = 0x04
    static let asksForUpgrade: UInt8 = 0x08
}

extension ByteBuffer {
    package mutating func writeRecord(_ message: RequestMessage) {
        self.writeRecord(RecordType.request) { payload in
            payload.writeInteger(
                message.body.flag | (message.scheme == "https" ? Flag.isSecure : 0)
                    | (message.asksForUpgrade ? Flag.asksForUpgrade : 0))
            if case .bytes(let count) = message.body { payload.writeVarint(min(count, Varint.maximum)) }
            switch message.visitor?.address {
            case nil: payload.writeInteger(UInt8(0))
            case .v4(let bits):
                payload.writeInteger(UInt8(6))
                payload.writeInteger(bits)
            case .v6(let bytes):
                payload.writeInteger(UInt8(18))
                payload.writeInteger(bytes.high)
                payload.writeInteger(bytes.low)
            }
            if let port = message.visitor?.port { payload.writeInteger(port) }
            payload.writeTexts(message.id, message.method, message.target, fields: message.fields)
        }
    }

    package mutating func writeRecord(_ message: ResponseMessage) {
        self.writeRecord(RecordType.response) { payload in
            payload.writeInteger(message.body.flag)
            if case .bytes(let count) = message.body { payload.writeVarint(min(count, Varint.maximum)) }
            payload.writeVarint(message.failure?.rawValue ?? 0)
            payload.writeInteger(message.status)
            payload.writeTexts(message.reason, fields: message.fields)
        }
    }

    /// The head of a record for so many bytes of a body, more than none; they follow it.
    package mutating func writeBodyRecordHead(_ count: Int) {
        self.writeInteger(RecordType.body)
        self.writeVarint(UInt64(count))
    }

    /// - Parameter trailers: Those that a trailer section must not have (RFC 9110 §6.5.1) are left out.
    package mutating func writeEndRecord(trailers: HTTPHeaders = HTTPHeaders()) {
        self.writeRecord(RecordType.end) { $0.writeTexts(fields: trailers.isEmpty ? trailers : trailers.fitForTrailers) }
    }

    private mutating func writeRecord(_ type: UInt8, _ write: (inout ByteBuffer) -> Void) {
        self.writeInteger(type)
        // Four bytes of length, whatever it is: written once the payload is.
        let position = self.writerIndex
        self.writeInteger(UInt32(0))
        write(&self)
        let length = UInt32(truncatingIfNeeded: self.writerIndex - position - 4)
        self.setInteger(length | 0x8000_0000, at: position)
    }

    /// - Parameter texts: What stands before the fields.
    private mutating func writeTexts(_ texts: String..., fields: HTTPHeaders) {
        var room = (texts.count + 2 * fields.count + 1) * TextWriter.lengthBytes
        for text in texts { room += text.utf8.count }
        for (name, value) in fields { room += name.utf8.count + value.utf8.count }
        let start = self.writerIndex
        self.writeTexts(room: room) { writer in
            for text in texts { writer.write(counted: text) }
            writer.write(length: fields.count)
            for (name, value) in fields {
                writer.write(counted: name)
                writer.write(counted: value)
            }
        }
        guard OpaqueBytes.mayStand(in: self.readableBytesView[start...]) else { return }
        self.moveWriterIndex(to: start)
        for text in texts { self.write(counted: text.opaqueBytes) }
        self.writeVarint(UInt64(fields.count))
        for (name, value) in fields {
            self.write(counted: Array(name.utf8))
            self.write(counted: value.opaqueBytes)
        }
    }

    private mutating func write(counted bytes: [UInt8]) {
        self.writeVarint(UInt64(bytes.count))
        self.writeBytes(bytes)
    }
}

extension TextWriter {
    fileprivate mutating func write(counted text: String) {
        self.write(length: text.utf8.count)
        self.write(text)
    }
}

extension BodyLength {
    fileprivate var flag: UInt8 {
        switch self {
        case .none: 0
        case .bytes: 1
        case .unknown: 2
        }
    }
}

/// A peer's records that do not follow the rules. They cost the stream.
package struct MalformedRecord: Error, Equatable, Sendable {
    package let sentence: String

    init(_ sentence: String) {
        self.sentence = sentence
    }
}

/// Reads the records of one direction of a stream, in pieces of any size.
///
/// What it gives may be written into HTTP as it is: methods and names are tokens, targets have no blanks, no value has a control
/// character in it (RFC 9110 §5.5, §5.6.2), and no field says anything of the framing: the other end may be anybody with a key, and
/// what it answers goes to visitors whose connection others share. Heads are collected up to `MessageLimits.headRecordBytes`; bodies
/// are handed on as they come, and are as long as the head says; or empty, for a response, since only the server knows whether it
/// answers HEAD.
package struct MessageDecoder: Sendable {
    package enum Direction: Sendable { case requests, responses }

    private enum State {
        case head
        case body
        /// Inside of a body record, with so many bytes to come.
        case bodyRecord(Int)
    }

    private let direction: Direction
    private var state = State.head
    /// What the head says may still come; `nil`: any number of bytes.
    private var bodyLeft: UInt64?
    private var bodyHasBegun = false
    private var bytes = ByteBuffer()

    package init(_ direction: Direction) {
        self.direction = direction
    }

    /// Whether nothing of a message is under way.
    package var isBetweenMessages: Bool {
        if case .head = self.state { self.bytes.readableBytes == 0 } else { false }
    }

    package mutating func receive(_ bytes: ByteBuffer) {
        if self.bytes.readableBytes == 0 {
            self.bytes = bytes
        } else {
            self.bytes.writeImmutableBuffer(bytes)
        }
    }

    /// The request has been answered with 101: body records of the other protocol follow, up to another end.
    package mutating func upgraded() {
        if case .head = self.state { self.state = .body }
    }

    /// - Returns: `nil` until more bytes have come.
    package mutating func next() throws(MalformedRecord) -> MessageRecord? {
        if let record = try self.take() { return record }
        // What waits for more must not keep the buffer of a whole read.
        if self.bytes.readableBytes == 0 {
            self.bytes = ByteBuffer()
        } else if self.bytes.storageCapacity > 4 * self.bytes.readableBytes {
            self.bytes = ByteBuffer(bytes: self.bytes.readableBytesView)
        }
        return nil
    }

    private mutating func take() throws(MalformedRecord) -> MessageRecord? {
        if case .bodyRecord(let left) = self.state {
            guard self.bytes.readableBytes > 0, let part = self.bytes.readSlice(length: min(left, self.bytes.readableBytes)) else {
                return nil
            }
            self.state = left == part.readableBytes ? .body : .bodyRecord(left - part.readableBytes)
            return .body(part)
        }
        guard let (type, length, before) = try self.bytes.readRecord({ reader throws(MalformedRecord) in reader.start() }) else { return nil }
        try self.check(type)
        if type == RecordType.body {
            guard length > 0, let count = Int(exactly: length) else { throw MalformedRecord("a body record of \(length) bytes") }
            if let left = self.bodyLeft {
                guard length <= left else { throw MalformedRecord("a body that is longer than its head says") }
                self.bodyLeft = left - length
            }
            self.bodyHasBegun = true
            self.bytes.moveReaderIndex(forwardBy: before)
            self.state = .bodyRecord(count)
            return try self.take()
        }
        guard length <= MessageLimits.headRecordBytes else { throw MalformedRecord("a record of \(length) bytes that has to be held whole") }
        guard let payload = self.bytes.getSlice(at: self.bytes.readerIndex + before, length: Int(length)) else { return nil }
        self.bytes.moveReaderIndex(forwardBy: before + Int(length))
        let record = try payload.readRecord { reader throws(MalformedRecord) in
            let record = try Self.record(type, &reader, of: payload)
            guard reader.left == 0 else { throw MalformedRecord("\(reader.left) bytes behind a record") }
            return record
        }
        switch record {
        case .request(let head): self.expectBody(head.body, isUpgrade: head.asksForUpgrade)
        case .response(let head):
            if head.status >= 200 || head.status == 101 { self.expectBody(head.body, isUpgrade: head.status == 101) }
        case .end:
            guard self.bodyLeft ?? 0 == 0 || self.direction == .responses && !self.bodyHasBegun else {
                throw MalformedRecord("a body that is shorter than its head says")
            }
            self.state = .head
        case .body: break
        }
        return record
    }

    private mutating func expectBody(_ length: BodyLength, isUpgrade: Bool) {
        self.state = .body
        self.bodyHasBegun = false
        switch length {
        case .none: self.bodyLeft = isUpgrade ? nil : 0
        case .bytes(let count): self.bodyLeft = isUpgrade ? nil : count
        case .unknown: self.bodyLeft = nil
        }
    }

    /// Which records may come now.
    private func check(_ type: UInt8) throws(MalformedRecord) {
        switch (self.state, type) {
        case (.head, RecordType.request) where self.direction == .requests: break
        case (.head, RecordType.response) where self.direction == .responses: break
        case (.body, RecordType.body), (.body, RecordType.end): break
        default: throw MalformedRecord("a record of type \(type) where none may be")
        }
    }

    private static func record(
        _ type: UInt8, _ reader: inout RecordReader, of payload: ByteBuffer
    ) throws(MalformedRecord) -> MessageRecord {
        switch type {
        case RecordType.request: .request(try Self.request(&reader, of: payload))
        case RecordType.response: .response(try Self.response(&reader, of: payload))
        default: .end(try Self.trailers(&reader))
        }
    }

    private static func request(_ reader: inout RecordReader, of payload: ByteBuffer) throws(MalformedRecord) -> RequestMessage {
        guard let flags = reader.integer(UInt8.self) else { throw MalformedRecord("a request that is too short") }
        let body = try reader.bodyLength(flags)
        let visitor = try reader.visitor()
        let id = try reader.text()
        let method = try reader.text()
        let target = try reader.opaqueText()
        guard HTTPText.isToken(method), HTTPText.isTarget(target), HTTPText.isToken(id) else {
            throw MalformedRecord("a request line that cannot be written")
        }
        let asksForUpgrade = flags & Flag.asksForUpgrade != 0
        var message = RequestMessage(
            visitor: visitor, scheme: flags & Flag.isSecure != 0 ? "https" : "http", id: id, method: method, target: target,
            fields: [:], body: body, asksForUpgrade: asksForUpgrade)
        var (hosts, isFirst, hostIsFirst) = (0, true, false)
        let start = reader.position
        try reader.checkFields { kind in
            defer { isFirst = false }
            switch kind {
            case .endToEnd: return true
            case .host:
                hosts += 1
                hostIsFirst = isFirst
                return true
            case .connection, .upgrade: return asksForUpgrade
            case .contentLength, .transferEncoding, .expect, .hopByHop, .disguised: return false
            }
        }
        guard hosts == 1, hostIsFirst else {
            throw MalformedRecord("a request whose first field, and no other, is not Host")
        }
        // A copy: who keeps a request must not keep all that was read with it.
        let length = reader.position - start
        var fields = ByteBuffer()
        fields.reserveCapacity(length)
        fields.writeImmutableBuffer(payload.getSlice(at: payload.readerIndex + start, length: length) ?? ByteBuffer())
        message.fieldList = MessageFields(checked: fields)
        return message
    }

    private static func response(_ reader: inout RecordReader, of payload: ByteBuffer) throws(MalformedRecord) -> ResponseMessage {
        guard let flags = reader.integer(UInt8.self) else { throw MalformedRecord("a response that is too short") }
        let body = try reader.bodyLength(flags)
        guard let failure = reader.varint(), let status = reader.integer(UInt16.self), 100...599 ~= status else {
            throw MalformedRecord("a response without a status")
        }
        let reason = try reader.opaqueText()
        guard HTTPText.isValue(reason) else { throw MalformedRecord("a status line that cannot be written") }
        var message = ResponseMessage(status: status, reason: reason, body: body, failure: ResponseMessage.Failure(rawValue: failure))
        var fields = payload
        fields.moveReaderIndex(forwardBy: reader.position)
        try reader.checkFields { kind in
            switch kind {
            case .endToEnd, .host: true
            case .connection, .upgrade: status == 101
            case .contentLength, .transferEncoding, .expect, .hopByHop, .disguised: false
            }
        }
        message.fieldList = MessageFields(checked: fields)
        return message
    }

    private static func trailers(_ reader: inout RecordReader) throws(MalformedRecord) -> HTTPHeaders {
        var trailers: [(String, String)] = []
        _ = try reader.fields { name, value throws(MalformedRecord) in
            try RecordReader.check(name, value)
            let name = String(decoding: name, as: UTF8.self)
            guard FieldKind.mayTrail(name) else { throw RecordReader.misplaced(name) }
            trailers.append((name, String(opaque: value)))
        }
        return trailers.isEmpty ? Self.noTrailers : HTTPHeaders(trailers)
    }

    private static let noTrailers = HTTPHeaders()
}

extension RecordReader {
    /// The type of a record, its length, and the bytes before its payload; `nil` before all of that has come.
    fileprivate mutating func start() -> (type: UInt8, length: UInt64, before: Int)? {
        guard let type = self.integer(UInt8.self), let length = self.varint() else { return nil }
        return (type, length, self.position)
    }

    fileprivate mutating func bodyLength(_ flags: UInt8) throws(MalformedRecord) -> BodyLength {
        switch flags & Flag.lengthMask {
        case 0: return .none
        case 1:
            guard let count = self.varint() else { throw MalformedRecord("a head that is too short") }
            return .bytes(count)
        case 2: return .unknown
        default: throw MalformedRecord("a body of no known kind")
        }
    }

    fileprivate mutating func visitor() throws(MalformedRecord) -> Endpoint? {
        switch self.integer(UInt8.self) {
        case 0: return nil
        case 6:
            if let bits = self.integer(UInt32.self), let port = self.integer(UInt16.self) {
                return Endpoint(.v4(bits), port: port)
            }
        case 18:
            if let high = self.integer(UInt64.self), let low = self.integer(UInt64.self), let port = self.integer(UInt16.self) {
                return Endpoint(.v6(Opaque16(high: high, low: low)), port: port)
            }
        default: break
        }
        throw MalformedRecord("a visitor's address that is none")
    }

    /// - Parameter mayBe: Whether a field of this kind has a place here.
    fileprivate mutating func checkFields(_ mayBe: (FieldKind) -> Bool) throws(MalformedRecord) {
        _ = try self.fields { name, value throws(MalformedRecord) in
            try Self.check(name, value)
            guard mayBe(FieldKind(bytes: name)) else { throw Self.misplaced(String(decoding: name, as: UTF8.self)) }
        }
    }

    fileprivate static func check(_ name: some Collection<UInt8>, _ value: some Collection<UInt8>) throws(MalformedRecord) {
        guard name.areToken, value.areValue else { throw MalformedRecord("a field that cannot be written") }
    }

    fileprivate static func misplaced(_ name: String) -> MalformedRecord {
        MalformedRecord("a field \(name), which says something of the connection")
    }
}
