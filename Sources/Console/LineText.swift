/// Lines of text in the making, as bytes: a busy tunnel has tens of thousands a second, and a string for each of their pieces costs
/// more than the request it speaks of.
package struct LineText: Sendable {
    package private(set) var bytes: [UInt8] = []
    private var utc = Second()
    private var local = Second()

    /// What is written of the times of one second.
    private struct Second {
        var number = Int64.min
        var text: [UInt8] = []
    }

    package init() {}

    package var text: String { String(decoding: self.bytes, as: UTF8.self) }

    /// What room is kept for: two thousand lines.
    private static let usualBytes = 256 * 1024

    /// - Returns: What was written; from now on there is nothing, and room for as much.
    mutating func take() -> [UInt8] {
        var empty: [UInt8] = []
        empty.reserveCapacity(min(self.bytes.count, Self.usualBytes))
        swap(&empty, &self.bytes)
        return empty
    }

    /// - Parameters:
    ///   - room: The most bytes that `write` needs; one more stops the process.
    package mutating func write(room: Int, _ write: (inout OutputSpan<UInt8>) -> Void) {
        self.bytes.append(addingCapacity: room, initializingWith: write)
    }

    package mutating func write(_ text: String) {
        self.bytes.append(contentsOf: text.utf8)
    }

    package mutating func write(_ byte: UInt8) {
        self.bytes.append(byte)
    }

    /// `2026-11-21T08:30:00.123Z` (RFC 3339) of a time in milliseconds since 1970-01-01T00:00:00Z.
    package mutating func write(utc milliseconds: Int64) {
        if self.utc.number != milliseconds / 1_000 {
            self.utc = Second(number: milliseconds / 1_000, text: Timestamp.utcSecond(milliseconds))
        }
        Timestamp.write(utc: milliseconds, with: self.utc.text, into: &self.bytes)
    }

    /// `09:30:00.123`: the same where people are, without the day.
    package mutating func write(localClock milliseconds: Int64) {
        if self.local.number != milliseconds / 1_000 {
            self.local = Second(number: milliseconds / 1_000, text: Timestamp.localSecond(milliseconds))
        }
        Timestamp.write(localClock: milliseconds, with: self.local.text, into: &self.bytes)
    }

    /// As a string of JSON, in quotation marks (RFC 8259 §7).
    package mutating func write(json text: String) {
        let isPlain = text.utf8.withContiguousStorageIfAvailable {
            $0.allSatisfy { $0 >= 0x20 && $0 < 0x7F && $0 != UInt8(ascii: "\"") && $0 != UInt8(ascii: "\\") }
        }
        guard isPlain == true else { return self.write(JSONObject.quoted(text)) }
        self.write(UInt8(ascii: "\""))
        self.write(text)
        self.write(UInt8(ascii: "\""))
    }

    /// As a value of logfmt, in quotation marks where it needs them.
    package mutating func write(logfmt text: String) {
        self.write(Logfmt.isPlain(text) ? text : Logfmt.value(text))
    }
}

extension OutputSpan<UInt8> {
    package mutating func write(_ text: String) {
        let done: Void? = text.utf8.withContiguousStorageIfAvailable { for byte in $0 { self.append(byte) } }
        if done == nil { for byte in text.utf8 { self.append(byte) } }
    }

    package mutating func write(blanks count: Int) {
        if count > 0 { self.append(repeating: 0x20, count: count) }
    }

    /// In decimal digits: at most 20.
    package mutating func write(_ number: UInt64) {
        guard number >= 10 else { return self.append(UInt8(ascii: "0") + UInt8(truncatingIfNeeded: number)) }
        var unit: UInt64 = 10
        while number / unit >= 10 { unit *= 10 }
        while unit > 0 {
            self.append(UInt8(ascii: "0") + UInt8(truncatingIfNeeded: number / unit % 10))
            unit /= 10
        }
    }
}
