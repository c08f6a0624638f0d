import HTTPMessages
import NIOCore
import NIOHTTP1
import Testing

private func judge(_ text: String, to method: HTTPMethod = .GET, askedForUpgrade: Bool = false) throws -> JudgedResponse? {
    guard let head = try responses(in: text, to: method).heads.first else { return nil }
    return try JudgedResponse(head, toMethod: method.rawValue, askedForUpgrade: askedForUpgrade)
}

struct JudgedResponseTests {
    private static func ok(_ fields: String..., line: String = "HTTP/1.1 200 OK") -> String {
        "\(line)\r\n\(fields.map { $0 + "\r\n" }.joined())\r\n"
    }

    /// A rule, and whether the decoder sees to it or the rules do.
    private static let refused: [(rule: String, response: String, byDecoder: Bool)] = [
        ("bare LF", "HTTP/1.1 200 OK\nContent-Length: 0\n\n", true),
        ("bare LF behind a field", "HTTP/1.1 200 OK\r\nX: a\nContent-Length: 0\r\n\r\n", true),
        ("bare LF as the empty line", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\n", true),
        ("obs-fold", ok("X: a\r\n b"), true),
        ("a blank before the colon", ok("X : a"), true),
        ("NUL in a value", ok("X: a\0"), true),
        ("bare CR in the status line", ok(line: "HTTP/1.1 200 O\rK"), true),
        ("a status of four digits", ok(line: "HTTP/1.1 2000 OK"), true),
        ("a status of two digits", ok(line: "HTTP/1.1 20 OK"), true),
        ("two blanks before the status", ok(line: "HTTP/1.1  200 OK"), true),
        ("no HTTP at all", "hello world\r\n\r\n", true),
        ("HTTP/1.2", ok(line: "HTTP/1.2 200 OK"), true),
        ("both lengths", ok("Content-Length: 3", "Transfer-Encoding: chunked"), true),
        ("both lengths, the other way round", ok("Transfer-Encoding: chunked", "Content-Length: 3"), true),
        ("Content-Length twice", ok("Content-Length: 3", "Content-Length: 3"), true),
        ("a list as Content-Length", ok("Content-Length: 3, 3"), true),
        ("status 600", ok(line: "HTTP/1.1 600 OK"), false),
        ("status 099", ok(line: "HTTP/1.1 099 OK"), false),
        ("Transfer-Encoding: gzip", ok("Transfer-Encoding: gzip"), false),
        ("Transfer-Encoding: gzip, chunked", ok("Transfer-Encoding: gzip, chunked"), false),
        ("Transfer-Encoding: chunked, gzip", ok("Transfer-Encoding: chunked, gzip"), false),
        ("Transfer-Encoding in HTTP/1.0", ok("Transfer-Encoding: chunked", line: "HTTP/1.0 200 OK"), false),
        ("a body's length in a 103", ok("Content-Length: 3", line: "HTTP/1.1 103 Early Hints"), false),
        ("a 101 that nobody asked for", ok("Connection: upgrade", "Upgrade: x", line: "HTTP/1.1 101 Switching"), false),
        ("129 fields", ok((1...129).map { "X-\($0): y" }.joined(separator: "\r\n")), false),
    ]

    @Test(arguments: refused.indices) func `a response that breaks a rule is refused`(index: Int) throws {
        let (rule, response, byDecoder) = Self.refused[index]
        if byDecoder {
            #expect(try judge(response) == nil, "\(rule)")
        } else {
            let refusal = #expect(throws: MessageRefusal.self, "\(rule)") { try judge(response) }
            #expect(refusal?.status == 502)
        }
    }

    @Test func `a 101 has to say what is spoken from here on`() throws {
        let switching = "HTTP/1.1 101 Switching Protocols"
        let judged = try #require(try judge(Self.ok("Connection: Upgrade", "Upgrade: websocket", line: switching), askedForUpgrade: true))
        #expect(judged.isUpgrade && !judged.hasBody && judged.fields["Upgrade"] == ["websocket"])
        #expect(throws: MessageRefusal.self) { try judge(Self.ok(line: switching), askedForUpgrade: true) }
        #expect(throws: MessageRefusal.self) { try judge(Self.ok("Upgrade: x", line: switching), askedForUpgrade: true) }
    }

    @Test func `a body is as long as the head says, or goes on to the end of the connection`() throws {
        let known = try #require(try judge(Self.ok("Content-Length: 3")))
        #expect(known.body == .bytes(3) && known.hasBody && known.keepsAlive)
        let chunked = try #require(try judge(Self.ok("Transfer-Encoding: chunked")))
        #expect(chunked.body == .unknown && chunked.hasBody && chunked.keepsAlive)
        let open = try #require(try judge(Self.ok()))
        #expect(open.body == .unknown && open.hasBody && !open.keepsAlive)
        let old = try #require(try judge(Self.ok("Content-Length: 3", line: "HTTP/1.0 200 OK")))
        #expect(!old.keepsAlive)
    }

    @Test func `nothing follows the answer to HEAD, a 204, a 304 or a 1xx`() throws {
        let head = try #require(try judge(Self.ok("Content-Length: 3"), to: .HEAD))
        #expect(head.body == .bytes(3) && !head.hasBody && head.keepsAlive)
        let bare = try #require(try judge(Self.ok(), to: .HEAD))
        #expect(bare.body == .none && !bare.hasBody && bare.keepsAlive)
        let unchanged = try #require(try judge(Self.ok("Content-Length: 3", line: "HTTP/1.1 304 Not Modified")))
        #expect(unchanged.body == .bytes(3) && !unchanged.hasBody && unchanged.keepsAlive)
        let empty = try #require(try judge(Self.ok(line: "HTTP/1.1 204 No Content")))
        #expect(empty.body == .none && !empty.hasBody && empty.keepsAlive)
        let hints = try #require(try judge(Self.ok("Link: x", line: "HTTP/1.1 103 Early Hints")))
        #expect(hints.body == .none && !hints.hasBody && hints.fields.contains(name: "Link"))
    }

    @Test(arguments: ["HTTP/1.1 204 No Content", "HTTP/1.1 304 Not Modified"])
    func `a connection on which a forbidden body may follow is not used again`(line: String) throws {
        #expect(try judge(Self.ok("Transfer-Encoding: chunked", line: line))?.keepsAlive == false)
    }

    @Test func `fields of the service's connection stay behind`() throws {
        let judged = try #require(
            try judge(Self.ok("Connection: close, Thing", "Keep-Alive: timeout=5", "Upgrade: h2c", "Thing: 1", "Set-Cookie: a", "set-cookie: b", "Content-Length: 0")))
        #expect(judged.fields.map(\.name) == ["Set-Cookie", "set-cookie"])
        #expect(!judged.keepsAlive)
    }
}
