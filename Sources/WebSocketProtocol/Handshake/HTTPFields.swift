package import struct NIOCore.ByteBuffer

/// The fields of a head, in the order and spelling of the wire; names are compared without regard to case.
package struct HTTPFields: Equatable, Sendable, ExpressibleByDictionaryLiteral {
    package struct Field: Equatable, Sendable {
        package let name: String
        /// Bytes that are not UTF-8 have become U+FFFD.
        package let value: String
    }

    package private(set) var all: [Field] = []

    package init() {}

    package init(dictionaryLiteral elements: (String, String)...) {
        for (name, value) in elements { self.append(name, value) }
    }

    package mutating func append(_ name: String, _ value: String) {
        self.all.append(Field(name: name, value: value))
    }

    package func contains(_ name: String) -> Bool {
        self.all.contains { $0.name.equalsIgnoringCase(name) }
    }

    /// The value of every field of this name.
    package func values(_ name: String) -> [String] {
        self.all.filter { $0.name.equalsIgnoringCase(name) }.map(\.value)
    }

    /// The value of the only field of this name: nil when it is absent, and nil when there are two, as whoever reads
    /// the other one would disagree with us.
    package func only(_ name: String) -> String? {
        let values = self.values(name)
        return values.count == 1 ? values[0] : nil
    }

    /// The elements of a list-valued field (RFC 9110 §5.6.1), over all its lines, empty ones left out. Not for fields
    /// whose elements may hold quoted strings.
    package func list(_ name: String) -> [String] {
        self.values(name).flatMap { value in
            value.utf8.split(separator: HTTPSyntax.comma)
                .compactMap { String(Substring(HTTPSyntax.trimmed($0))) }
                .filter { !$0.isEmpty }
        }
    }

    /// True when a list-valued field has this element, without regard to case.
    package func list(_ name: String, contains element: String) -> Bool {
        self.list(name).contains { $0.equalsIgnoringCase(element) }
    }

    /// Refuses what would not arrive as it was meant: above all CR, LF and NUL, by which a value becomes another field.
    package func checkWritable() throws(UnwritableField) {
        for field in self.all {
            guard HTTPSyntax.isToken(field.name.utf8) else { throw UnwritableField(name: field.name, part: .name) }
            guard HTTPSyntax.isFieldValue(field.value.utf8) else {
                throw UnwritableField(name: field.name, part: .value)
            }
        }
    }

    /// Writes the fields and the empty line that ends a head. They have been checked.
    package func encode(into buffer: inout ByteBuffer) {
        for field in self.all { buffer.writeString("\(field.name): \(field.value)\r\n") }
        buffer.writeString("\r\n")
    }
}

/// A part of a head that cannot be written. It names the field and never repeats the value, which may be a secret.
package struct UnwritableField: Error, Equatable, Sendable {
    package enum Part: Sendable { case name, value }

    package let name: String
    package let part: Part

    package init(name: String, part: Part) {
        self.name = name
        self.part = part
    }

    package var sentence: String {
        switch self.part {
        case .name: "\(PrintableText.line(of: self.name)) is not the name of an HTTP field"
        case .value: "the value of \(self.name) has a control character in it, or a blank at one end"
        }
    }
}
