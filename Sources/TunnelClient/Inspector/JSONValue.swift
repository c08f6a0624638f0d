package import NIOCore

/// JSON as somebody else wrote it (RFC 8259), read strictly: UTF-8, one value, no name twice in an object, numbers that are integers
/// or fractions, nothing deeper than `depthLimit`.
package indirect enum JSONValue: Equatable, Sendable {
    case null
    case bool(Bool)
    case number(Double)
    case string(String)
    case array([JSONValue])
    case object([String: JSONValue])

    /// What may be nested in what; a request to send again has three levels.
    package static let depthLimit = 16

    /// Says what is wrong, and at which byte.
    package struct Malformed: Error, Equatable, Sendable, CustomStringConvertible {
        package let description: String
    }

    package init(_ bytes: ByteBuffer) throws(Malformed) {
        guard let text = String(validating: bytes.readableBytesView, as: UTF8.self) else {
            throw Malformed(description: "it is not UTF-8")
        }
        var reader = JSONReader(text)
        self = try reader.document()
    }

    package subscript(name: String) -> JSONValue? {
        if case .object(let members) = self { members[name] } else { nil }
    }

    package var text: String? {
        if case .string(let text) = self { text } else { nil }
    }
}

private struct JSONReader {
    private let bytes: [UInt8]
    private var position = 0

    init(_ text: String) {
        self.bytes = Array(text.utf8)
    }

    mutating func document() throws(JSONValue.Malformed) -> JSONValue {
        let value = try self.value(depth: 0)
        self.skipBlanks()
        guard self.position == self.bytes.count else { throw self.malformed("something follows it") }
        return value
    }

    private func malformed(_ what: String) -> JSONValue.Malformed {
        JSONValue.Malformed(description: "\(what) (at byte \(self.position))")
    }

    private var next: UInt8? { self.position < self.bytes.count ? self.bytes[self.position] : nil }

    private mutating func skipBlanks() {
        while let byte = self.next, byte == 0x20 || byte == 0x09 || byte == 0x0A || byte == 0x0D { self.position += 1 }
    }

    private mutating func take(_ character: Character) -> Bool {
        guard let byte = self.next, byte == character.asciiValue else { return false }
        self.position += 1
        return true
    }

    private mutating func value(depth: Int) throws(JSONValue.Malformed) -> JSONValue {
        guard depth < JSONValue.depthLimit else { throw self.malformed("it is nested too deeply") }
        self.skipBlanks()
        switch self.next {
        case UInt8(ascii: "{"): return try self.object(depth)
        case UInt8(ascii: "["): return try self.array(depth)
        case UInt8(ascii: "\""): return .string(try self.string())
        case .some(UInt8(ascii: "-")), .some(UInt8(ascii: "0")...UInt8(ascii: "9")): return try self.number()
        default: return try self.word()
        }
    }

    private mutating func word() throws(JSONValue.Malformed) -> JSONValue {
        for (word, value) in [("null", JSONValue.null), ("true", .bool(true)), ("false", .bool(false))]
        where self.bytes[self.position...].starts(with: word.utf8) {
            self.position += word.utf8.count
            return value
        }
        throw self.malformed(self.next == nil ? "it ends too early" : "a value was expected")
    }

    private mutating func object(_ depth: Int) throws(JSONValue.Malformed) -> JSONValue {
        var members: [String: JSONValue] = [:]
        self.position += 1
        self.skipBlanks()
        if self.take("}") { return .object(members) }
        repeat {
            self.skipBlanks()
            guard self.next == UInt8(ascii: "\"") else { throw self.malformed("a name was expected") }
            let name = try self.string()
            self.skipBlanks()
            guard self.take(":") else { throw self.malformed("a colon was expected") }
            guard members.updateValue(try self.value(depth: depth + 1), forKey: name) == nil else {
                throw self.malformed("\(name) is there twice")
            }
            self.skipBlanks()
        } while self.take(",")
        guard self.take("}") else { throw self.malformed("an object does not end") }
        return .object(members)
    }

    private mutating func array(_ depth: Int) throws(JSONValue.Malformed) -> JSONValue {
        var elements: [JSONValue] = []
        self.position += 1
        self.skipBlanks()
        if self.take("]") { return .array(elements) }
        repeat {
            elements.append(try self.value(depth: depth + 1))
            self.skipBlanks()
        } while self.take(",")
        guard self.take("]") else { throw self.malformed("a list does not end") }
        return .array(elements)
    }

    private mutating func number() throws(JSONValue.Malformed) -> JSONValue {
        let start = self.position
        _ = self.take("-")
        if !self.take("0") { try self.digits() }
        if self.take(".") { try self.digits() }
        if self.take("e") || self.take("E") {
            _ = self.take("+") || self.take("-")
            try self.digits()
        }
        guard let number = Double(String(decoding: self.bytes[start..<self.position], as: UTF8.self)), number.isFinite else {
            throw self.malformed("a number is out of range")
        }
        return .number(number)
    }

    private mutating func digits() throws(JSONValue.Malformed) {
        let start = self.position
        while let byte = self.next, UInt8(ascii: "0")...UInt8(ascii: "9") ~= byte { self.position += 1 }
        guard self.position > start else { throw self.malformed("a digit was expected") }
    }

    private mutating func string() throws(JSONValue.Malformed) -> String {
        var text: [UInt8] = []
        self.position += 1
        while let byte = self.next {
            self.position += 1
            switch byte {
            case UInt8(ascii: "\""): return String(decoding: text, as: UTF8.self)
            case UInt8(ascii: "\\"): text += try self.escaped().utf8
            case 0..<0x20: throw self.malformed("a control character is not escaped")
            default: text.append(byte)
            }
        }
        throw self.malformed("a text does not end")
    }

    private mutating func escaped() throws(JSONValue.Malformed) -> String {
        guard let byte = self.next else { throw self.malformed("a text does not end") }
        self.position += 1
        switch byte {
        case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): return String(UnicodeScalar(byte))
        case UInt8(ascii: "b"): return "\u{8}"
        case UInt8(ascii: "f"): return "\u{C}"
        case UInt8(ascii: "n"): return "\n"
        case UInt8(ascii: "r"): return "\r"
        case UInt8(ascii: "t"): return "\t"
        case UInt8(ascii: "u"):
            let unit = try self.codeUnit()
            if let scalar = UnicodeScalar(unit) { return String(scalar) }
            // RFC 8259 §7: what is beyond 16 bits comes as a pair.
            guard 0xD800..<0xDC00 ~= unit, self.take("\\"), self.take("u") else { throw self.malformed("half of a pair") }
            let low = try self.codeUnit()
            guard 0xDC00..<0xE000 ~= low,
                let scalar = UnicodeScalar(0x10000 + (UInt32(unit) - 0xD800) << 10 + (UInt32(low) - 0xDC00))
            else { throw self.malformed("half of a pair") }
            return String(scalar)
        default: throw self.malformed("an unknown escape")
        }
    }

    private mutating func codeUnit() throws(JSONValue.Malformed) -> UInt16 {
        var unit: UInt16 = 0
        for _ in 0..<4 {
            guard let byte = self.next, let digit = Character(UnicodeScalar(byte)).hexDigitValue, byte < 0x80 else {
                throw self.malformed("a hexadecimal digit was expected")
            }
            unit = unit << 4 | UInt16(digit)
            self.position += 1
        }
        return unit
    }
}
