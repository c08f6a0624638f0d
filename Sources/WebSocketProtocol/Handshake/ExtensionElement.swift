/// One element of Sec-WebSocket-Extensions (RFC 6455 §9.1).
///
///     extension-list  = 1#extension
///     extension       = token *( ";" extension-param )
///     extension-param = token [ "=" ( token / quoted-string ) ]
///
/// What a quoted string says must be a token as well. Names keep the case they were written in: RFC 6455 and RFC 7692
/// compare them as they are.
struct ExtensionElement: Equatable, Sendable {
    struct Parameter: Equatable, Sendable {
        let name: String
        var value: String?
    }

    let name: String
    var parameters: [Parameter] = []

    /// As it stands in the field.
    var text: String {
        self.parameters.reduce(self.name) { text, parameter in
            text + "; " + parameter.name + (parameter.value.map { "=" + $0 } ?? "")
        }
    }

    /// The elements of all Sec-WebSocket-Extensions fields, in order; nil when one does not follow the grammar, which
    /// fails the handshake (RFC 6455 §9.1).
    static func all(in fields: HTTPFields) -> [ExtensionElement]? {
        var elements: [ExtensionElement] = []
        for value in fields.values(Self.field) {
            var reader = Reader(rest: Array(value.utf8)[...])
            guard let more = reader.elements() else { return nil }
            elements += more
        }
        return elements
    }

    static let field = "Sec-WebSocket-Extensions"
}

extension ExtensionElement {
    private struct Reader {
        var rest: ArraySlice<UInt8>

        mutating func elements() -> [ExtensionElement]? {
            var elements: [ExtensionElement] = []
            while true {
                // RFC 9110 §5.6.1.2: empty elements of a list are passed over.
                if self.take(HTTPSyntax.comma) { continue }
                if self.rest.isEmpty { return elements }
                guard let element = self.element() else { return nil }
                elements.append(element)
                guard self.rest.isEmpty || self.take(HTTPSyntax.comma) else { return nil }
            }
        }

        private mutating func element() -> ExtensionElement? {
            guard let name = self.token() else { return nil }
            var element = ExtensionElement(name: name)
            while self.take(UInt8(ascii: ";")) {
                guard let name = self.token() else { return nil }
                var parameter = Parameter(name: name)
                if self.take(UInt8(ascii: "=")) {
                    guard let value = self.take(UInt8(ascii: "\"")) ? self.quoted() : self.token() else { return nil }
                    parameter.value = value
                }
                element.parameters.append(parameter)
            }
            return element
        }

        private mutating func token() -> String? {
            self.skipBlanks()
            let token = self.rest.prefix { HTTPSyntax.isToken(CollectionOfOne($0)) }
            self.rest = self.rest[token.endIndex...]
            self.skipBlanks()
            return token.isEmpty ? nil : String(decoding: token, as: UTF8.self)
        }

        /// RFC 9110 §5.6.4, from behind the opening quote.
        private mutating func quoted() -> String? {
            var value: [UInt8] = []
            while let byte = self.rest.popFirst() {
                switch byte {
                case UInt8(ascii: "\""):
                    self.skipBlanks()
                    return HTTPSyntax.isToken(value) ? String(decoding: value, as: UTF8.self) : nil
                case UInt8(ascii: "\\"):
                    guard let escaped = self.rest.popFirst() else { return nil }
                    value.append(escaped)
                default: value.append(byte)
                }
            }
            return nil
        }

        /// True when `byte` comes next, blanks aside; then it is taken.
        private mutating func take(_ byte: UInt8) -> Bool {
            self.skipBlanks()
            guard self.rest.first == byte else { return false }
            self.rest.removeFirst()
            return true
        }

        private mutating func skipBlanks() {
            self.rest = self.rest.drop(while: HTTPSyntax.isBlank)
        }
    }
}
