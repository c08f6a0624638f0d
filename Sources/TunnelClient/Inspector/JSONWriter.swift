package import NIOCore
internal import TunnelProtocol

/// Writes JSON (RFC 8259) from front to back; commas are its business, the order of calls is the caller's.
package struct JSONWriter: Sendable {
    package private(set) var bytes = ByteBuffer()
    private var needsComma = false

    package init() {}

    package var text: String { String(buffer: self.bytes) }

    package mutating func object(_ members: (inout JSONWriter) -> Void) {
        self.enclosed("{", "}", members)
    }

    package mutating func array(_ elements: (inout JSONWriter) -> Void) {
        self.enclosed("[", "]", elements)
    }

    /// The name of a member; its value follows.
    package mutating func name(_ name: String) {
        self.separate()
        self.quote(name)
        self.bytes.writeString(":")
        self.needsComma = false
    }

    package mutating func value(_ text: String) {
        self.separate()
        self.quote(text)
    }

    package mutating func value(_ number: some FixedWidthInteger) {
        self.literal(String(number))
    }

    package mutating func value(_ isTrue: Bool) {
        self.literal(isTrue ? "true" : "false")
    }

    package mutating func null() {
        self.literal("null")
    }

    /// A number of milliseconds with its microseconds, as HAR has them.
    package mutating func milliseconds(_ time: Duration) {
        let microseconds = max(0, time.wholeNanoseconds) / 1_000
        let fraction = String(microseconds % 1_000)
        self.literal("\(microseconds / 1_000).\(String(repeating: "0", count: 3 - fraction.count))\(fraction)")
    }

    package mutating func member(_ name: String, _ text: String) {
        self.name(name)
        self.value(text)
    }

    package mutating func member(_ name: String, _ number: some FixedWidthInteger) {
        self.name(name)
        self.value(number)
    }

    package mutating func member(_ name: String, _ isTrue: Bool) {
        self.name(name)
        self.value(isTrue)
    }

    package mutating func member(_ name: String, object members: (inout JSONWriter) -> Void) {
        self.name(name)
        self.object(members)
    }

    package mutating func member(_ name: String, array elements: (inout JSONWriter) -> Void) {
        self.name(name)
        self.array(elements)
    }

    private mutating func enclosed(_ open: String, _ close: String, _ inside: (inout JSONWriter) -> Void) {
        self.literal(open)
        self.needsComma = false
        inside(&self)
        self.bytes.writeString(close)
        self.needsComma = true
    }

    private mutating func literal(_ text: String) {
        self.separate()
        self.bytes.writeString(text)
    }

    private mutating func separate() {
        if self.needsComma { self.bytes.writeString(",") }
        self.needsComma = true
    }

    /// Line ends of every kind are escaped, so that one JSON text is one line of an event stream.
    private mutating func quote(_ text: String) {
        self.bytes.writeString("\"")
        if text.utf8.allSatisfy({ 0x20..<0x7F ~= $0 && $0 != UInt8(ascii: "\"") && $0 != UInt8(ascii: "\\") }) {
            self.bytes.writeString(text)
        } else {
            for scalar in text.unicodeScalars {
                switch scalar {
                case "\"": self.bytes.writeString("\\\"")
                case "\\": self.bytes.writeString("\\\\")
                case "\n": self.bytes.writeString("\\n")
                case "\r": self.bytes.writeString("\\r")
                case "\t": self.bytes.writeString("\\t")
                case _ where scalar.value < 0x20 || 0x7F...0x9F ~= scalar.value || 0x2028...0x2029 ~= scalar.value:
                    let hex = String(scalar.value, radix: 16)
                    self.bytes.writeString("\\u" + String(repeating: "0", count: 4 - hex.count) + hex)
                default: self.bytes.writeString(String(scalar))
                }
            }
        }
        self.bytes.writeString("\"")
    }
}
