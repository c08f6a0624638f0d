internal import struct NIOCore.ByteBuffer
internal import struct NIOHTTP1.HTTPHeaders

/// The fields of a message: a list, or the bytes of the record they came in. Most messages are only passed on, so these are taken
/// apart for who asks, and not before.
struct MessageFields: Equatable, Sendable {
    private enum Storage {
        case list(HTTPHeaders)
        /// A checked list of fields as a record has it.
        case record(ByteBuffer)
    }

    private var storage: Storage

    init(_ headers: HTTPHeaders) {
        self.storage = .list(headers)
    }

    /// - Parameter record: The list as it stands in a record, its count before it. Names are tokens, and values have no control
    ///   characters.
    init(checked record: ByteBuffer) {
        self.storage = .record(record)
    }

    var headers: HTTPHeaders {
        switch self.storage {
        case .list(let headers): return headers
        case .record(let record):
            var fields: [(String, String)] = []
            Self.forEach(in: record) { fields.append((String(decoding: $0, as: UTF8.self), String(opaque: $1))) }
            return HTTPHeaders(fields)
        }
    }

    /// What keeping them takes, in bytes, rounded up: texts of more than 15 bytes have 32 bytes of their own.
    var bytesKept: Int {
        func kept(_ text: String) -> Int { MemoryLayout<String>.stride + (text.utf8.count > 15 ? text.utf8.count + 32 : 0) }
        return switch self.storage {
        case .list(let headers): headers.reduce(32) { $0 + kept($1.name) + kept($1.value) }
        case .record(let record): record.storageCapacity + 64
        }
    }

    /// - Parameter name: In small letters.
    func contains(_ name: StaticString) -> Bool {
        switch self.storage {
        case .list(let headers): return headers.contains(name: "\(name)")
        case .record(let record):
            var isFound = false
            Self.forEach(in: record) { found, _ in isFound = isFound || found.isName(name) }
            return isFound
        }
    }

    static func == (one: MessageFields, other: MessageFields) -> Bool { one.headers == other.headers }

    /// How they are written into a head: names that are tokens, values without control characters.
    var lines: Lines {
        switch self.storage {
        // Each has two lengths and a letter there at least, and four other bytes here in place of the lengths.
        case .record(let record): return Lines(fields: self, bytes: 2 * record.readableBytes, isText: false)
        case .list(let headers):
            // A colon and a blank between name and value, CR LF behind them.
            var (bytes, isSound) = (4 * headers.count, true)
            for (name, value) in headers {
                bytes += name.utf8.count + value.utf8.count
                isSound = isSound && HTTPText.isToken(name) && HTTPText.isValue(value)
            }
            // Nearly always as they are. What is mended is no longer than it was.
            let sound = isSound ? headers : HTTPHeaders(headers.filter { HTTPText.isToken($0.name) }.map { ($0.name, $0.value.asValue) })
            return Lines(fields: MessageFields(sound), bytes: bytes, isText: true)
        }
    }

    struct Lines {
        fileprivate let fields: MessageFields
        /// What they take at most, ends and all.
        let bytes: Int
        /// Whether they are written as a text, in which something may stand for bytes that are not UTF-8, and not as those bytes.
        let isText: Bool

        /// The same, written as a text.
        var asText: Lines { self.isText ? self : MessageFields(self.fields.headers).lines }
    }

    private static func forEach(in record: ByteBuffer, _ body: (UnsafeRawBufferPointer, UnsafeRawBufferPointer) -> Void) {
        // They have been read before.
        _ = try? record.readRecord { reader throws(MalformedRecord) in try reader.fields { body($0, $1) } }
    }

    fileprivate func write(to text: inout TextWriter) {
        switch self.storage {
        case .list(let headers):
            for (name, value) in headers {
                text.write(name)
                text.writeColon()
                text.write(value)
                text.writeLineEnd()
            }
        case .record(let record):
            Self.forEach(in: record) { name, value in
                text.write(name)
                text.writeColon()
                text.write(value)
                text.writeLineEnd()
            }
        }
    }
}

extension TextWriter {
    mutating func write(_ lines: MessageFields.Lines) { lines.fields.write(to: &self) }

    fileprivate mutating func writeColon() {
        self.write(UInt8(ascii: ":"))
        self.write(0x20)
    }
}
