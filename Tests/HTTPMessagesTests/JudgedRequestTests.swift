import HTTPMessages
import NIOCore
import NIOHTTP1
import Testing

/// What the server makes of a visitor's bytes: NIO's decoder, then the rules.
private enum Outcome: Equatable, CustomTestStringConvertible {
    /// The decoder gives no head.
    case decoder
    /// The rules refuse the head that the decoder gives.
    case rules(UInt16)
    /// The decoder gives a head that is passed on, and fails in the body.
    case body
    case passed

    var testDescription: String { "\(self)" }
}

private func outcome(of text: String) throws -> Outcome {
    let readings = try requests(in: text)
    guard let head = readings.heads.first else { return .decoder }
    do throws(MessageRefusal) {
        _ = try JudgedRequest(head)
    } catch {
        return .rules(error.status)
    }
    return readings.hasError ? .body : .passed
}

private func judge(_ text: String) throws -> JudgedRequest {
    let head = try #require(try requests(in: text).heads.first)
    return try JudgedRequest(head)
}

struct JudgedRequestTests {
    /// A request by its fields, with a path of no interest.
    private static func get(_ fields: String..., line: String = "GET / HTTP/1.1", host: String = "Host: a\r\n") -> String {
        "\(line)\r\n\(host)\(fields.map { $0 + "\r\n" }.joined())\r\n"
    }

    /// Who refuses what: a rule, a request that breaks it, and where that is found.
    private static let refused: [(rule: String, request: String, by: Outcome)] = [
        ("bare LF behind the request line", "GET / HTTP/1.1\nHost: a\r\n\r\n", .decoder),
        ("bare LF behind a field", "GET / HTTP/1.1\r\nHost: a\nX: y\r\n\r\n", .decoder),
        ("bare LF as the empty line", "GET / HTTP/1.1\r\nHost: a\r\n\n", .decoder),
        ("bare CR as a line end", "GET / HTTP/1.1\rHost: a\r\n\r\n", .decoder),
        ("bare CR in a value", get("X: a\rb"), .decoder),
        ("two CRs", get("X: a\r"), .decoder),
        ("obs-fold", get("X: a\r\n b"), .decoder),
        ("obs-fold with a tab", get("X: a\r\n\tb"), .decoder),
        ("a folded Transfer-Encoding", get("Transfer-Encoding:\r\n chunked"), .decoder),
        ("a blank before the first field", "GET / HTTP/1.1\r\n Host: a\r\n\r\n", .decoder),
        ("a blank before the colon", get("X : a"), .decoder),
        ("a tab before the colon", get("X\t: a"), .decoder),
        ("Content-Length with a blank before the colon", get("Content-Length : 3"), .decoder),
        ("a blank in a name", get("X Y: a"), .decoder),
        ("a field without a colon", get("X"), .decoder),
        ("a field without a name", get(": a"), .decoder),
        ("NUL in a value", get("X: a\0b"), .decoder),
        ("NUL in a name", get("X\0: a"), .decoder),
        ("NUL in the target", get(line: "GET /\0 HTTP/1.1"), .decoder),
        ("DEL in a value", get("X: a\u{7F}"), .decoder),
        ("a tab in the request line", get(line: "GET\t/ HTTP/1.1"), .decoder),
        ("a blank behind the version", get(line: "GET / HTTP/1.1 "), .decoder),
        ("a blank before the method", get(line: " GET / HTTP/1.1"), .decoder),
        ("HTTP/0.9", "GET /\r\n\r\n", .decoder),
        ("HTTP/1.2", get(line: "GET / HTTP/1.2"), .decoder),
        ("HTTP/2.0", get(line: "GET / HTTP/2.0"), .decoder),
        ("the preface of HTTP/2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", .decoder),
        ("a version in small letters", get(line: "GET / http/1.1"), .decoder),
        ("a method nobody knows", get(line: "FOO / HTTP/1.1"), .decoder),
        ("both lengths", get("Content-Length: 3", "Transfer-Encoding: chunked"), .decoder),
        ("both lengths, the other way round", get("Transfer-Encoding: chunked", "Content-Length: 3"), .decoder),
        ("Content-Length twice", get("Content-Length: 3", "Content-Length: 3"), .decoder),
        ("two different Content-Lengths", get("Content-Length: 3", "Content-Length: 4"), .decoder),
        ("a list as Content-Length", get("Content-Length: 3, 3"), .decoder),
        ("a sign in Content-Length", get("Content-Length: +3"), .decoder),
        ("a negative Content-Length", get("Content-Length: -3"), .decoder),
        ("a blank in Content-Length", get("Content-Length: 3 3"), .decoder),
        ("an empty Content-Length", get("Content-Length: "), .decoder),
        ("a hexadecimal Content-Length", get("Content-Length: 0x3"), .decoder),
        ("a Content-Length beyond 64 bits", get("Content-Length: 99999999999999999999"), .decoder),
        ("a Content-Length beyond 62 bits", get("Content-Length: 9223372036854775807"), .rules(413)),
        ("Transfer-Encoding: gzip", get("Transfer-Encoding: gzip"), .rules(400)),
        ("Transfer-Encoding: gzip, chunked", get("Transfer-Encoding: gzip, chunked"), .rules(400)),
        ("Transfer-Encoding: identity", get("Transfer-Encoding: identity"), .rules(400)),
        ("Transfer-Encoding: xchunked", get("Transfer-Encoding: xchunked"), .rules(400)),
        ("Transfer-Encoding: \"chunked\"", get("Transfer-Encoding: \"chunked\""), .rules(400)),
        ("an empty Transfer-Encoding", get("Transfer-Encoding: "), .rules(400)),
        ("Transfer-Encoding with a vertical tab", get("Transfer-Encoding: \u{0B}chunked"), .decoder),
        ("Transfer-Encoding: chunked, chunked", get("Transfer-Encoding: chunked, chunked"), .decoder),
        ("Transfer-Encoding twice", get("Transfer-Encoding: chunked", "Transfer-Encoding: identity"), .decoder),
        ("Transfer-Encoding twice, chunked last", get("Transfer-Encoding: identity", "Transfer-Encoding: chunked"), .rules(400)),
        ("Transfer-Encoding in HTTP/1.0", get("Transfer-Encoding: chunked", line: "POST / HTTP/1.0"), .rules(400)),
        ("no Host", get(host: ""), .rules(400)),
        ("an empty Host", get(host: "Host: \r\n"), .rules(400)),
        ("an empty Host in HTTP/1.0", get(line: "GET / HTTP/1.0", host: "Host:\r\n"), .rules(400)),
        ("two Hosts", get("Host: b"), .rules(400)),
        ("the same Host twice", get("Host: a"), .rules(400)),
        ("two Hosts, the second in capitals", get("HOST: b"), .rules(400)),
        ("a list as Host", get(host: "Host: a,b\r\n"), .rules(400)),
        ("a blank in Host", get(host: "Host: a b\r\n"), .rules(400)),
        ("a user in Host", get(host: "Host: u@a\r\n"), .rules(400)),
        ("a path in Host", get(host: "Host: a/b\r\n"), .rules(400)),
        ("an escape in Host", get(host: "Host: a%2eb\r\n"), .rules(400)),
        ("an empty label in Host", get(host: "Host: a..b\r\n"), .rules(400)),
        ("a dot alone as Host", get(host: "Host: .\r\n"), .rules(400)),
        ("a port alone as Host", get(host: "Host: :80\r\n"), .rules(400)),
        ("a port that is no number", get(host: "Host: a:b\r\n"), .rules(400)),
        ("a port beyond 65535", get(host: "Host: a:65536\r\n"), .rules(400)),
        ("a port of many zeros", get(host: "Host: a:000080\r\n"), .rules(400)),
        ("an open bracket in Host", get(host: "Host: [::1\r\n"), .rules(400)),
        ("something behind the bracket", get(host: "Host: [::1]a\r\n"), .rules(400)),
        ("a Host beyond all names", get(host: "Host: \(String(repeating: "a", count: 254))\r\n"), .rules(400)),
        ("CONNECT", get(line: "CONNECT a:1 HTTP/1.1", host: "Host: a:1\r\n"), .rules(501)),
        ("authority-form", get(line: "GET a:80 HTTP/1.1"), .decoder),
        ("a target without a slash", get(line: "GET foo HTTP/1.1"), .decoder),
        ("* for GET", get(line: "GET * HTTP/1.1"), .rules(400)),
        ("an absolute target of another scheme", get(line: "GET ftp://a/ HTTP/1.1"), .rules(400)),
        ("an absolute target of another host", get(line: "GET http://b/ HTTP/1.1"), .rules(400)),
        ("an absolute target of another port", get(line: "GET http://a:8080/ HTTP/1.1"), .rules(400)),
        ("an absolute target with a user", get(line: "GET http://u@a/ HTTP/1.1"), .rules(400)),
        ("an absolute target without a host", get(line: "GET http:///a HTTP/1.1"), .rules(400)),
        ("a fragment", get(line: "GET /a#b HTTP/1.1"), .rules(400)),
        ("an expectation nobody knows", get("Expect: 200-ok", "Content-Length: 3"), .rules(417)),
        ("Connection with something that is no token", get("Connection: clo se"), .rules(400)),
        ("129 fields", get((1...128).map { "X-\($0): y" }.joined(separator: "\r\n")), .rules(431)),
        ("a head beyond its limit", get((1...9).map { "X-\($0): \(String(repeating: "y", count: 8_000))" }.joined(separator: "\r\n")), .rules(431)),
    ]

    @Test(arguments: refused.indices) func `a request that breaks a rule is refused`(index: Int) throws {
        let (rule, request, by) = Self.refused[index]
        #expect(try outcome(of: request) == by, "\(rule)")
    }

    /// What the decoder lets pass, and why that harms nobody: the request that is written from it is a plain one.
    private static let tolerated: [(what: String, request: String)] = [
        ("empty lines before a request (RFC 9112 §2.2)", "\r\n\r\n" + get()),
        ("bare LFs before a request", "\n\n" + get()),
        ("two blanks in the request line", get(line: "GET  / HTTP/1.1")),
        ("two blanks before the version", get(line: "GET /  HTTP/1.1")),
        ("blanks around a value", get("X: \t a \t ", host: "Host: \t a \t\r\n")),
        ("a value of blanks alone", get("X:  \t ")),
        ("a blank behind Content-Length", get("Content-Length: 0 ")),
        ("an extension of a chunk", get("Transfer-Encoding: chunked", line: "POST / HTTP/1.1") + "3;a=b\r\nabc\r\n0\r\n\r\n"),
        ("zeros before the size of a chunk", get("Transfer-Encoding: chunked", line: "POST / HTTP/1.1") + "0003\r\nabc\r\n0\r\n\r\n"),
        ("a chunked body in capitals", get("TRANSFER-ENCODING: CHUNKED", line: "POST / HTTP/1.1") + "0\r\n\r\n"),
    ]

    @Test(arguments: tolerated.indices) func `what is tolerated is passed on as one plain request`(index: Int) throws {
        let (what, text) = Self.tolerated[index]
        #expect(try outcome(of: text) == .passed, "\(what)")
        let request = try judge(text)
        #expect(request.host == "a" && request.target == "/" && request.fields.first?.value == "a", "\(what)")
    }

    /// Chunk lines, which decide where the next request begins.
    private static let brokenBodies: [(rule: String, body: String)] = [
        ("a blank behind the size", "3 \r\nabc\r\n0\r\n\r\n"),
        ("a blank before the size", " 3\r\nabc\r\n0\r\n\r\n"),
        ("a bare LF behind the size", "3\nabc\r\n0\r\n\r\n"),
        ("a bare LF in an extension", "3;a\nabc\r\n0\r\n\r\n"),
        ("a bare CR in an extension", "3;a\rb\r\nabc\r\n0\r\n\r\n"),
        ("a control character in an extension", "3;\u{1}\0\r\nabc\r\n0\r\n\r\n"),
        ("a bare LF behind the bytes", "3\r\nabc\n0\r\n\r\n"),
        ("a bare CR behind the bytes", "3\r\nabc\rx0\r\n\r\n"),
        ("more bytes than said", "3\r\nabcd\r\n0\r\n\r\n"),
        ("0x", "0x3\r\nabc\r\n0\r\n\r\n"),
        ("a sign", "+3\r\nabc\r\n0\r\n\r\n"),
        ("a size beyond 64 bits", "10000000000000003\r\nabc\r\n0\r\n\r\n"),
        ("a size beyond all numbers", "fffffffffffffffff\r\nabc\r\n0\r\n\r\n"),
        ("no size", "\r\nabc\r\n0\r\n\r\n"),
        ("a bare LF at the end", "0\r\n\n"),
        ("a bare LF behind the last size", "0\n\r\n"),
        ("a folded trailer", "0\r\nX: y\r\n z\r\n\r\n"),
        ("a bare LF behind a trailer", "0\r\nX: y\n\r\n"),
        ("a blank before a trailer's colon", "0\r\nX : y\r\n\r\n"),
        ("Content-Length as a trailer", "0\r\nContent-Length: 5\r\n\r\n"),
        ("Transfer-Encoding as a trailer", "0\r\nTransfer-Encoding: chunked\r\n\r\n"),
    ]

    @Test(arguments: brokenBodies.indices) func `a chunked body that breaks a rule has no end`(index: Int) throws {
        let (rule, body) = Self.brokenBodies[index]
        let readings = try requests(in: Self.get("Transfer-Encoding: chunked", line: "POST / HTTP/1.1") + body + Self.get())
        #expect(readings.hasError && readings.ends == 0 && readings.heads.count == 1, "\(rule)")
    }

    @Test func `a request keeps what is for the service, Host first`() throws {
        let request = try judge(
            "POST /a/b?c=d HTTP/1.1\r\nAccept: */*\r\nX-Two: 1\r\nhost: App.Example.com.:8080\r\nx-two: 2\r\nContent-Length: 3\r\n\r\nabc")
        #expect(request.host == "app.example.com")
        #expect(request.authority == "App.Example.com.:8080")
        #expect(request.method == "POST" && request.target == "/a/b?c=d")
        #expect(request.body == .bytes(3))
        #expect(request.keepsAlive && !request.isHTTP10 && !request.expectsContinue && request.upgrade == nil)
        #expect(request.fields.map { "\($0.name): \($0.value)" } == ["Host: App.Example.com.:8080", "Accept: */*", "X-Two: 1", "x-two: 2"])
    }

    @Test func `fields of the connection stay behind, and those that Connection names`() throws {
        let request = try judge(
            Self.get(
                "Connection: close, X-Hop, Thing", "Keep-Alive: timeout=5", "Proxy-Connection: keep-alive", "TE: trailers",
                "Upgrade: websocket", "Proxy-Authorization: Basic eA==", "Proxy: evil", "Thing: 1", "Other: 2", "HTTP2-Settings: x"))
        #expect(request.fields.map(\.name) == ["Host", "Other"])
        #expect(!request.keepsAlive)
    }

    @Test(arguments: ["Host", "X-Forwarded-For", "X-Real-IP", "Authorization", "Cookie", "Forwarded", "X-Internal-User", "content-type"])
    func `Connection cannot take away what is for the service`(name: String) throws {
        let request = try judge(Self.get("Connection: \(name)", name == "Host" ? "X: y" : "\(name): kept"))
        #expect(request.fields.contains(name: name))
    }

    @Test(arguments: ["Content_Length: 3", "Transfer_Encoding: chunked", "transfer_Encoding: chunked", "Proxy_Connection: x", "keep_alive: x"])
    func `a field of the connection in disguise is dropped`(field: String) throws {
        let request = try judge(Self.get(field))
        #expect(request.fields.map(\.name) == ["Host"] && request.body == .none)
    }

    @Test func `an absolute target that agrees with Host becomes a path`() throws {
        let cases = [
            ("GET http://a/x?y HTTP/1.1", "/x?y"), ("GET HTTP://A:80/x HTTP/1.1", "/x"), ("GET http://a HTTP/1.1", "/"),
            ("GET http://a?q HTTP/1.1", "/?q"), ("GET https://a./ HTTP/1.1", "/"), ("OPTIONS http://a HTTP/1.1", "*"),
            ("OPTIONS * HTTP/1.1", "*"),
        ]
        for (line, target) in cases { #expect(try judge(Self.get(line: line)).target == target, "\(line)") }
    }

    @Test func `an HTTP/1.0 request may have no Host, and keeps alive when it says so`() throws {
        let bare = try judge("GET / HTTP/1.0\r\n\r\n")
        #expect(bare.host.isEmpty && bare.authority.isEmpty && bare.isHTTP10 && !bare.keepsAlive && bare.fields.isEmpty)
        #expect(try judge("GET http://b/ HTTP/1.0\r\n\r\n").host == "b")
        #expect(try judge(Self.get("Connection: Keep-Alive", line: "GET / HTTP/1.0")).keepsAlive)
    }

    @Test func `a 100 is waited for by HTTP/1.1 alone, and only with a body to come`() throws {
        #expect(try judge(Self.get("Expect: 100-Continue", "Content-Length: 3") + "abc").expectsContinue)
        #expect(try !judge(Self.get("Expect: 100-continue")).expectsContinue)
        #expect(try !judge(Self.get("Expect: 100-continue", "Content-Length: 3", line: "POST / HTTP/1.0")).expectsContinue)
        #expect(try !judge(Self.get("Expect: 100-continue", "Content-Length: 3") + "abc").fields.contains(name: "Expect"))
    }

    @Test func `an upgrade is passed on as Connection and Upgrade alone`() throws {
        let request = try judge(Self.get("Connection: keep-alive, Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13"))
        #expect(request.upgrade == "websocket")
        #expect(request.fields.map(\.name) == ["Host", "Sec-WebSocket-Version", "Connection", "Upgrade"])
        #expect(request.fields["Connection"] == ["Upgrade"])
        #expect(!request.keepsAlive, "the decoder reads nothing behind it")
    }

    @Test(arguments: [
        get("Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: x"), get("Connection: Upgrade", "Upgrade: TLS/1.2"),
        get("Connection: Upgrade", "Upgrade: HTTP/2.0"), get("Connection: Upgrade"), get("Upgrade: websocket"),
        get("Connection: Upgrade", "Upgrade: websocket", "Content-Length: 3") + "abc",
        get("Connection: Upgrade", "Upgrade: websocket", line: "GET / HTTP/1.0"),
    ])
    func `an upgrade that may not be is passed over`(text: String) throws {
        let request = try judge(text)
        #expect(request.upgrade == nil)
        #expect(!request.fields.contains(name: "Upgrade") && !request.fields.contains(name: "Connection"))
    }
}
