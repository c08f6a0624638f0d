import Intermediaries
import NIOCore
import Testing
import TunnelProtocol

/// The PROXY protocol, both versions: HAProxy's doc/proxy-protocol.txt, §2.1 and §2.2.
@Suite struct ProxyHeaderTests {
    static let both: Set<ProxyVersion> = [.v1, .v2]
    static let signature: [UInt8] = [0x0D, 0x0A, 0x0D, 0x0A, 0x00, 0x0D, 0x0A, 0x51, 0x55, 0x49, 0x54, 0x0A]

    static func addresses(_ source: String, _ sourcePort: UInt16, _ destination: String, _ port: UInt16) throws -> ProxyHeader {
        ProxyHeader(
            .init(
                source: Endpoint(try address(source), port: sourcePort),
                destination: Endpoint(try address(destination), port: port)))
    }

    /// What the pieces come to: a header, and what is left behind it.
    static func decode(
        _ pieces: [[UInt8]], accepting versions: Set<ProxyVersion> = Self.both
    ) throws(ProxyHeaderError) -> (header: ProxyHeader, left: [UInt8])? {
        var decoder = ProxyHeaderDecoder(accepting: versions)
        var found: (header: ProxyHeader, left: [UInt8])?
        for piece in pieces {
            if found != nil {
                found?.left += piece
                continue
            }
            var buffer = ByteBuffer(bytes: piece)
            guard let header = try decoder.receive(&buffer) else {
                #expect(buffer.readableBytes == 0, "bytes are left without a header")
                continue
            }
            found = (header, Array(buffer.readableBytesView))
        }
        return found
    }

    struct Example: Sendable, CustomTestStringConvertible {
        let testDescription: String
        let bytes: [UInt8]
        /// `nil`: the connection's own addresses hold.
        let means: String?

        init(_ testDescription: String, _ line: String, _ means: String?) {
            self.init(testDescription, Array(line.utf8), means)
        }

        init(_ testDescription: String, _ bytes: [UInt8], _ means: String?) {
            self.testDescription = testDescription
            self.bytes = bytes
            self.means = means
        }
    }

    static let examples = [
        Example("TCP4", "PROXY TCP4 203.0.113.9 192.0.2.1 41234 443\r\n", "203.0.113.9:41234 192.0.2.1:443"),
        Example("TCP4, the smallest", "PROXY TCP4 0.0.0.0 0.0.0.0 0 0\r\n", "0.0.0.0:0 0.0.0.0:0"),
        Example(
            "TCP6, the longest line",
            "PROXY TCP6 ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535\r\n",
            "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535 [ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535"),
        Example("TCP6, shortened", "PROXY TCP6 2001:db8::1 ::1 1 2\r\n", "[2001:db8:0:0:0:0:0:1]:1 [0:0:0:0:0:0:0:1]:2"),
        Example("TCP6, mapped", "PROXY TCP6 ::ffff:203.0.113.9 ::1 1 2\r\n", "203.0.113.9:1 [0:0:0:0:0:0:0:1]:2"),
        Example("UNKNOWN", "PROXY UNKNOWN\r\n", nil),
        Example(
            "UNKNOWN, and as much as fits", "PROXY UNKNOWN " + String(repeating: "f", count: 91) + "\r\n", nil),
        Example(
            "v2, TCP4", signature + [0x21, 0x11, 0, 12, 203, 0, 113, 9, 192, 0, 2, 1, 0xA1, 0x12, 0x01, 0xBB],
            "203.0.113.9:41234 192.0.2.1:443"),
        Example(
            "v2, TCP6",
            signature + [0x21, 0x21, 0, 36] + [0x20, 0x01, 0x0D, 0xB8] + [UInt8](repeating: 0, count: 11) + [1]
                + [UInt8](repeating: 0, count: 15) + [1] + [0, 1, 0xFF, 0xFF],
            "[2001:db8:0:0:0:0:0:1]:1 [0:0:0:0:0:0:0:1]:65535"),
        Example(
            "v2, TCP4 with TLVs",
            signature + [0x21, 0x11, 0, 19, 203, 0, 113, 9, 192, 0, 2, 1, 0xA1, 0x12, 0x01, 0xBB, 4, 0, 4, 1, 2, 3, 4],
            "203.0.113.9:41234 192.0.2.1:443"),
        Example("v2, LOCAL", signature + [0x20, 0x00, 0, 0], nil),
        Example("v2, LOCAL with a family and bytes to skip", signature + [0x20, 0x11, 0, 3, 1, 2, 3], nil),
        Example("v2, UNSPEC with bytes to skip", signature + [0x21, 0x00, 0, 2, 1, 2], nil),
        Example("v2, UNIX stream", signature + [0x21, 0x31, 0, 216] + [UInt8](repeating: 7, count: 216), nil),
    ]

    @Test(arguments: examples) func `a header is read however it is cut, and not a byte behind it`(example: Example) throws {
        let behind = Array("PROXY hello\r\n".utf8)
        let bytes = example.bytes + behind
        for cut in 0...bytes.count {
            let found = try #require(try Self.decode([Array(bytes[..<cut]), Array(bytes[cut...])]))
            #expect(found.header.addresses.map { "\($0.source) \($0.destination)" } == example.means)
            #expect(found.left == behind)
        }
        let found = try #require(try Self.decode(bytes.map { [$0] }))
        #expect(found.header.addresses.map { "\($0.source) \($0.destination)" } == example.means)
        #expect(found.left == behind)
    }

    @Test(arguments: examples) func `a header that is not whole is waited for`(example: Example) throws {
        for count in 0..<example.bytes.count { #expect(try Self.decode([Array(example.bytes.prefix(count))]) == nil) }
    }

    @Test func `the longest TLVs are passed over and not held`() throws {
        let addresses: [UInt8] = [1, 2, 3, 4, 5, 6, 7, 8, 0, 9, 0, 10]
        let header = Self.signature + [0x21, 0x11, 0xFF, 0xFF] + addresses + [UInt8](repeating: 0, count: 65_535 - 12)
        let found = try #require(try Self.decode([header + [42]]))
        #expect(found.header.addresses?.source.description == "1.2.3.4:9")
        #expect(found.left == [42])
    }

    @Test(arguments: [
        ("GET / HTTP/1.1\r\n", ProxyHeaderError.missing), ("\u{16}\u{3}\u{1}", .missing), ("PROXX", .missing), ("PROXY\r\n", .missing),
        ("proxy TCP4", .missing), ("\r\n\r\nGET", .missing),
        ("PROXY \r\n", .malformedLine("is for neither TCP4, TCP6 nor UNKNOWN")),
        ("PROXY UDP4 1.2.3.4 1.2.3.4 1 1\r\n", .malformedLine("is for neither TCP4, TCP6 nor UNKNOWN")),
        ("PROXY tcp4 1.2.3.4 1.2.3.4 1 1\r\n", .malformedLine("is for neither TCP4, TCP6 nor UNKNOWN")),
        ("PROXY TCP4\r\n", .malformedLine("does not have two addresses and two ports")),
        ("PROXY TCP4 1.2.3.4 1.2.3.4 1\r\n", .malformedLine("does not have two addresses and two ports")),
        ("PROXY TCP4  1.2.3.4 1.2.3.4 1 1\r\n", .malformedLine("does not have two addresses and two ports")),
        ("PROXY TCP4 1.2.3.4 1.2.3.4 1 1 \r\n", .malformedLine("does not have two addresses and two ports")),
        ("PROXY TCP4 1.2.3 1.2.3.4 1 1\r\n", .malformedLine("has something else where an address of TCP4 belongs")),
        ("PROXY TCP4 ::1 ::1 1 1\r\n", .malformedLine("has something else where an address of TCP4 belongs")),
        ("PROXY TCP6 1.2.3.4 1.2.3.4 1 1\r\n", .malformedLine("has something else where an address of TCP6 belongs")),
        ("PROXY TCP4 1.2.3.4 1.2.3.4 65536 1\r\n", .malformedLine("has something else where a port belongs")),
        ("PROXY TCP4 1.2.3.4 1.2.3.4 01 1\r\n", .malformedLine("has something else where a port belongs")),
        ("PROXY TCP4 1.2.3.4 1.2.3.4 -1 1\r\n", .malformedLine("has something else where a port belongs")),
        ("PROXY UNKNOWN\n", .malformedLine("has an LF without CR")),
        ("PROXY UNKNOWN\rx", .malformedLine("has a CR without LF")),
    ])
    func `what is no header is refused with its reason`(text: String, error: ProxyHeaderError) {
        for pieces in [[Array(text.utf8)], text.utf8.map { [$0] }] {
            #expect(throws: error) { try Self.decode(pieces) }
        }
        #expect(!error.sentence.isEmpty)
    }

    @Test(arguments: [
        ([0x11, 0x11, 0, 12], ProxyHeaderError.version(1)), ([0x31, 0x11, 0, 12], .version(3)), ([0x22, 0x11, 0, 12], .command(2)),
        ([0x21, 0x12, 0, 12], .family(0x12)), ([0x21, 0x22, 0, 36], .family(0x22)), ([0x21, 0x32, 0, 216], .family(0x32)),
        ([0x21, 0x41, 0, 12], .family(0x41)), ([0x21, 0x11, 0, 11], .tooShort(length: 11)),
        ([0x21, 0x21, 0, 35], .tooShort(length: 35)), ([0x21, 0x11, 0, 0], .tooShort(length: 0)),
    ] as [([UInt8], ProxyHeaderError)])
    func `a header of version 2 that cannot be right is refused`(rest: [UInt8], error: ProxyHeaderError) {
        let bytes = Self.signature + rest + [UInt8](repeating: 0, count: 300)
        for pieces in [[bytes], bytes.map { [$0] }] { #expect(throws: error) { try Self.decode(pieces) } }
        #expect(!error.sentence.isEmpty)
    }

    @Test func `a line is 107 bytes at most`() throws {
        let longest = "PROXY UNKNOWN " + String(repeating: "f", count: 91) + "\r\n"
        #expect(longest.utf8.count == 107)
        #expect(throws: ProxyHeaderError.lineTooLong) { try Self.decode([Array(longest.replacing("\r\n", with: "f\r\n").utf8)]) }
        // Not a byte later: nothing more is held.
        #expect(throws: ProxyHeaderError.lineTooLong) { try Self.decode([Array(("PROXY " + String(repeating: "f", count: 101)).utf8)]) }
        #expect(try Self.decode([Array(("PROXY " + String(repeating: "f", count: 100)).utf8)]) == nil)
    }

    @Test(arguments: [ProxyVersion.v1, .v2]) func `one version does where one is accepted`(version: ProxyVersion) throws {
        let other = ProxyVersion.allCases.first { $0 != version } ?? version
        var bytes = ByteBuffer()
        ProxyHeader(nil).encode(version, into: &bytes)
        #expect(try Self.decode([Array(bytes.readableBytesView)], accepting: [version])?.header == ProxyHeader(nil))
        #expect(throws: ProxyHeaderError.missing) { try Self.decode([Array(bytes.readableBytesView)], accepting: [other]) }
    }

    @Test func `a decoder that has failed fails again`() {
        var decoder = ProxyHeaderDecoder(accepting: Self.both)
        for bytes in ["X", "PROXY UNKNOWN\r\n"] {
            var buffer = ByteBuffer(string: bytes)
            #expect(throws: ProxyHeaderError.missing) { try decoder.receive(&buffer) }
        }
    }

    // MARK: Writing

    @Test func `headers are written as the specification has them`() throws {
        func text(_ header: ProxyHeader) -> String {
            var buffer = ByteBuffer()
            header.encode(.v1, into: &buffer)
            return String(buffer: buffer)
        }
        func bytes(_ header: ProxyHeader) -> [UInt8] {
            var buffer = ByteBuffer()
            header.encode(.v2, into: &buffer)
            return Array(buffer.readableBytesView)
        }
        let four = try Self.addresses("203.0.113.9", 41_234, "192.0.2.1", 443)
        #expect(text(four) == "PROXY TCP4 203.0.113.9 192.0.2.1 41234 443\r\n")
        #expect(bytes(four) == Self.signature + [0x21, 0x11, 0, 12, 203, 0, 113, 9, 192, 0, 2, 1, 0xA1, 0x12, 0x01, 0xBB])
        let six = try Self.addresses("2001:db8::1", 1, "::1", 2)
        #expect(text(six) == "PROXY TCP6 2001:db8:0:0:0:0:0:1 0:0:0:0:0:0:0:1 1 2\r\n")
        #expect(bytes(six).prefix(16) == (Self.signature + [0x21, 0x21, 0, 36])[...])
        #expect(text(ProxyHeader(nil)) == "PROXY UNKNOWN\r\n")
        #expect(bytes(ProxyHeader(nil)) == Self.signature + [0x20, 0x00, 0, 0])
        // One kind of address for both.
        let mixed = try Self.addresses("203.0.113.9", 1, "2001:db8::1", 2)
        #expect(text(mixed) == "PROXY TCP6 0:0:0:0:0:ffff:cb00:7109 2001:db8:0:0:0:0:0:1 1 2\r\n")
        #expect(bytes(mixed)[13] == 0x21)
    }

    @Test(arguments: [ProxyVersion.v1, .v2]) func `what is written is read as the same`(version: ProxyVersion) throws {
        let headers = [
            ProxyHeader(nil), try Self.addresses("203.0.113.9", 41_234, "192.0.2.1", 443), try Self.addresses("::1", 0, "ff::", 65_535),
            try Self.addresses("203.0.113.9", 1, "2001:db8::1", 2), try Self.addresses("2001:db8::1", 1, "203.0.113.9", 2),
        ]
        for header in headers {
            var buffer = ByteBuffer()
            header.encode(version, into: &buffer)
            let found = try #require(try Self.decode([Array(buffer.readableBytesView)]))
            #expect(found.header == header)
            #expect(found.left.isEmpty)
        }
    }
}
