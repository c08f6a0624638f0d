package import struct NIOHTTP1.HTTPHeaders
package import struct NIOHTTP1.HTTPRequestHead
package import struct NIOHTTP1.HTTPVersion

/// A visitor's request that can be read in one way only, without what belonged to the visitor's connection.
///
/// The rules are those of RFC 9112, and where it leaves a choice the strict one: one parse, one value. Where two readers could
/// disagree about where a request goes, or where it ends, one stranger's bytes become another's request; such a request is refused.
/// What cannot be seen in a parsed head any more (line ends, folded lines, blanks around names, chunk lines) NIO's decoder refuses
/// by itself.
package struct JudgedRequest: Equatable, Sendable {
    /// In small letters, without port and without a dot at its end; an IPv6 address in its brackets. Empty when an HTTP/1.0
    /// request names none.
    package let host: String
    /// Host as it was sent, or the authority of an absolute target.
    package let authority: String
    package let method: String
    /// Origin-form, or `*` for OPTIONS (RFC 9112 §3.2).
    package let target: String
    /// Whether the visitor speaks HTTP/1.0: no chunks and no 1xx for it.
    package let isHTTP10: Bool
    package let body: BodyLength
    /// Whether the visitor's connection may carry another request after this one (RFC 9112 §9.3). Not after one that asks for another
    /// protocol.
    package let keepsAlive: Bool
    /// Whether the visitor waits for a 100 before it sends the body (RFC 9110 §10.1.1).
    package let expectsContinue: Bool
    /// The protocols that it would rather speak, as Upgrade has them; `nil`: none, or one that is not passed on. HTTP/2 and TLS are
    /// not: they are the connection's, and would carry requests that nobody judges. Neither is one with a body before it.
    package let upgrade: String?
    /// Host is the first. Without fields of the connection, Content-Length and Expect; with Connection and Upgrade only when
    /// `upgrade` is not `nil`. Fields that Connection names are gone (RFC 9110 §7.6.1), those aside that are never the connection's.
    package var fields: HTTPHeaders

    /// - Throws: `MessageRefusal` with 400, 413, 417, 431, 501 or 505.
    package init(_ head: HTTPRequestHead) throws(MessageRefusal) {
        guard head.version == .http1_1 || head.version == .http1_0 else {
            throw MessageRefusal(505, "only HTTP/1.1 and HTTP/1.0 are spoken here")
        }
        self.isHTTP10 = head.version == .http1_0
        self.method = head.method.rawValue
        guard HTTPText.isToken(self.method) else { throw MessageRefusal(400, "its method is not a token") }
        let framing = try Framing(head.headers, bytesBefore: head.uri.utf8.count, keepingHost: true)
        self.body = try framing.body(isHTTP10: self.isHTTP10)

        let target = try RequestTarget(head.uri, method: self.method)
        self.target = target.path
        let host = try framing.host.map(HostText.init(judging:))
        if host == nil, !self.isHTTP10 { throw MessageRefusal(400, "it has no Host") }
        if let named = target.authority {
            // RFC 9112 §3.2.2 would let the target win; what stands behind us may think otherwise.
            if let host, !host.agrees(with: named, defaultPort: target.defaultPort) {
                throw MessageRefusal(400, "its target names another host than Host does")
            }
            self.authority = named.authority
            self.host = named.host
        } else {
            self.authority = host?.authority ?? ""
            self.host = host?.host ?? ""
        }

        var expectsContinue = false
        for expectation in framing.expectations where !self.isHTTP10 {
            for element in expectation.listElements {
                guard element.isName("100-continue") else { throw MessageRefusal(417, "only 100-continue can be expected here") }
                expectsContinue = true
            }
        }
        self.expectsContinue = expectsContinue && self.body != .none && self.body != .bytes(0)
        // NIO's decoder reads nothing behind a request that asks for another protocol, be it granted or not.
        let stopsDecoder = framing.asksForUpgrade && !framing.upgrades.isEmpty
        self.keepsAlive = !framing.closes && (!self.isHTTP10 || framing.keepsAlive) && !stopsDecoder

        let hasBody = self.body != .none && self.body != .bytes(0)
        // RFC 9110 §7.8: 1.0 has no Upgrade, and any may be passed over.
        self.upgrade = !self.isHTTP10 && framing.asksForUpgrade && !hasBody ? Self.upgrade(framing.upgrades) : nil
        var fields = framing.fields
        if self.authority.isEmpty {
            fields.removeFirst()
        } else {
            fields[0].1 = self.authority
        }
        if let upgrade = self.upgrade {
            fields.append(("Connection", "Upgrade"))
            fields.append(("Upgrade", upgrade))
        }
        self.fields = HTTPHeaders(fields)
    }

    private static func upgrade(_ values: [String]) -> String? {
        let protocols = values.flatMap(\.listElements).filter { name in
            let kind = name.utf8.prefix { $0 != UInt8(ascii: "/") }
            return !["h2", "h2c", "http", "tls"].contains { Substring(kind).isName($0) }
        }
        return protocols.isEmpty ? nil : protocols.joined(separator: ", ")
    }
}
