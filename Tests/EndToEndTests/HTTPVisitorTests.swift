import Foundation
import Testing

/// Visitors of an HTTP tunnel, real ones and those who write every byte themselves: what they ask arrives, and so does the answer.
@Suite struct HTTPVisitorTests {
    // MARK: curl

    @Test(arguments: ["--http1.0", "--http1.1"])
    func `curl gets the service's answer`(version: String) throws {
        try Stage.run { stage in
            let tunnel = try stage.httpTunnel()
            let curl = try tunnel.curl("/echo?a=b&c=%20", version, "-H", "X-Mine: yes", "--data", "some=form")
            #expect(curl.exit == .code(0))
            #expect(curl.answer.status == 200)
            #expect(curl.answer["X-Origin"] == "origin")
            #expect(curl.answer.json["text"] as? String == "some=form")
            let request = try tunnel.origin.request("/echo?a=b&c=%20")
            #expect(request.method == "POST" && request["X-Mine"] == "yes" && request["Host"] == tunnel.authority)
            #expect(request.head.contains("HTTP/1.1\r\n"))
        }
    }

    @Test func `curl comes by HTTPS to a server with a certificate of its own`() throws {
        try Stage.run { stage in
            let tunnel = try stage.expose(stage.origin(), at: stage.server())
            #expect(tunnel.url.hasPrefix("https://"))
            let curl = try tunnel.curl("/echo", "--insecure")
            #expect(curl.answer.status == 200 && curl.answer["X-Origin"] == "origin")
            #expect(try tunnel.origin.request("/echo")["X-Forwarded-Proto"] == "https")
        }
    }

    @Test func `a HEAD has the length of what is not sent, and nothing behind it`() throws {
        try Stage.run { stage in
            let tunnel = try stage.httpTunnel()
            let curl = try tunnel.curl("/bytes/100000", "--head")
            #expect(curl.exit == .code(0) && curl.answer["Content-Length"] == "100000")
            let visitor = try tunnel.visitor()
            for path in ["/bytes/7", "/bytes/7?chunked", "/missing-not"] {
                try visitor.send("HEAD \(path) HTTP/1.1\r\nHost: \(tunnel.authority)\r\n\r\n")
                #expect(try visitor.answer(to: "HEAD").status == 200)
            }
            try visitor.send("GET /bytes/7 HTTP/1.1\r\nHost: \(tunnel.authority)\r\n\r\n")
            #expect(try visitor.answer().body.count == 7)
        }
    }

    @Test(arguments: [[], ["-H", "Transfer-Encoding: chunked"]], [["-H", "Expect:"], ["-H", "Expect: 100-continue"]])
    func `curl uploads a file`(framing: [String], expect: [String]) throws {
        try Stage.run { stage in
            let tunnel = try stage.httpTunnel()
            let bytes = Data((0..<3_000_000).map { UInt8(truncatingIfNeeded: $0 &* 31 >> 3) })
            let file = "\(stage.folder)/upload"
            try bytes.write(to: URL(fileURLWithPath: file))
            let curl = try Curl(["\(tunnel.url)/echo/up", "-T", file, "--expect100-timeout", "60"] + framing + expect, on: stage)
            #expect(curl.exit == .code(0) && curl.answer.status == 200)
            let request = try tunnel.origin.request("/echo/up")
            #expect(request.method == "PUT" && request.bytes == bytes.count)
            #expect(request.members["adler32"] as? Int == Self.adler32(Array(bytes)))
            // A length stays one, and what has none is chunked.
            #expect((request["Transfer-Encoding"] == "chunked") == !framing.isEmpty)
            #expect((request["Content-Length"] == "3000000") == framing.isEmpty)
        }
    }

    @Test func `curl hears of 103 Early Hints before the answer`() throws {
        try Stage.run { stage in
            let tunnel = try stage.httpTunnel()
            let curl = try tunnel.curl("/hints")
            #expect(curl.heads.map(\.status) == [103, 200])
            #expect(curl.heads.first?["Link"] == "</style.css>; rel=preload")
            #expect(curl.answer.text == "after the hints\n")
            // HTTP/1.0 knows no 1xx (RFC 9110 §15.2).
            #expect(try tunnel.curl("/hints", "--http1.0").heads.map(\.status) == [200])
        }
    }

    @Test func `one connection of curl's is one connection at the service`() throws {
        try Stage.run { stage in
            let tunnel = try stage.httpTunnel()
            let curl = try Curl((1...5).map { "\(tunnel.url)/echo/\($0)" }, on: stage)
            #expect(curl.connects == 1)
            #expect(try tunnel.origin.requests().map(\.target) == (1...5).map { "/echo/\($0)" })
            #expect(try tunnel.origin.connections() == 1)
            // And those who come later find it open.
            for number in 6...8 { #expect(try tunnel.curl("/echo/\(number)").answer.status == 200) }
            #expect(try tunnel.origin.connections() == 1)
        }
    }

    // MARK: Framing

    @Test func `trailers arrive, in both directions`() throws {
        try Stage.run { stage in
            let tunnel = try stage.httpTunnel()
            let answer = try tunnel.ask("GET", "/trailers", "TE: trailers\r\nConnection: TE\r\n")
            #expect(answer.text == "hello world")
            #expect(answer.trailers.map { "\($0.name): \($0.value)" } == ["X-Sum: 1a0b045d"])
            let sent = try tunnel.ask(
                "POST", "/echo/trailers", "Transfer-Encoding: chunked\r\nTrailer: X-Sum\r\n", body: "3\r\nabc\r\n0\r\nX-Sum: 3\r\n\r\n")
            #expect(sent.status == 200)
            let request = try tunnel.origin.request("/echo/trailers")
            #expect(request.text == "abc" && request.trailers == [["X-Sum", "3"]])
        }
    }

    @Test func `answers of every framing arrive whole, and the connection goes on where it can`() throws {
        try Stage.run { stage in
            let tunnel = try stage.httpTunnel()
            let visitor = try tunnel.visitor()
            for path in ["/bytes/100000", "/bytes/100000?chunked", "/bytes/100000?close", "/bytes/0", "/bytes/0?chunked", "/bytes/0?close"] {
                try visitor.send("GET \(path) HTTP/1.1\r\nHost: \(tunnel.authority)\r\n\r\n")
                let answer = try visitor.answer()
                #expect(answer.status == 200 && answer.body.count == (path.contains("100000") ? 100_000 : 0), "\(path)")
            }
            for status in [204, 304] {
                try visitor.send("GET /status/\(status) HTTP/1.1\r\nHost: \(tunnel.authority)\r\n\r\n")
                let answer = try visitor.answer()
                #expect(answer.status == status && answer["ETag"] == "\"one\"" && answer["Transfer-Encoding"] == nil)
            }
            try visitor.send("GET /http10 HTTP/1.1\r\nHost: \(tunnel.authority)\r\nConnection: close\r\n\r\n")
            #expect(try visitor.answer().text == "as in 1996\n")
            #expect(visitor.connection.awaitEnd() == .endOfFile)
        }
    }

    @Test func `a visitor of HTTP 1.0 gets plain bytes and the end`() throws {
        try Stage.run { stage in
            let tunnel = try stage.httpTunnel()
            let visitor = try tunnel.visitor()
            try visitor.send("GET /bytes/100000?chunked HTTP/1.0\r\nHost: \(tunnel.authority)\r\n\r\n")
            let answer = try visitor.answer()
            #expect(answer["Transfer-Encoding"] == nil && answer.body.count == 100_000)
            // One that asks to go on may, when the length is known.
            let other = try tunnel.visitor()
            for _ in 1...2 {
                try other.send("GET /bytes/7 HTTP/1.0\r\nHost: \(tunnel.authority)\r\nConnection: keep-alive\r\n\r\n")
                let answer = try other.answer()
                #expect(answer["Connection"]?.lowercased() == "keep-alive" && answer.body.count == 7)
            }
        }
    }

    @Test func `pipelined requests are answered in their order`() throws {
        try Stage.run { stage in
            let tunnel = try stage.httpTunnel()
            let visitor = try tunnel.visitor()
            let count = 40
            var text = ""
            for number in 1...count {
                text += number.isMultiple(of: 3)
                    ? "POST /echo/\(number) HTTP/1.1\r\nHost: \(tunnel.authority)\r\nContent-Length: 5\r\n\r\nbody\(number % 10)"
                    : "GET /echo/\(number) HTTP/1.1\r\nHost: \(tunnel.authority)\r\n\r\n"
            }
            try visitor.send(text)
            for number in 1...count {
                let answer = try visitor.answer()
                #expect(answer.json["target"] as? String == "/echo/\(number)")
                #expect(answer.json["text"] as? String == (number.isMultiple(of: 3) ? "body\(number % 10)" : ""))
            }
            #expect(try tunnel.origin.requests().map(\.target) == (1...count).map { "/echo/\($0)" })
        }
    }

    @Test func `a long request line is a visitor's, however it was cut on its way`() throws {
        try Stage.run { stage in
            let tunnel = try stage.httpTunnel()
            let visitor = try tunnel.visitor()
            let target = "/echo/" + String(repeating: "a", count: 12_000)
            let request = "GET \(target) HTTP/1.1\r\nX-Before: b\r\nHost: \(tunnel.authority)\r\n\r\n"
            for part in [request.prefix(8_500), request.dropFirst(8_500).prefix(3_520), request.dropFirst(12_020)] {
                try visitor.send(String(part))
                // Each event loop has had its turn with what came before these.
                for _ in 0..<4 { #expect(try tunnel.ask("GET", "/echo/turn").status == 200) }
            }
            #expect(try visitor.answer().status == 200)
            #expect(try tunnel.origin.requests().contains { $0.target == target })
        }
    }

    @Test func `a visitor who has finished its direction gets its answer`() throws {
        try Stage.run { stage in
            let tunnel = try stage.httpTunnel()
            let visitor = try tunnel.visitor()
            try visitor.send("GET /hold HTTP/1.1\r\nHost: \(tunnel.authority)\r\n\r\n")
            visitor.connection.finish()
            try tunnel.origin.program.event("held")
            try tunnel.origin.release()
            #expect(try visitor.answer().text == "held\n")
            #expect(visitor.connection.awaitEnd() == .endOfFile)
        }
    }

    @Test func `100 Continue comes when the body is wanted, and not when the tunnel is none`() throws {
        try Stage.run { stage in
            let tunnel = try stage.httpTunnel()
            let visitor = try tunnel.visitor()
            try visitor.send("POST /echo/wanted HTTP/1.1\r\nHost: \(tunnel.authority)\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n")
            #expect(try visitor.head().status == 100)
            try visitor.send("body")
            let answer = try visitor.answer()
            #expect(answer.json["text"] as? String == "body")
            let stranger = try tunnel.visitor()
            try stranger.send("POST / HTTP/1.1\r\nHost: nobody.localhost\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n")
            let refusal = try stranger.answer()
            #expect(refusal.status == 404 && refusal.interim.isEmpty)
        }
    }

    // MARK: Without delay

    @Test func `Server-Sent Events arrive one by one, and the service hears when the visitor leaves`() throws {
        try Stage.run { stage in
            let tunnel = try stage.httpTunnel()
            let visitor = try tunnel.visitor()
            try visitor.send("GET /events HTTP/1.1\r\nHost: \(tunnel.authority)\r\nAccept: text/event-stream\r\n\r\n")
            #expect(try visitor.head()["Content-Type"] == "text/event-stream")
            for number in 0..<4 {
                let event = "data: event \(number)\n\n"
                let chunk = "\(String(event.utf8.count, radix: 16))\r\n\(event)\r\n"
                #expect(String(decoding: try visitor.receive(chunk.utf8.count), as: UTF8.self) == chunk)
                try tunnel.origin.release()
            }
            visitor.connection.close()
            try tunnel.origin.program.event("gone")
        }
    }

    @Test func `a WebSocket goes through, both ways and to its end`() throws {
        try Stage.run { stage in
            let tunnel = try stage.httpTunnel()
            let visitor = try tunnel.visitor()
            try visitor.send(
                """
                GET /websocket HTTP/1.1\r\nHost: \(tunnel.authority)\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r
                Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n
                """)
            let answer = try visitor.answer()
            #expect(answer.status == 101 && answer["Sec-WebSocket-Accept"] == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=")
            #expect(answer["Connection"]?.lowercased() == "upgrade" && answer["Upgrade"]?.lowercased() == "websocket")
            for size in [1, 125, 126, 65_535, 65_536, 1_000_000] {
                let payload = (0..<size).map { UInt8(truncatingIfNeeded: $0 &* 7) }
                let connection = visitor.connection
                Thread.detachNewThread { try? connection.send(Self.frame(payload, masked: true)) }
                #expect(try visitor.receive(Self.frame(payload, masked: false).count) == Self.frame(payload, masked: false))
            }
            // A Close, and then the end of both directions.
            try visitor.connection.send([0x88, 0x82, 0, 0, 0, 0, 3, 0xE8])
            #expect(try visitor.receive(4) == [0x88, 2, 3, 0xE8])
            #expect(visitor.connection.awaitEnd() == .endOfFile)
        }
    }

    @Test func `an answer that comes before the body has been sent reaches the visitor`() throws {
        try Stage.run { stage in
            let tunnel = try stage.httpTunnel()
            for path in ["/refuse", "/refuse-and-read"] {
                let visitor = try tunnel.visitor()
                try visitor.send("POST \(path) HTTP/1.1\r\nHost: \(tunnel.authority)\r\nContent-Length: 1000000\r\n\r\nbeginning")
                let answer = try visitor.answer()
                #expect(answer.status == 403 && answer.text == "not here\n", "\(path)")
                visitor.connection.close()
            }
            // Nobody is held up by it.
            #expect(try tunnel.ask("/echo").status == 200)
        }
    }

    // MARK: Ends

    @Test(arguments: ["length=1000&after=100", "chunked&after=100", "length=1000&after=100&reset"])
    func `an answer that the service leaves unfinished is seen to be unfinished`(query: String) throws {
        try Stage.run { stage in
            let tunnel = try stage.httpTunnel()
            // A reset may overtake all of it; then curl has no answer at all.
            let curl = try? tunnel.curl("/die?\(query)")
            // 18: transfer closed with outstanding read data; 56: connection reset.
            #expect(curl.map { [.code(18), .code(56)].contains($0.exit) } ?? true, "\(String(describing: curl?.exit))")
            #expect(try tunnel.curl("/echo").answer.status == 200)
        }
    }

    @Test func `when the visitor leaves in the middle of its body, the service sees that nothing more comes`() throws {
        try Stage.run { stage in
            let tunnel = try stage.httpTunnel()
            let visitor = try tunnel.visitor()
            try visitor.send("POST /echo/half HTTP/1.1\r\nHost: \(tunnel.authority)\r\nContent-Length: 1000\r\n\r\n" + String(repeating: "x", count: 500))
            try eventually("the service has no connection") { try tunnel.origin.connections() == 1 }
            visitor.connection.close()
            let request = try tunnel.origin.request("/echo/half", "incomplete")
            // What had not been passed on by then is not passed on any more.
            #expect(request.bytes <= 500)
            #expect(try tunnel.origin.requests().isEmpty)
        }
    }

    @Test func `a connection that the service closed while it was idle is replaced, and nobody notices`() throws {
        try Stage.run { stage in
            let tunnel = try stage.httpTunnel()
            let port = tunnel.origin.port
            #expect(try tunnel.ask("/echo/before").status == 200)
            tunnel.origin.program.end()
            let again = try Origin("name=again", "port=\(port)", on: stage)
            #expect(try tunnel.ask("/echo/after")["X-Origin"] == "again")
            // A request that reaches a connection the service is just closing.
            #expect(try tunnel.ask("/raw?\(Self.hex("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"))").status == 200)
            for method in ["GET", "POST"] {
                #expect(try tunnel.ask(method, "/echo/next").status == 200)
            }
            #expect(try again.requests().count == 4)
        }
    }

    // MARK: Inside

    static func hex(_ text: String) -> String {
        text.utf8.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
    }

    /// One binary message (RFC 6455 §5.2); the mask is zero.
    static func frame(_ payload: [UInt8], masked: Bool) -> [UInt8] {
        let bit: UInt8 = masked ? 0x80 : 0
        var frame: [UInt8] = [0x82]
        switch payload.count {
        case ...125: frame.append(bit | UInt8(payload.count))
        case ...65_535: frame += [bit | 126] + (0..<2).reversed().map { UInt8(truncatingIfNeeded: payload.count >> (8 * $0)) }
        default: frame += [bit | 127] + (0..<8).reversed().map { UInt8(truncatingIfNeeded: payload.count >> (8 * $0)) }
        }
        return frame + (masked ? [0, 0, 0, 0] : []) + payload
    }

    static func adler32(_ bytes: [UInt8]) -> Int {
        var (low, high) = (1, 0)
        for byte in bytes {
            low = (low + Int(byte)) % 65_521
            high = (high + low) % 65_521
        }
        return high << 16 | low
    }
}

extension HTTPTunnel {
    /// A GET.
    func ask(_ target: String) throws -> Answer { try self.ask("GET", target) }
}
