internal import struct NIOCore.ByteBuffer

/// Reads a record that lies whole in memory, piece by piece: a head is some thirty texts, and taking each out of a buffer costs more
/// than its bytes.
///
/// Nothing is read beyond the end: what is not there is `nil`, or thrown.
struct RecordReader {
    private let bytes: UnsafeRawBufferPointer
    /// Bytes read so far.
    private(set) var position = 0

    init(_ bytes: UnsafeRawBufferPointer) {
        self.bytes = bytes
    }

    var left: Int { self.bytes.count - self.position }

    mutating func integer<Value: FixedWidthInteger>(_: Value.Type) -> Value? {
        guard self.left >= MemoryLayout<Value>.size else { return nil }
        defer { self.position += MemoryLayout<Value>.size }
        return Value(bigEndian: self.bytes.loadUnaligned(fromByteOffset: self.position, as: Value.self))
    }

    /// RFC 9000 §16; `nil`, and nothing read, when the bytes end before it does.
    mutating func varint() -> UInt64? {
        guard self.left > 0 else { return nil }
        let first = self.bytes[self.position]
        switch first >> 6 {
        case 0:
            self.position += 1
            return UInt64(first)
        case 1: return self.integer(UInt16.self).map { UInt64($0 & 0x3FFF) }
        case 2: return self.integer(UInt32.self).map { UInt64($0 & 0x3FFF_FFFF) }
        default: return self.integer(UInt64.self).map { $0 & 0x3FFF_FFFF_FFFF_FFFF }
        }
    }

    /// The bytes of a text, valid as long as those of the record.
    mutating func bytesOfText() throws(MalformedRecord) -> UnsafeRawBufferPointer {
        guard let length = self.varint(), length <= UInt64(self.left) else { throw MalformedRecord("a text that is too short") }
        let start = self.position
        self.position += Int(length)
        return UnsafeRawBufferPointer(rebasing: self.bytes[start..<self.position])
    }

    mutating func text() throws(MalformedRecord) -> String {
        String(decoding: try self.bytesOfText(), as: UTF8.self)
    }

    /// One that may have bytes in it that are not UTF-8.
    mutating func opaqueText() throws(MalformedRecord) -> String {
        String(opaque: try self.bytesOfText())
    }

    /// A list of fields, in order.
    ///
    /// - Returns: How many there are.
    mutating func fields(
        _ field: (_ name: UnsafeRawBufferPointer, _ value: UnsafeRawBufferPointer) throws(MalformedRecord) -> Void
    ) throws(MalformedRecord) -> Int {
        guard let count = self.varint(), count <= MessageLimits.headRecordFields else {
            throw MalformedRecord("a list of more than \(MessageLimits.headRecordFields) fields")
        }
        for _ in 0..<count {
            let name = try self.bytesOfText()
            try field(name, try self.bytesOfText())
        }
        return Int(count)
    }
}

extension ByteBuffer {
    /// Reads from what is readable; the reader index stays where it is.
    func readRecord<Value>(_ read: (inout RecordReader) throws(MalformedRecord) -> Value) throws(MalformedRecord) -> Value {
        let result = self.withUnsafeReadableBytes { bytes -> Result<Value, MalformedRecord> in
            var reader = RecordReader(bytes)
            do throws(MalformedRecord) {
                return .success(try read(&reader))
            } catch {
                return .failure(error)
            }
        }
        return try result.get()
    }
}
