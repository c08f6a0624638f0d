import Foundation
import Testing

/// Visitors and services who do not read when they are expected to, or leave while the other one still speaks.
@Suite(.serialized) struct HTTPOrderTests {
    @Test(.disabled(if: Toolchain.isSanitized, "a sanitizer's memory is not the program's"), arguments: [true, false])
    func `whoever asks again and again and reads no answer is not answered without end`(isKnown: Bool) throws {
        try Stage.run { stage in
            let tunnel = try stage.httpTunnel()
            let count = isKnown ? 1_000 : 100_000
            let visitor = try stage.start(
                "python3",
                [Toolchain.peer("unread.py"), "\(tunnel.server.port)"]
                    + (isKnown ? [tunnel.authority, "/bytes/100000"] : ["nobody.localhost", "/"]) + ["\(count)"],
                opensInput: true)
            let sent = try #require(try visitor.event("sent").number("requests"))
            // Others go on meanwhile.
            for number in 1...20 { #expect(try tunnel.ask("/echo/\(number)").status == 200) }
            let peaks = try [tunnel.server.program, tunnel.client].map { try $0.peakResidentBytes() }
            #expect(peaks.allSatisfy { $0 < 64 << 20 }, "\(peaks.map { $0 >> 20 }) MiB at most")
            #expect(isKnown || sent < count, "all \(sent) requests are taken")
            // Every request is answered once somebody reads.
            try visitor.write("read\n")
            #expect(try visitor.event("answers", within: Patience.long).number("count") == sent)
        }
    }

    /// As phones on a bad line read, and load balancers ask.
    @Test(arguments: ["1.1 close", "1.1 close ?close", "1.0", "1.0 ?close"])
    func `a visitor who reads slowly gets all of an answer that ends the connection`(way: String) throws {
        try Stage.run { stage in
            let tunnel = try stage.httpTunnel()
            let visitor = try tunnel.visitor(receiveBuffer: 4_096)
            let words = way.split(separator: " ")
            try visitor.send(
                "GET /bytes/400000\(words.last == "?close" ? "?close" : "") HTTP/\(words[0])\r\nHost: \(tunnel.authority)\r\n"
                    + "\(words.contains("close") ? "Connection: close\r\n" : "")\r\n")
            // For longer than a connection is given to end where nothing waits.
            let end = Date() + 3
            while Date() < end { #expect(try tunnel.ask("/echo").status == 200) }
            let answer = try visitor.head()
            #expect(answer.status == 200)
            guard answer["Transfer-Encoding"] == nil else {
                let bytes = try visitor.connection.receiveToEnd()
                return #expect(bytes.count > 390_000 && bytes.suffix(5).elementsEqual("0\r\n\r\n".utf8))
            }
            #expect(try visitor.receive(400_000).count == 400_000)
            #expect(visitor.connection.awaitEnd() == .endOfFile)
        }
    }

    @Test func `a server that stops lets a slow visitor read to the end`() throws {
        try Stage.run { stage in
            let tunnel = try stage.httpTunnel()
            let visitor = try tunnel.visitor(receiveBuffer: 4_096)
            try visitor.send("GET /bytes/400000 HTTP/1.1\r\nHost: \(tunnel.authority)\r\n\r\n")
            #expect(try visitor.head().status == 200)
            // The service has been asked, and has said everything.
            _ = try tunnel.origin.request("/bytes/400000")
            for number in 1...5 { #expect(try tunnel.ask("/echo/\(number)").status == 200) }
            tunnel.server.program.signal(SIGTERM)
            // It does not read for as long as a closing connection is given where nothing waits.
            #expect((try? tunnel.server.program.ended(within: 3)) == nil)
            #expect(try visitor.receive(400_000).count == 400_000)
        }
    }

    @Test func `a service that has answered and not taken the whole body is not asked again over that connection`() throws {
        try Stage.run { stage in
            let path = "\(stage.folder)/origin.sock"
            let origin = try Origin("unix=\(path)", on: stage)
            let server = try stage.httpServer()
            let client = try stage.client(["--server", server.url, "--inspect", "off", "--expose", "http+unix:\(path)"])
            let url = try #require(client.event("tunnel")["url"])
            let tunnel = HTTPTunnel(server: server, client: client, origin: origin, url: url, stage: stage)
            // More than a UNIX socket holds, less than that and a stream's window.
            let body = String(repeating: "x", count: 360_000)
            let sender = try tunnel.visitor()
            try sender.send("POST /answer-unread HTTP/1.1\r\nHost: \(tunnel.authority)\r\nContent-Length: \(body.utf8.count)\r\n\r\n\(body)")
            _ = try origin.program.event("head")
            for number in 1...20 { #expect(try tunnel.ask("/echo/\(number)").status == 200) }
            try origin.release()
            #expect(try sender.answer().text == "unread\n")
            let next = try tunnel.visitor()
            try next.send("GET /bytes/100000 HTTP/1.1\r\nHost: \(tunnel.authority)\r\n\r\n")
            for number in 1...20 { #expect(try tunnel.ask("/echo/\(number)").status == 200) }
            try origin.release()
            #expect(try next.answer().body.count == 100_000)
            #expect(try tunnel.ask("/echo/after").status == 200)
            #expect(client.isRunning)
        }
    }

    @Test func `what a visitor says last over an upgraded connection arrives, and so does its end, after the service has ended its own direction`() throws {
        try Stage.run { stage in
            let tunnel = try stage.httpTunnel()
            // So that nothing leaves before the turn of the loop is over.
            let other = try tunnel.visitor()
            try other.send("GET /events HTTP/1.1\r\nHost: \(tunnel.authority)\r\n\r\n")
            _ = try other.head()
            for _ in 0..<10 {
                let mark = tunnel.origin.program.mark
                let visitor = try tunnel.visitor()
                try visitor.send("GET /hang-up HTTP/1.1\r\nHost: \(tunnel.authority)\r\nConnection: Upgrade\r\nUpgrade: words\r\n\r\n")
                #expect(try visitor.answer().status == 101)
                #expect(visitor.connection.awaitEnd() == .endOfFile)
                try visitor.send("last words")
                visitor.connection.finish()
                let heard = try tunnel.origin.program.event("heard", since: mark)
                #expect("\(heard["text"] ?? "") \(heard["end"] ?? "")" == "last words in order")
            }
        }
    }

    @Test func `a service that accepts connections and never answers the TLS handshake is given up in time`() throws {
        try Stage.run { stage in
            let silent = try Service()
            let server = try stage.httpServer()
            let client = try stage.client([
                "--server", server.url, "--inspect", "off", "--expose", "https://127.0.0.1:\(silent.port),timeout=1s",
            ])
            let url = try #require(client.event("tunnel")["url"])
            #expect(try Curl(["\(url)/"], on: stage).answer.status == 504)
        }
    }
}
