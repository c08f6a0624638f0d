internal import struct NIOHTTP1.HTTPHeaders
internal import TunnelProtocol

/// What the fields of a head say about its connection and about the body behind it, gathered in one walk over them. What has to do
/// with neither is kept in `fields`.
struct Framing {
    private(set) var host: String?
    private(set) var expectations: [String] = []
    private(set) var upgrades: [String] = []
    private(set) var closes = false
    private(set) var keepsAlive = false
    private(set) var asksForUpgrade = false
    private(set) var fields: [(String, String)] = []
    private var lengths: [String] = []
    private var encodings: [String] = []

    /// - Parameters:
    ///   - bytesBefore: What the first line takes of the head's limit.
    ///   - keepingHost: Whether an empty Host is to be the first of `fields`, to be set or removed later.
    /// - Throws: `MessageRefusal` with 400 or 431.
    init(_ headers: HTTPHeaders, bytesBefore: Int = 0, keepingHost: Bool = false) throws(MessageRefusal) {
        guard headers.count <= MessageLimits.fields else {
            throw MessageRefusal(431, "it has \(headers.count) header fields, more than \(MessageLimits.fields)")
        }
        // Room for Host, and for Connection and Upgrade.
        self.fields.reserveCapacity(headers.count + 3)
        if keepingHost { self.fields.append(("Host", "")) }
        var named: [Substring] = []
        var connections: [String] = []
        var bytes = bytesBefore
        for (name, untrimmed) in headers {
            // The decoder leaves blanks at the end of a value (RFC 9112 §5.1).
            let value = untrimmed.trimmedValue
            bytes += name.utf8.count + value.utf8.count
            guard HTTPText.isToken(name) else { throw MessageRefusal(400, "the name of a header field is not a token") }
            guard HTTPText.isValue(value) else { throw MessageRefusal(400, "a control character is in the header field \(name)") }
            switch FieldKind(name) {
            case .endToEnd: self.fields.append((name, value))
            case .hopByHop, .disguised: break
            case .connection: connections.append(value)
            case .upgrade: self.upgrades.append(value)
            case .expect: self.expectations.append(value)
            case .contentLength: self.lengths.append(value)
            case .transferEncoding: self.encodings.append(value)
            case .host:
                guard self.host == nil else { throw MessageRefusal(400, "it has more than one Host") }
                self.host = value
            }
        }
        if bytes > MessageLimits.headBytes {
            // What came is counted, not what stands for it in a text.
            for (_, value) in headers { bytes -= value.utf8.count - value.opaqueByteCount }
        }
        guard bytes <= MessageLimits.headBytes else {
            throw MessageRefusal(431, "its head is longer than \(MessageLimits.headBytes) bytes")
        }
        for value in connections {
            // What browsers and load balancers say.
            if value.isName("keep-alive") {
                self.keepsAlive = true
                continue
            }
            for option in value.listElements {
                guard HTTPText.isToken(option) else { throw MessageRefusal(400, "Connection lists something that is not a token") }
                if option.isName("close") {
                    self.closes = true
                } else if option.isName("keep-alive") {
                    self.keepsAlive = true
                } else if option.isName("upgrade") {
                    self.asksForUpgrade = true
                } else if FieldKind.mayBeNamed(option) {
                    named.append(option)
                }
            }
        }
        if !named.isEmpty {
            let names = named.map { $0.lowercased() }
            self.fields.removeAll { name, _ in names.contains { name.isName($0) } }
        }
    }

    /// What Content-Length and Transfer-Encoding come to (RFC 9112 §6), one of them at most, once, in the plain form.
    ///
    /// - Throws: `MessageRefusal` with 400 or 413.
    func body(isHTTP10: Bool) throws(MessageRefusal) -> BodyLength {
        guard self.encodings.isEmpty || self.lengths.isEmpty else {
            throw MessageRefusal(400, "it has both Content-Length and Transfer-Encoding")
        }
        if let encoding = self.encodings.first {
            // RFC 9112 §6.1: framing that 1.0 does not know is faulty there.
            guard !isHTTP10 else { throw MessageRefusal(400, "HTTP/1.0 has no Transfer-Encoding") }
            guard self.encodings.count == 1 else { throw MessageRefusal(400, "it has more than one Transfer-Encoding") }
            guard encoding.isName("chunked") else { throw MessageRefusal(400, "its Transfer-Encoding is not chunked and nothing else") }
            return .unknown
        }
        guard let length = self.lengths.first else { return .none }
        guard self.lengths.count == 1 else { throw MessageRefusal(400, "it has more than one Content-Length") }
        // Digits alone: a sign or a list, which others may read otherwise, is none (RFC 9112 §6.3).
        guard !length.utf8.isEmpty, length.utf8.allSatisfy(HTTPText.isDigit) else {
            throw MessageRefusal(400, "its Content-Length is not a number")
        }
        guard let count = UInt64(length), count <= Varint.maximum else {
            throw MessageRefusal(413, "its Content-Length is a number beyond all bodies")
        }
        return .bytes(count)
    }

    /// Whether anything speaks of a body.
    var isFramed: Bool { !(self.encodings.isEmpty && self.lengths.isEmpty) }
    var isChunked: Bool { !self.encodings.isEmpty }
}
