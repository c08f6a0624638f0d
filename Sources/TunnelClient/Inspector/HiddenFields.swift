internal import HTTPMessages
package import NIOHTTP1

/// Which fields hold secrets: their values are shown only to whoever asks for them.
package enum HiddenFields {
    /// Stands where a value would.
    package static let mark = "•••"

    /// Whatever of these is part of a name: Authorization and Proxy-Authorization, Cookie and Set-Cookie, X-Api-Key,
    /// X-Amz-Security-Token, X-CSRF-Token, ...
    private static let words = ["authorization", "cookie", "token", "secret", "password", "credential", "api-key", "apikey", "auth-key"]

    package static func contains(_ name: String) -> Bool {
        let name = name.lowercased()
        return self.words.contains { name.contains($0) }
    }

    /// - Parameter reveals: Whether the reader asked for secrets.
    package static func value(of name: String, _ value: String, reveals: Bool) -> String {
        reveals || !self.contains(name) ? value : self.mark
    }

    /// Puts the kept values back where a reader returned the mark, or what is shown for them, in their order.
    package static func restore(_ fields: HTTPHeaders, from kept: HTTPHeaders) -> HTTPHeaders {
        var used: [String: Int] = [:]
        return HTTPHeaders(
            fields.map { name, value in
                let isMark = value == self.mark && self.contains(name)
                let key = isMark ? name.lowercased() : "\(name.lowercased()): \(value)"
                let position = used[key, default: 0]
                used[key] = position + 1
                let values = kept.filter { $0.name.lowercased() == name.lowercased() && (isMark || $0.value.shown.utf8.elementsEqual(value.utf8)) }
                return (name, position < values.count ? values[position].value : value)
            })
    }
}
