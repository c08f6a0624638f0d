/// What a proxy has to know about a field before it passes it on.
enum FieldKind: Equatable {
    case host
    case contentLength
    case transferEncoding
    case connection
    case upgrade
    case expect
    /// Of one connection only (RFC 9110 §7.6.1), or for a proxy on the way.
    case hopByHop
    /// One of the above, or of those that say where a request comes from, with `_` for `-`: CGI and its descendants take the two for
    /// one and the same, and nobody sends them in good faith.
    case disguised
    case endToEnd

    init(_ name: String) {
        self = name.utf8.withContiguousStorageIfAvailable { FieldKind(bytes: $0) } ?? FieldKind(bytes: Array(name.utf8))
    }

    init(bytes name: some RandomAccessCollection<UInt8>) {
        let known = Self.known(name)
        // Only a name that is as long as a known one is looked at byte by byte.
        self = known != .endToEnd && name.contains(UInt8(ascii: "_")) ? .disguised : known
    }

    /// The first letter spares most fields the comparison.
    private static func known(_ name: some RandomAccessCollection<UInt8>) -> FieldKind {
        switch (name.count, name.first.map(HTTPText.lowercased)) {
        case (2, UInt8(ascii: "t")): name.isFolded("te") ? .hopByHop : .endToEnd
        case (4, UInt8(ascii: "h")): name.isFolded("host") ? .host : .endToEnd
        // Not a field of HTTP; CGI programs find it as HTTP_PROXY and send their own requests there.
        case (5, UInt8(ascii: "p")): name.isFolded("proxy") ? .hopByHop : .endToEnd
        case (6, UInt8(ascii: "e")): name.isFolded("expect") ? .expect : .endToEnd
        case (7, UInt8(ascii: "u")): name.isFolded("upgrade") ? .upgrade : .endToEnd
        case (10, UInt8(ascii: "c")): name.isFolded("connection") ? .connection : .endToEnd
        case (10, UInt8(ascii: "k")): name.isFolded("keep-alive") ? .hopByHop : .endToEnd
        case (14, UInt8(ascii: "c")): name.isFolded("content-length") ? .contentLength : .endToEnd
        case (14, UInt8(ascii: "h")): name.isFolded("http2-settings") ? .hopByHop : .endToEnd
        case (16, UInt8(ascii: "p")): name.isFolded("proxy-connection") ? .hopByHop : .endToEnd
        case (17, UInt8(ascii: "t")): name.isFolded("transfer-encoding") ? .transferEncoding : .endToEnd
        case (18, UInt8(ascii: "p")): name.isFolded("proxy-authenticate") ? .hopByHop : .endToEnd
        case (19, UInt8(ascii: "p")): name.isFolded("proxy-authorization") ? .hopByHop : .endToEnd
        default: .endToEnd
        }
    }

    /// Whether a sender may make a field one of the connection by naming it in Connection. Not those that are for the service
    /// whatever is in between (RFC 9110 §7.6.1 forbids it): a stranger could otherwise take away what a proxy in front of us has
    /// added, and a service would find, say, no X-Forwarded-For and believe the request to be local.
    static func mayBeNamed(_ name: Substring) -> Bool {
        let first = name.utf8.prefix(2).map(HTTPText.lowercased)
        if first == [UInt8(ascii: "x"), UInt8(ascii: "-")] { return false }
        return !Self.alwaysEndToEnd.contains { name.isName($0) }
    }

    /// Whether a field may stand in a trailer section. Framing, routing, controls, authentication and the like stand in a head
    /// (RFC 9110 §6.5.1).
    static func mayTrail(_ name: String) -> Bool {
        FieldKind(name) == .endToEnd && !Self.headOnly.contains { name.isFolded($0) } && !Forwarding.isForwarding(name)
    }

    private static let headOnly =
        Self.alwaysEndToEnd + ["trailer", "set-cookie2", "www-authenticate", "max-forwards", "pragma", "retry-after", "age"]

    private static let alwaysEndToEnd = [
        "host", "content-length", "content-type", "content-encoding", "content-range", "transfer-encoding", "authorization", "cookie",
        "set-cookie", "cache-control", "forwarded", "via", "origin", "range", "expect", "location", "etag", "date", "vary",
        "access-control-allow-origin", "strict-transport-security", "content-security-policy", "true-client-ip", "cf-connecting-ip",
    ]
}

extension StringProtocol {
    /// `isName`, with `_` as good as `-`.
    func isFolded(_ name: String) -> Bool {
        self.utf8.count == name.utf8.count
            && self.agrees(with: name) { HTTPText.lowercased($0) == $1 || $0 == UInt8(ascii: "_") && $1 == UInt8(ascii: "-") }
    }
}
