import Foundation
import Testing

/// Whatever can be read in two ways is read in none: refused, and nothing after it on that connection is ever looked at.
@Suite struct HTTPStrictTests {
    /// What nobody may send, what is wrong with it, and how it may be answered.
    private struct Bad {
        let name: String
        let text: String
        let statuses: Set<Int>

        /// - Parameter text: `@` stands for the tunnel's authority and `|` for CRLF.
        init(_ name: String, _ text: String, _ statuses: Set<Int> = [400]) {
            self.name = name
            self.text = text
            self.statuses = statuses
        }

        func text(for authority: String) -> String {
            self.text.replacingOccurrences(of: "|", with: "\r\n").replacingOccurrences(of: "@", with: authority)
                .replacingOccurrences(of: "%AT%", with: "@")
        }
    }

    private static let requests = [
        Bad("both lengths", "POST /bad HTTP/1.1|Host: @|Content-Length: 5|Transfer-Encoding: chunked||0||"),
        Bad("both lengths, the other way round", "POST /bad HTTP/1.1|Host: @|Transfer-Encoding: chunked|Content-Length: 5||0||"),
        Bad("two lengths that differ", "POST /bad HTTP/1.1|Host: @|Content-Length: 5|Content-Length: 6||hello!"),
        Bad("two lengths that agree", "POST /bad HTTP/1.1|Host: @|Content-Length: 5|Content-Length: 5||hello"),
        Bad("a list of lengths", "POST /bad HTTP/1.1|Host: @|Content-Length: 5, 5||hello"),
        Bad("a length with a sign", "POST /bad HTTP/1.1|Host: @|Content-Length: +5||hello"),
        Bad("a negative length", "POST /bad HTTP/1.1|Host: @|Content-Length: -1||"),
        Bad("a hexadecimal length", "POST /bad HTTP/1.1|Host: @|Content-Length: 0x5||hello"),
        Bad("a length beyond 64 bits", "POST /bad HTTP/1.1|Host: @|Content-Length: 18446744073709551621||hello", [400, 413]),
        Bad("an empty length", "POST /bad HTTP/1.1|Host: @|Content-Length:||hello"),
        Bad("a length in words", "POST /bad HTTP/1.1|Host: @|Content-Length: five||hello"),
        Bad("a coding before chunked", "POST /bad HTTP/1.1|Host: @|Transfer-Encoding: gzip, chunked||0||", [400, 501]),
        Bad("a coding after chunked", "POST /bad HTTP/1.1|Host: @|Transfer-Encoding: chunked, identity||0||", [400, 501]),
        Bad("chunked twice", "POST /bad HTTP/1.1|Host: @|Transfer-Encoding: chunked, chunked||0||", [400, 501]),
        Bad("chunked in two fields", "POST /bad HTTP/1.1|Host: @|Transfer-Encoding: chunked|Transfer-Encoding: chunked||0||", [400, 501]),
        Bad("an unknown coding", "POST /bad HTTP/1.1|Host: @|Transfer-Encoding: xchunked||0||", [400, 501]),
        Bad("identity", "POST /bad HTTP/1.1|Host: @|Transfer-Encoding: identity||", [400, 501]),
        Bad("an empty coding", "POST /bad HTTP/1.1|Host: @|Transfer-Encoding:||0||", [400, 501]),
        Bad("a coding with a vertical tab", "POST /bad HTTP/1.1|Host: @|Transfer-Encoding: \u{b}chunked||0||", [400, 501]),
        Bad("chunked in HTTP/1.0", "POST /bad HTTP/1.0|Host: @|Transfer-Encoding: chunked||0||", [400, 501]),
        Bad("an upgrade with a coding that only some know", "POST /bad HTTP/1.1|Host: @|Connection: Upgrade|Upgrade: x|Transfer-Encoding: chunked\t||0||"),
        Bad("a blank before the colon", "POST /bad HTTP/1.1|Host: @|Transfer-Encoding : chunked||0||"),
        Bad("a blank before a name", "GET /bad HTTP/1.1| Host: @||"),
        Bad("a folded line", "GET /bad HTTP/1.1|Host: @|X: a| b||"),
        Bad("a folded line with a tab", "GET /bad HTTP/1.1|Host: @|X: a|\tTransfer-Encoding: chunked||"),
        Bad("a bare LF after the request line", "GET /bad HTTP/1.1\nHost: @||"),
        Bad("a bare LF after a field", "GET /bad HTTP/1.1|Host: @|X: a\nY: b||"),
        Bad("a bare LF at the end of the head", "GET /bad HTTP/1.1|Host: @|\n"),
        Bad("only bare LF", "GET /bad HTTP/1.1\nHost: @\n\n"),
        Bad("a bare CR in a value", "GET /bad HTTP/1.1|Host: @|X: a\rTransfer-Encoding: chunked||"),
        Bad("a bare CR in a name", "GET /bad HTTP/1.1|Host: @|X\rY: b||"),
        Bad("NUL in a value", "GET /bad HTTP/1.1|Host: @|X: a\0b||"),
        Bad("NUL in a name", "GET /bad HTTP/1.1|Host: @|X\0Y: b||"),
        Bad("NUL in the target", "GET /ba\0d HTTP/1.1|Host: @||"),
        Bad("a control character in a value", "GET /bad HTTP/1.1|Host: @|X: a\u{1}b||"),
        Bad("an empty name", "GET /bad HTTP/1.1|Host: @|: b||"),
        Bad("a line that is no field", "GET /bad HTTP/1.1|Host: @|nonsense||"),
        Bad("a name with a bracket", "GET /bad HTTP/1.1|Host: @|X(Y): b||"),
        Bad("no Host", "GET /bad HTTP/1.1|X: @||"),
        Bad("an empty Host", "GET /bad HTTP/1.1|Host:||"),
        Bad("two Hosts", "GET /bad HTTP/1.1|Host: @|Host: @||"),
        Bad("two Hosts that differ", "GET /bad HTTP/1.1|Host: @|Host: other.localhost||"),
        Bad("a Host with a user", "GET /bad HTTP/1.1|Host: user%AT%@||"),
        Bad("a Host with a path", "GET /bad HTTP/1.1|Host: @/x||"),
        Bad("a list of Hosts", "GET /bad HTTP/1.1|Host: @, other.localhost||"),
        Bad("a target of another host", "GET http://other.localhost/bad HTTP/1.1|Host: @||"),
        Bad("a target with a user", "GET http://user%AT%@/bad HTTP/1.1|Host: @||"),
        Bad("a target of another scheme", "GET ftp://@/bad HTTP/1.1|Host: @||"),
        Bad("a target without a slash", "GET bad HTTP/1.1|Host: @||"),
        Bad("an asterisk for a GET", "GET * HTTP/1.1|Host: @||"),
        Bad("CONNECT", "CONNECT @ HTTP/1.1|Host: @||", [400, 405, 501]),
        Bad("a blank in the target", "GET /b ad HTTP/1.1|Host: @||"),
        Bad("two blanks in the request line", "GET  /bad HTTP/1.1|Host: @||"),
        Bad("a tab in the request line", "GET\t/bad HTTP/1.1|Host: @||"),
        Bad("a blank at its end", "GET /bad HTTP/1.1 |Host: @||"),
        Bad("HTTP/0.9", "GET /bad||"),
        Bad("HTTP/2.0", "GET /bad HTTP/2.0|Host: @||", [400, 505]),
        Bad("HTTP/1.2", "GET /bad HTTP/1.2|Host: @||", [400, 505]),
        Bad("small letters", "GET /bad http/1.1|Host: @||"),
        Bad("HTTP/2 with prior knowledge", "PRI * HTTP/2.0||SM||", [400, 505]),
        Bad("empty lines before a request", "|\nGET /bad HTTP/1.1|Host: @||"),
        Bad("an empty line of LF before a request", "\nGET /bad HTTP/1.1|Host: @||"),
        Bad("a CR before a request", "\rGET /bad HTTP/1.1|Host: @||"),
        Bad("a blank before a request", " GET /bad HTTP/1.1|Host: @||"),
        Bad("a chunk's size with a sign", "POST /bad HTTP/1.1|Host: @|Transfer-Encoding: chunked||+5|hello|0||"),
        Bad("a chunk's size with 0x", "POST /bad HTTP/1.1|Host: @|Transfer-Encoding: chunked||0x5|hello|0||"),
        Bad("a chunk's size beyond 64 bits", "POST /bad HTTP/1.1|Host: @|Transfer-Encoding: chunked||10000000000000005|hello|0||"),
        Bad("an empty chunk's size", "POST /bad HTTP/1.1|Host: @|Transfer-Encoding: chunked|||hello|0||"),
        Bad("a blank before a chunk's size", "POST /bad HTTP/1.1|Host: @|Transfer-Encoding: chunked|| 5|hello|0||"),
        Bad("a bare LF after a chunk's size", "POST /bad HTTP/1.1|Host: @|Transfer-Encoding: chunked||5\nhello|0||"),
        Bad("a bare LF in a chunk's extension", "POST /bad HTTP/1.1|Host: @|Transfer-Encoding: chunked||5;a\nhello|0||"),
        Bad("a chunk longer than it says", "POST /bad HTTP/1.1|Host: @|Transfer-Encoding: chunked||5|hello!!|0||"),
        Bad("a bare LF after a chunk", "POST /bad HTTP/1.1|Host: @|Transfer-Encoding: chunked||5|hello\n0||"),
        Bad("a last chunk with a bare LF", "POST /bad HTTP/1.1|Host: @|Transfer-Encoding: chunked||5|hello|0\n\n"),
        Bad("a folded trailer", "POST /bad HTTP/1.1|Host: @|Transfer-Encoding: chunked||0|X: a| b||"),
        Bad("a trailer that is no field", "POST /bad HTTP/1.1|Host: @|Transfer-Encoding: chunked||0|nonsense||"),
        Bad("a NUL in a trailer", "POST /bad HTTP/1.1|Host: @|Transfer-Encoding: chunked||0|X: a\0||"),
        Bad("a demand that is unknown", "POST /bad HTTP/1.1|Host: @|Expect: a-miracle|Content-Length: 5||hello", [400, 417]),
        Bad("a head of 100 KiB", "GET /bad HTTP/1.1|Host: @|X: \(String(repeating: "x", count: 100_000))||", [400, 431]),
        Bad("a thousand fields", "GET /bad HTTP/1.1|Host: @|\((0..<1_000).map { "X\($0): y|" }.joined())|", [400, 431]),
        Bad("a target of 100 KiB", "GET /\(String(repeating: "x", count: 100_000)) HTTP/1.1|Host: @||", [400, 414, 431]),
    ]

    @Test(arguments: [false, true])
    func `a request that can be read in two ways is refused, and what follows it is never looked at`(isFirst: Bool) throws {
        try Stage.run { stage in
            let tunnel = try stage.httpTunnel()
            for (number, bad) in Self.requests.enumerated() {
                let visitor = try tunnel.visitor()
                defer { visitor.connection.close() }
                if !isFirst {
                    try visitor.send("GET /echo/good/\(number) HTTP/1.1\r\nHost: \(tunnel.authority)\r\n\r\n")
                    #expect(try visitor.answer().status == 200)
                }
                // What does not fit has been refused before it was sent.
                try? visitor.send(
                    bad.text(for: tunnel.authority) + "GET /echo/after/\(number) HTTP/1.1\r\nHost: \(tunnel.authority)\r\n\r\n")
                do {
                    let answer = try visitor.answer()
                    #expect(bad.statuses.contains(answer.status), "\(bad.name): \(answer.line)")
                    #expect(answer["Connection"]?.lowercased() == "close", "\(bad.name): \(answer)")
                } catch {
                    Issue.record("\(bad.name): \(error)")
                }
                #expect(visitor.connection.awaitEnd(within: 5 * Patience.slowness) != .none, "\(bad.name): the connection stays open")
            }
            #expect(try tunnel.ask("/echo/last").status == 200)
            let targets = try (tunnel.origin.requests() + tunnel.origin.requests("incomplete")).map(\.target)
            #expect(!targets.contains { $0.contains("after") }, "\(targets)")
            #expect(try !tunnel.origin.requests().contains { $0.target.contains("bad") })
            try tunnel.origin.checkNothingOdd()
        }
    }

    @Test func `unusual requests that can be read in one way only are served`() throws {
        try Stage.run { stage in
            let tunnel = try stage.httpTunnel()
            let good = [
                "GET http://@/echo/absolute HTTP/1.1|Host: @||", "GET /echo/case HTTP/1.1|hOST: @||", "GET /echo/blank HTTP/1.1|Host:   @  |X:||",
                "OPTIONS * HTTP/1.1|Host: @||", "POST /echo/zeros HTTP/1.1|Host: @|Transfer-Encoding: chunked||0005|hello|0||",
                "POST /echo/hex HTTP/1.1|Host: @|transfer-encoding: Chunked||A|0123456789|0||", "M-SEARCH /echo/method HTTP/1.1|Host: @||",
                "POST /echo/upgrade HTTP/1.1|Host: @|Connection: Upgrade|Upgrade: x|Transfer-Encoding: chunked||5|hello|0||",
                "POST /echo/upgrade HTTP/1.1|Host: @|Connection: Upgrade|Upgrade: h2c|Content-Length: 5||hello",
                "GET /echo/obs HTTP/1.1|Host: @|X: caf\u{e9}||", "POST /echo/zero HTTP/1.1|Host: @|Content-Length: 0||",
                "GET /echo/percent%20%ff?a=%00 HTTP/1.1|Host: @||", "DELETE /echo/body HTTP/1.1|Host: @|Content-Length: 5||hello",
            ]
            for text in good {
                let visitor = try tunnel.visitor()
                defer { visitor.connection.close() }
                try visitor.send(text.replacingOccurrences(of: "|", with: "\r\n").replacingOccurrences(of: "@", with: tunnel.authority))
                let answer = try visitor.answer()
                #expect(answer.status == 200, "\(text): \(answer)")
            }
            #expect(try tunnel.origin.requests().count == good.count)
            try tunnel.origin.checkNothingOdd()
        }
    }

    // MARK: The other side

    private static let answers = [
        Bad("both lengths", "HTTP/1.1 200 OK|Content-Length: 5|Transfer-Encoding: chunked||0||"),
        Bad("two lengths that differ", "HTTP/1.1 200 OK|Content-Length: 5|Content-Length: 6||hello!"),
        Bad("a length with a sign", "HTTP/1.1 200 OK|Content-Length: +5||hello"),
        Bad("a list of lengths", "HTTP/1.1 200 OK|Content-Length: 5, 6||hello"),
        Bad("a length in words", "HTTP/1.1 200 OK|Content-Length: five||hello"),
        Bad("a coding before chunked", "HTTP/1.1 200 OK|Transfer-Encoding: gzip, chunked||0||"),
        Bad("an unknown coding", "HTTP/1.1 200 OK|Transfer-Encoding: xchunked||0||"),
        Bad("chunked twice", "HTTP/1.1 200 OK|Transfer-Encoding: chunked|Transfer-Encoding: chunked||0||"),
        Bad("chunked in HTTP/1.0", "HTTP/1.0 200 OK|Transfer-Encoding: chunked||0||"),
        Bad("a bare LF", "HTTP/1.1 200 OK\nContent-Length: 5||hello"),
        Bad("only bare LF", "HTTP/1.1 200 OK\nContent-Length: 5\n\nhello"),
        Bad("a folded line", "HTTP/1.1 200 OK|X: a| b|Content-Length: 5||hello"),
        Bad("a blank before the colon", "HTTP/1.1 200 OK|Content-Length : 5||hello"),
        Bad("NUL in a value", "HTTP/1.1 200 OK|X: a\0b|Content-Length: 5||hello"),
        Bad("a bare CR in a value", "HTTP/1.1 200 OK|X: a\rSet-Cookie: b|Content-Length: 5||hello"),
        Bad("an empty name", "HTTP/1.1 200 OK|: b|Content-Length: 5||hello"),
        Bad("a line that is no field", "HTTP/1.1 200 OK|nonsense|Content-Length: 5||hello"),
        Bad("no status", "HTTP/1.1 OK|Content-Length: 5||hello"),
        Bad("a status of two digits", "HTTP/1.1 20 OK|Content-Length: 5||hello"),
        Bad("a status of four digits", "HTTP/1.1 2000 OK|Content-Length: 5||hello"),
        Bad("another protocol", "ICY 200 OK|Content-Length: 5||hello"),
        Bad("HTTP/2.0", "HTTP/2.0 200 OK|Content-Length: 5||hello"),
        Bad("HTTP/0.9", "<html>hello</html>"),
        Bad("an upgrade nobody asked for", "HTTP/1.1 101 Switching Protocols|Upgrade: websocket|Connection: Upgrade||GET /smuggled"),
        Bad("a head of 200 KiB", "HTTP/1.1 200 OK|X: \(String(repeating: "x", count: 200_000))|Content-Length: 5||hello"),
        Bad("nothing", ""),
        Bad("half a head", "HTTP/1.1 200 OK|Content-Le"),
    ]

    @Test func `an answer that can be read in two ways is 502, and harms no other`() throws {
        try Stage.run { stage in
            let tunnel = try stage.httpTunnel()
            // In the target it would be longer than a target may be.
            let hostile = try stage.service { connection in
                var head: [UInt8] = []
                while !head.suffix(4).elementsEqual("\r\n\r\n".utf8), let part = try connection.receiveSome(atMost: 4_096) { head += part }
                let number = String(decoding: head, as: UTF8.self).split(separator: " ")[1].split(separator: "/").last.flatMap { Int($0) } ?? 0
                try connection.send(Array(Self.answers[number].text(for: "").unicodeScalars.map { UInt8(truncatingIfNeeded: $0.value) }))
                connection.finish()
            }
            let client = try stage.client([
                "--server", tunnel.server.url, "--inspect", "off", "--state-dir", "\(stage.folder)/hostile",
                "--expose", "http://127.0.0.1:\(hostile.port),subdomain=hostile",
            ])
            try client.event("tunnel")
            for (number, bad) in Self.answers.enumerated() {
                let visitor = try tunnel.visitor()
                try visitor.send("GET /\(number) HTTP/1.1\r\nHost: hostile.localhost\r\n\r\n")
                do {
                    let answer = try visitor.answer()
                    #expect(answer.status == 502, "\(bad.name): \(answer)")
                    #expect(!answer.text.contains("hello"), "\(bad.name)")
                } catch {
                    Issue.record("\(bad.name): \(error)")
                }
                visitor.connection.close()
            }
            #expect(try tunnel.ask("/echo").status == 200)
            #expect(client.isRunning)
        }
    }

    @Test(arguments: [
        "5\nhello\r\n0\r\n\r\n", "+5\r\nhello\r\n0\r\n\r\n", "5\r\nhello!!\r\n0\r\n\r\n", "10000000000000005\r\nhello\r\n0\r\n\r\n", "zz\r\n",
        "5\r\nhello\r\n0\r\nX: a\0b\r\n\r\n", "5\r\nhello\r\n0\r\nnonsense\r\n\r\n", "5\r\nhello\r\n0\r\nX: a\r\n b\r\n\r\n",
    ])
    func `a body that goes wrong is seen to be unfinished`(chunks: String) throws {
        try Stage.run { stage in
            let tunnel = try stage.httpTunnel()
            let raw = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\ngood\r\n" + chunks
            let curl = try tunnel.curl("/raw-open?\(HTTPVisitorTests.hex(raw))")
            #expect(curl.answer.status == 502 || curl.exit != .code(0), "\(curl.answer)")
            #expect(try tunnel.ask("/echo").status == 200)
        }
    }

    /// Response smuggling: what a service says beyond its answer is nobody's answer.
    @Test(arguments: [
        ("GET", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"), ("GET", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n"),
        ("HEAD", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n"), ("GET", "HTTP/1.1 204 No Content\r\n\r\n"), ("GET", "HTTP/1.1 304 Not Modified\r\nContent-Length: 2\r\n\r\n"),
    ])
    func `what a service says after its answer reaches nobody`(method: String, answer: String) throws {
        try Stage.run { stage in
            let tunnel = try stage.httpTunnel()
            let stolen = "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nstolen"
            let visitor = try tunnel.visitor()
            for _ in 1...3 {
                try visitor.send("\(method) /raw-open?\(HTTPVisitorTests.hex(answer + stolen)) HTTP/1.1\r\nHost: \(tunnel.authority)\r\n\r\n")
                let first = try visitor.answer(to: method)
                #expect(!first.text.contains("stolen"))
                for other in [visitor, try tunnel.visitor()] {
                    try other.send("GET /echo/next HTTP/1.1\r\nHost: \(tunnel.authority)\r\n\r\n")
                    let next = try other.answer()
                    #expect(next.json["target"] as? String == "/echo/next", "\(next)")
                }
            }
        }
    }
}
