import HTTPMessages
import Intermediaries
import NIOCore
import Testing
import TunnelProtocol

struct TunnelPolicyTests {
    private static let salt: [UInt8] = Array(1...16)
    private static let visitor = Endpoint.Address.v4(0xCB00_7109)

    @Test func `a visitor with the right user and password is let in, any other is asked for one`() {
        let policy = TunnelPolicy(credentials: ["user:pass", "other:a:b"], salt: Self.salt)
        func verdict(_ authorization: String...) -> TunnelPolicy.Verdict { policy.verdict(visitor: Self.visitor, authorization: authorization) }
        #expect(verdict("Basic dXNlcjpwYXNz") == .allowed)
        #expect(verdict("basic  dXNlcjpwYXNz") == .allowed)
        #expect(verdict("Basic b3RoZXI6YTpi") == .allowed)
        for wrong in ["Basic dXNlcjpwYXNT", "Bearer dXNlcjpwYXNz", "Basic dXNlcjpwYXNz=", "Basic dXNlcjpwYXN", "Basic", "", "Basic !!!!", "Basic dXNlcjpwYXM="] {
            #expect(verdict(wrong) == .unauthorized, "\(wrong)")
        }
        #expect(verdict() == .unauthorized)
        #expect(verdict("Basic dXNlcjpwYXNz", "Basic dXNlcjpwYXNz") == .unauthorized, "one parse, one value")
    }

    @Test func `an address is let in by the lists, deny before allow`() throws {
        let policy = TunnelPolicy(allow: [try CIDR("203.0.113.0/24"), try CIDR("2001:db8::/32")], deny: [try CIDR("203.0.113.66")])
        func verdict(_ text: String) throws -> TunnelPolicy.Verdict {
            let visitor: Endpoint.Address = try #require(Endpoint.Address(text: text))
            return policy.verdict(visitor: visitor, authorization: [])
        }
        #expect(try verdict("203.0.113.9") == .allowed)
        #expect(try verdict("::ffff:203.0.113.9") == .allowed)
        #expect(try verdict("2001:db8::1") == .allowed)
        #expect(try verdict("203.0.113.66") == .forbidden)
        #expect(try verdict("198.51.100.1") == .forbidden)
        let denying = TunnelPolicy(credentials: ["u:p"], salt: Self.salt, deny: [try CIDR("198.51.100.0/24")])
        let denied: Endpoint.Address = try #require(Endpoint.Address(text: "198.51.100.1"))
        #expect(denying.verdict(visitor: denied, authorization: ["Basic dTpw"]) == .forbidden)
    }

    @Test func `nobody knows whom an address rule would be about when the address is disputed`() throws {
        for policy in [TunnelPolicy(allow: [try CIDR("0.0.0.0/0"), try CIDR("::/0")]), TunnelPolicy(deny: [try CIDR("192.0.2.1")])] {
            #expect(policy.verdict(visitor: nil, authorization: []) == .forbidden)
        }
        #expect(TunnelPolicy(maximumBodyBytes: 5).verdict(visitor: nil, authorization: []) == .allowed)
    }

    @Test func `a policy comes over the wire as it was, and without the password`() throws {
        let policy = TunnelPolicy(
            credentials: ["user:secret-word"], salt: Self.salt, allow: [try CIDR("10.0.0.0/8")], deny: [try CIDR("2001:db8::1")], maximumBodyBytes: 5)
        let bytes = policy.encoded()
        #expect(try TunnelPolicy(decoding: bytes) == policy)
        #expect(!String(decoding: bytes.readableBytesView, as: UTF8.self).contains("secret-word"))
        #expect(try TunnelPolicy(decoding: ByteBuffer()).isEmpty)
        // A cut between two rules leaves a whole policy; it is LISTEN that says how long it is. Anywhere else it is refused.
        let whole = (0..<bytes.readableBytes).filter { count in
            (try? TunnelPolicy(decoding: bytes.getSlice(at: 0, length: count) ?? ByteBuffer())) != nil
        }
        #expect(whole.count == 4)
    }

    private static let refused: [(rule: String, bytes: [UInt8])] = [
        ("a rule nobody knows", [6, 0]), ("a credential without a salt", [2, 32] + [UInt8](repeating: 0, count: 32)),
        ("a salt without a credential", [1, 1, 0]), ("an empty salt", [1, 0]), ("a credential of 31 bytes", [2, 31] + [UInt8](repeating: 0, count: 31)),
        ("a network that is none", [3, 1, 0x61]), ("an address inside of a network", [3, 10] + Array("10.1.2.3/8".utf8)),
        ("a size that is none", [5, 0]), ("a size with something behind it", [5, 2, 1, 1]), ("two sizes", [5, 1, 1, 5, 1, 1]),
        ("a length beyond the end", [3, 9, 0x31]), ("a key alone", [3]),
        ("more bytes than allowed", Array([[3, 8], Array("10.0.0.1".utf8)].joined()) + [UInt8](repeating: 0x40, count: 8_192)),
    ]

    @Test(arguments: refused.indices) func `a policy that is not wholly understood is refused`(index: Int) {
        let (rule, bytes) = Self.refused[index]
        #expect(throws: MalformedPolicy.self, "\(rule)") { try TunnelPolicy(decoding: ByteBuffer(bytes: bytes)) }
    }
}

struct TunnelNameTests {
    @Test func `a label is made of small letters, digits and hyphens`() {
        for label in ["a", "app", "calm-otter-7f3a", "0", "xn--bcher-kva", String(repeating: "a", count: 63)] { #expect(TunnelName.isLabel(label), "\(label)") }
        for text in ["", "-a", "a-", "A", "a.b", "a_b", "ä", "a b", "ab--c", String(repeating: "a", count: 64), "*"] { #expect(!TunnelName.isLabel(text), "\(text)") }
    }

    @Test func `a host name has one spelling`() {
        #expect(TunnelName.normalizedHost("App.Example.COM.") == "app.example.com")
        #expect(TunnelName.normalizedHost("localhost") == "localhost")
        for text in ["", ".", "a..b", ".a", "a..", "1.2.3.4", "a.123", "[::1]", "a:80", "a b", "*.a", String(repeating: "a.", count: 127) + "ab"] {
            #expect(TunnelName.normalizedHost(text) == nil, "\(text)")
        }
    }

    @Test func `a readable name is a label, the same for the same digest, seldom for another`() {
        var names: Set<String> = []
        for number in 0..<2_000 as Range<UInt64> {
            let digest = (0..<8).map { UInt8(truncatingIfNeeded: (number &* 0x9E37_79B9_7F4A_7C15) >> UInt64($0 * 8)) }
            let name = TunnelName.readable(from: digest)
            #expect(TunnelName.isLabel(name) && name == TunnelName.readable(from: digest) && name.split(separator: "-").count == 3)
            names.insert(name)
        }
        #expect(names.count > 1_990)
        #expect(TunnelName.isLabel(TunnelName.readable(from: [])))
    }
}

struct ClientHelloTests {
    /// What OpenSSL's client sends, in the first record of its connection.
    private static func hello(_ title: String) throws -> [UInt8] {
        try #require(try fuzzFixtures("client-hello")[title]).dropFirst().map { $0 }
    }

    @Test func `the name is read at every split point, and no earlier than it is whole`() throws {
        let bytes = try Self.hello("one record")
        for split in 0...bytes.count {
            var hello = ClientHello()
            let first = hello.receive(ByteBuffer(bytes: bytes[..<split]))
            #expect(first == (split < bytes.count ? .wantsMore : .name("app.example.com")))
            #expect(hello.receive(ByteBuffer(bytes: bytes[split...])) == .name("app.example.com"))
        }
    }

    @Test func `a hello over many records, one without a name, and one of TLS 1.2`() throws {
        var hello = ClientHello()
        #expect(hello.receive(ByteBuffer(bytes: try Self.hello("in records of 100 bytes"))) == .name("app.example.com"))
        hello = ClientHello()
        #expect(hello.receive(ByteBuffer(bytes: try Self.hello("without a name"))) == .noName)
        hello = ClientHello()
        #expect(hello.receive(ByteBuffer(bytes: try Self.hello("TLS 1.2"))) == .name("app.example.com"))
    }

    @Test(arguments: [
        Array("GET / HTTP/1.1\r\n".utf8), [0x80, 0x2E], [22, 2], [22, 3, 5], [21, 3, 1], [22, 3, 1, 0, 0], [22, 3, 1, 0x40, 1],
        [22, 3, 1, 0, 1, 2], [22, 3, 1, 0, 4, 1, 1, 0, 0],
    ] as [[UInt8]]) func `what is not a ClientHello is told from one at once`(bytes: [UInt8]) {
        var hello = ClientHello()
        #expect(hello.receive(ByteBuffer(bytes: bytes)) == .notTLS)
    }

    @Test func `a hello that never ends is given up`() {
        var (hello, progress, sent) = (ClientHello(), ClientHello.Progress.wantsMore, 0)
        _ = hello.receive(ByteBuffer(bytes: [22, 3, 1, 0, 4, 1, 0, 0x40, 0]))
        while progress == .wantsMore, sent < 10_000 {
            progress = hello.receive(ByteBuffer(bytes: [22, 3, 1, 0, 1, 0]))
            sent += 1
        }
        #expect(progress == .notTLS && sent * 6 <= ClientHello.heldBytes)
    }
}
