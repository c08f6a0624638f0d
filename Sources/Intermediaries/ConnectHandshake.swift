package import struct NIOCore.ByteBuffer
package import WebSocketProtocol

/// CONNECT (RFC 9110 §9.3.6): an HTTP proxy is asked for a tunnel to host and port.
///
///     waiting ──1xx──▶ waiting ──2xx──▶ established
///                         └──3xx, 4xx, 5xx──▶ refused
package struct ConnectHandshake: ProxyHandshake {
    private let request: ByteBuffer
    private var parser: HeadParser<ResponseHead>
    private var interimResponsesLeft: Int
    private var failure: ProxyRefusal?

    /// - Parameters:
    ///   - host: The server's, an address without brackets; resolved by the proxy.
    ///   - credentials: Sent at once, as Basic: a proxy that asks for them first would cost a round trip.
    ///   - agent: For User-Agent.
    ///   - limits: Of the answer's head, with the reasons given there.
    package init(
        host: String, port: UInt16, credentials: ProxyCredentials?, agent: String, limits: WebSocketLimits = .answers
    ) throws(UnwritableRequest) {
        // RFC 9112 §3.2.3: authority-form, the port always in it.
        let authority = host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)"
        guard Authority(authority) != nil else { throw .host }
        var fields: HTTPFields = ["Host": authority, "User-Agent": agent]
        if let credentials { fields.append("Proxy-Authorization", credentials.basic) }
        do throws(UnwritableField) { try fields.checkWritable() } catch { throw .field(error) }
        var request = ByteBuffer()
        request.writeString("CONNECT \(authority) HTTP/1.1\r\n")
        fields.encode(into: &request)
        self.request = request
        self.parser = HeadParser(limits: limits)
        self.interimResponsesLeft = limits.interimResponses
    }

    package mutating func start() -> ByteBuffer { self.request }

    package mutating func receive(_ bytes: inout ByteBuffer) throws(ProxyRefusal) -> ProxyProgress {
        // Whatever follows the head, a body's length says nothing about it (RFC 9110 §9.3.6).
        defer { bytes.moveReaderIndex(to: bytes.writerIndex) }
        if let failure { throw failure }
        do throws(ProxyRefusal) {
            return try self.answer(&bytes)
        } catch {
            self.failure = error
            throw error
        }
    }

    private mutating func answer(_ bytes: inout ByteBuffer) throws(ProxyRefusal) -> ProxyProgress {
        while let head = try self.nextHead(&bytes) {
            switch head.status {
            case 100..<200:
                // A 101 was not asked for, and answers nothing.
                guard self.interimResponsesLeft > 0 else { throw .tooManyInterimResponses }
                self.interimResponsesLeft -= 1
            case 200..<300: return .established
            default: throw .status(ConnectRefusal(head))
            }
        }
        return .wantsMore
    }

    private mutating func nextHead(_ bytes: inout ByteBuffer) throws(ProxyRefusal) -> ResponseHead? {
        do throws(HeadError) { return try self.parser.receive(&bytes) } catch { throw .notHTTP(error) }
    }
}

/// An answer to CONNECT other than 2xx, as far as it helps the user. All of it is fit for a terminal.
package struct ConnectRefusal: Equatable, Sendable {
    package let status: Int
    package let reason: String
    /// What answered: the Server field, else Via.
    package let agent: String?
    /// The schemes of Proxy-Authenticate (RFC 9110 §11.7.1), in their order.
    package let schemes: [String]

    /// The most of a text from the proxy that is shown, in bytes. 200: two lines of a terminal.
    private static let textLimit = 200

    init(_ head: ResponseHead) {
        self.status = head.status
        self.reason = Self.shown(head.reason)
        let agent = Self.shown(head.fields.values("Server").first ?? head.fields.values("Via").first ?? "")
        self.agent = agent.isEmpty ? nil : agent
        var schemes: [String] = []
        for value in head.fields.values("Proxy-Authenticate") {
            for scheme in Self.schemes(in: value) where !schemes.contains(where: { $0.equalsIgnoringCase(scheme) }) {
                schemes.append(scheme)
            }
        }
        self.schemes = schemes
    }

    /// Whether a user's name and password would do.
    package var offersBasic: Bool { self.schemes.contains { $0.equalsIgnoringCase("Basic") } }

    private static func shown(_ text: String) -> String {
        PrintableText.line(of: String(decoding: text.utf8.prefix(self.textLimit), as: UTF8.self))
    }

    /// RFC 9110 §11.3: challenges and the parameters of each are separated alike, by commas; a parameter is a token and "=".
    private static func schemes(in value: String) -> [String] {
        var elements: [[UInt8]] = [[]]
        var isQuoted = false
        var isEscaped = false
        for byte in value.utf8 {
            switch byte {
            case _ where isEscaped: isEscaped = false
            case UInt8(ascii: "\\") where isQuoted: isEscaped = true
            case UInt8(ascii: "\""): isQuoted.toggle()
            case UInt8(ascii: ",") where !isQuoted:
                elements.append([])
                continue
            default: break
            }
            elements[elements.count - 1].append(byte)
        }
        return elements.compactMap { element in
            let text = element.drop { $0 == 0x20 || $0 == 0x09 }
            let name = text.prefix(while: Self.isSchemeByte)
            let rest = text[name.endIndex...].drop { $0 == 0x20 || $0 == 0x09 }
            guard !name.isEmpty, rest.first != UInt8(ascii: "=") else { return nil }
            return String(decoding: name.prefix(self.textLimit), as: UTF8.self)
        }
    }

    /// Of the characters of a token those that the registered schemes are made of.
    private static func isSchemeByte(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "-"), UInt8(ascii: "_"), UInt8(ascii: "."):
            true
        default: false
        }
    }
}
