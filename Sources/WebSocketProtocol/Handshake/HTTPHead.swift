/// A version of HTTP/1 (RFC 9112 §2.3).
package struct HTTPVersion: Comparable, Sendable {
    package static let http1_0 = HTTPVersion(minor: 0)
    package static let http1_1 = HTTPVersion(minor: 1)

    package let minor: UInt8

    package static func < (left: HTTPVersion, right: HTTPVersion) -> Bool {
        left.minor < right.minor
    }

    private init(minor: UInt8) {
        self.minor = minor
    }

    init(parsing text: ArraySlice<UInt8>) throws(HeadError) {
        let text = Array(text)
        guard text.count == 8, text.starts(with: "HTTP/".utf8), HTTPSyntax.isDigit(text[5]),
            text[6] == UInt8(ascii: "."), HTTPSyntax.isDigit(text[7])
        else { throw .malformedVersion }
        guard text[5] == UInt8(ascii: "1") else { throw .unsupportedVersion }
        self.minor = text[7] - UInt8(ascii: "0")
    }
}

/// A head of HTTP/1: a line of its own kind, then fields (RFC 9112 §2.1).
package protocol HTTPHead: Equatable, Sendable {
    var fields: HTTPFields { get set }

    init(startLine: [UInt8]) throws(HeadError)
}

/// The head of a request (RFC 9112 §3).
package struct RequestHead: HTTPHead {
    package let method: String
    /// As it was sent: `/path?query`, an absolute URI, an authority or `*`.
    package let target: String
    package let version: HTTPVersion
    package var fields = HTTPFields()

    package init(startLine: [UInt8]) throws(HeadError) {
        // An empty line in front, which RFC 9112 §2.2 would have skipped, has one word: no client we know sends it.
        let words = startLine.split(separator: HTTPSyntax.space, omittingEmptySubsequences: false)
        guard words.count == 3 else { throw .malformedStartLine }
        guard HTTPSyntax.isToken(words[0]) else { throw .malformedMethod }
        guard HTTPSyntax.isTarget(words[1]) else { throw .malformedTarget }
        self.method = String(decoding: words[0], as: UTF8.self)
        self.target = String(decoding: words[1], as: UTF8.self)
        self.version = try HTTPVersion(parsing: words[2])
    }
}

/// The head of a response (RFC 9112 §4).
package struct ResponseHead: HTTPHead {
    package let version: HTTPVersion
    package let status: Int
    /// The server's own words; often empty.
    package let reason: String
    package var fields = HTTPFields()

    package init(startLine: [UInt8]) throws(HeadError) {
        let words = startLine.split(separator: HTTPSyntax.space, maxSplits: 2, omittingEmptySubsequences: false)
        guard words.count >= 2 else { throw .malformedStartLine }
        self.version = try HTTPVersion(parsing: words[0])
        guard words[1].count == 3, words[1].allSatisfy(HTTPSyntax.isDigit),
            let status = Int(String(decoding: words[1], as: UTF8.self)), (100...599).contains(status)
        else { throw .malformedStatus }
        self.status = status
        // Servers with no reason to give leave out the space before it as well, against the grammar; it is read as
        // such.
        self.reason = words.count == 3 ? String(decoding: words[2], as: UTF8.self) : ""
    }
}
