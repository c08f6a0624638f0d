package import struct NIOHTTP1.HTTPHeaders

/// What Host a service is sent.
package enum HostHeader: Equatable, Sendable {
    /// The visitor's.
    case preserve
    /// The service's own, as in its address.
    case rewrite
    /// One that was chosen.
    case value(String)

    /// Reads `preserve`, `rewrite`, or a host with or without a port.
    package init?(_ text: String) {
        switch text {
        case "preserve": self = .preserve
        case "rewrite": self = .rewrite
        default:
            guard HostText(text) != nil else { return nil }
            self = .value(text)
        }
    }

    /// Sets Host, which stays the first of the fields.
    ///
    /// - Parameter service: The service's authority: `127.0.0.1:3000`.
    package func apply(to fields: inout HTTPHeaders, service: String) {
        switch self {
        case .preserve: break
        case .rewrite: fields.setHost(service)
        case .value(let host): fields.setHost(host)
        }
    }
}

extension HTTPHeaders {
    /// Sets Host and makes it the first (RFC 9110 §7.2).
    package mutating func setHost(_ host: String) {
        self = HTTPHeaders([("Host", host)] + self.filter { !$0.name.isName("host") })
    }
}

/// What an operator changes in the heads that pass: of requests, or of responses.
package struct FieldEdits: Equatable, Sendable {
    /// In small letters.
    private var removed: [String] = []
    /// Put in place of all fields of the name.
    private var replaced: [Field] = []
    /// Put behind what is there.
    private var added: [Field] = []

    private struct Field: Equatable {
        let name: String
        let value: String
    }

    package init() {}

    package var isEmpty: Bool { self.removed.isEmpty && self.replaced.isEmpty && self.added.isEmpty }

    /// - Throws: `FieldEditError` for a name that is not a token, or one of a field that is the connection's or the body's.
    package mutating func remove(_ name: String) throws(FieldEditError) {
        try Self.check(name)
        self.removed.append(name.lowercased())
    }

    /// - Throws: `FieldEditError` likewise, and for a value with a control character in it.
    package mutating func replace(_ name: String, with value: String) throws(FieldEditError) {
        try Self.check(name, value)
        self.replaced.append(Field(name: name, value: String(opaque: value.utf8)))
    }

    /// - Throws: `FieldEditError` likewise.
    package mutating func add(_ name: String, _ value: String) throws(FieldEditError) {
        try Self.check(name, value)
        self.added.append(Field(name: name, value: String(opaque: value.utf8)))
    }

    /// Reads `Name: value` as a field to add, as curl's `--header` has it.
    ///
    /// - Throws: `FieldEditError` for a line without a colon, and likewise.
    package mutating func add(line: String) throws(FieldEditError) {
        let (name, value) = try Self.parts(of: line)
        try self.add(name, value)
    }

    /// Reads `Name: value` as a field to replace.
    package mutating func replace(line: String) throws(FieldEditError) {
        let (name, value) = try Self.parts(of: line)
        try self.replace(name, with: value)
    }

    /// First what is removed, then what is replaced, then what is added.
    package func apply(to fields: inout HTTPHeaders) {
        guard !self.isEmpty else { return }
        let gone = self.removed + self.replaced.map { $0.name.lowercased() }
        var kept: [(String, String)] = fields.filter { field in !gone.contains { field.name.isName($0) } }
        kept += (self.replaced + self.added).map { ($0.name, $0.value) }
        fields = HTTPHeaders(kept)
    }

    private static func parts(of line: String) throws(FieldEditError) -> (name: String, value: String) {
        guard let colon = line.utf8.firstIndex(of: UInt8(ascii: ":")) else {
            throw FieldEditError("a header field is written as Name: value")
        }
        return (String(line[..<colon]), String(line[line.utf8.index(after: colon)...].trimmedBlanks))
    }

    private static func check(_ name: String, _ value: String = "") throws(FieldEditError) {
        guard HTTPText.isToken(name) else { throw FieldEditError("\"\(name.asValue)\" is not the name of a header field") }
        guard HTTPText.isValue(value) else { throw FieldEditError("the value of \(name) has a control character in it") }
        switch FieldKind(name) {
        case .endToEnd: break
        case .host: throw FieldEditError("Host is not changed like other header fields: use --host-header")
        case .contentLength, .transferEncoding, .connection, .upgrade, .expect, .hopByHop, .disguised:
            throw FieldEditError("\(name) belongs to the connection or to the body, and cannot be changed")
        }
    }
}

/// An edit that cannot be. The operator is at fault.
package struct FieldEditError: Error, Equatable, Sendable {
    package let sentence: String

    init(_ sentence: String) {
        self.sentence = sentence
    }
}
