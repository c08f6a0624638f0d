import Foundation
import HTTPMessages
import Logging
import NIOConcurrencyHelpers
import NIOCore
import NIOPosix
import Testing
import TunnelClient
import TunnelServer
import TunnelTransport

/// What the client makes of requests that come through an HTTP tunnel; server and client in one process.
@Suite(.timeLimit(.minutes(5))) struct HTTPTunnelTests {
    @Test func `a request reaches the service, and whoever follows sees it and its response`() async throws {
        let service = try await ScriptedService { request, _ in
            .say("HTTP/1.1 201 Created\r\nContent-Length: 5\r\nX-Tea: green\r\n\r\nhello")
        }
        try await HTTPPair.run(service) { pair in
            let notes = Notes()
            pair.client.follow(notes)
            let answer = try await pair.ask("POST /cups?token=1 HTTP/1.1\r\nHost: HOST\r\nContent-Length: 3\r\n\r\ntea")
            #expect(answer.hasPrefix("HTTP/1.1 201 Created\r\n"))
            #expect(answer.hasSuffix("\r\n\r\nhello"))
            try await eventually { notes.all.count == 2 }
            let (first, last) = (notes.all[0], notes.all[1])
            #expect(first.state == .underWay)
            #expect(first.request.target == "/cups?token=1")
            #expect(last.state == .complete)
            #expect(String(buffer: last.requestBody.beginning) == "tea")
            #expect(last.response?.status == 201)
            #expect(last.response?.fields["X-Tea"] == ["green"])
            #expect(String(buffer: last.responseBody.beginning) == "hello")
            #expect(last.untilHead != nil && last.untilEnd != nil)

            let request = try #require(pair.requests.all.first)
            #expect(request.path == "/cups")
            #expect(request.method == "POST")
            #expect(request.status == 201)
            #expect(request.bytes == 5)
            #expect(request.visitor == "127.0.0.1")
            #expect(request.id == last.request.id)

            pair.client.replay(last.request, body: ByteBuffer(string: "tea, again"), tunnel: last.tunnel, of: last.request.id)
            try await eventually { notes.all.count == 4 }
            let again = notes.all[3]
            #expect(again.replayOf == last.request.id)
            #expect(again.request.id != last.request.id)
            #expect(again.response?.status == 201)
            #expect(service.requests.all.last?.hasSuffix("\r\n\r\ntea, again") == true)
        }
    }

    @Test func `a replay of an endless response ends after the tunnel's time-out, and the visitor's own goes on`() async throws {
        let connections = Notebook<any Channel>()
        let service = try await ScriptedService { _, _ in
            .say("")
        } held: { connection in
            connections.add(connection)
            let answer = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nfirst\r\n"
            connection.writeAndFlush(ByteBuffer(string: answer), promise: nil)
        }
        try await HTTPPair.run(service, keys: "timeout=1s") { pair in
            let notes = Notes()
            pair.client.follow(notes)
            let visitor = try await pair.visit()
            defer { visitor.close() }
            try await visitor.send("GET /events HTTP/1.1\r\nHost: \(pair.host)\r\n\r\n")
            try await eventually { notes.all.count == 1 && connections.all.count == 1 }
            let own = notes.all[0]
            pair.client.replay(own.request, body: ByteBuffer(), tunnel: own.tunnel, of: own.request.id)
            try await eventually { notes.all.count == 3 }
            let replay = notes.all[2]
            #expect(replay.replayOf == own.request.id)
            #expect(replay.state == .failed("the response to a replay is followed no longer than the tunnel's time-out"))
            #expect(replay.response?.status == 200)
            #expect(String(buffer: replay.responseBody.beginning) == "first")
            // Begun before the replay, it ends when the service leaves.
            try await connections.all[0].close()
            try await eventually { notes.all.count == 4 }
            #expect(notes.all[3].replayOf == nil)
        }
    }

    @Test func `connections to the service are used again`() async throws {
        let service = try await ScriptedService { _, _ in .say("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok") }
        try await HTTPPair.run(service) { pair in
            for _ in 0..<5 { _ = try await pair.ask("GET / HTTP/1.1\r\nHost: HOST\r\n\r\n") }
            #expect(service.connections.all.count == 1)
            #expect(service.requests.all.count == 5)
        }
    }

    @Test func `a service that left a reused connection without a word is asked once more`() async throws {
        let service = try await ScriptedService { _, number in
            number == 1 ? .close : .say("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
        }
        try await HTTPPair.run(service) { pair in
            for _ in 0..<2 {
                let answer = try await pair.ask("GET / HTTP/1.1\r\nHost: HOST\r\n\r\n")
                #expect(answer.hasPrefix("HTTP/1.1 200"))
            }
            #expect(service.connections.all.count == 2)
            #expect(service.requests.all.count == 3)
        }
    }

    @Test func `what may have happened already is not asked for twice`() async throws {
        let service = try await ScriptedService { _, number in
            number == 1 ? .close : .say("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
        }
        try await HTTPPair.run(service) { pair in
            let post = "POST / HTTP/1.1\r\nHost: HOST\r\nContent-Length: 1\r\n\r\nx"
            let answer1 = try await pair.ask(post)
            #expect(answer1.hasPrefix("HTTP/1.1 200"))
            let answer2 = try await pair.ask(post)
            #expect(answer2.hasPrefix("HTTP/1.1 502"))
            #expect(service.requests.all.count == 2)
        }
    }

    @Test func `a service that says nothing is left when its time is over`() async throws {
        let service = try await ScriptedService { _, _ in .say("") }
        try await HTTPPair.run(service, keys: "timeout=200ms") { pair in
            let answer3 = try await pair.ask("GET / HTTP/1.1\r\nHost: HOST\r\n\r\n")
            #expect(answer3.hasPrefix("HTTP/1.1 504"))
        }
    }

    @Test(arguments: [
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello", "HTTP/1.1 200 OK\nContent-Length: 0\n\n", "SSH-2.0-OpenSSH\r\n",
        "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n",
    ])
    func `an answer that can be read in two ways, or in none, is not passed on`(answer: String) async throws {
        let service = try await ScriptedService { _, _ in .say(answer) }
        try await HTTPPair.run(service) { pair in
            let answer4 = try await pair.ask("GET / HTTP/1.1\r\nHost: HOST\r\n\r\n")
            #expect(answer4.hasPrefix("HTTP/1.1 502"))
        }
    }

    @Test func `bytes behind a response are nobody's next answer`() async throws {
        let service = try await ScriptedService { _, _ in
            .say("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nforged")
        }
        try await HTTPPair.run(service) { pair in
            for _ in 0..<3 {
                let answer5 = try await pair.ask("GET / HTTP/1.1\r\nHost: HOST\r\n\r\n")
                #expect(answer5.hasSuffix("\r\n\r\nok"))
            }
            #expect(service.connections.all.count == 3)
        }
    }

    @Test func `a service that is not there is a page of ours, said once`() async throws {
        let service = try await ScriptedService { _, _ in .close }
        try await service.stop()
        try await HTTPPair.run(service) { pair in
            for _ in 0..<2 {
                let answer6 = try await pair.ask("GET / HTTP/1.1\r\nHost: HOST\r\n\r\n")
                #expect(answer6.contains("is 127.0.0.1:\(service.port) running?"))
            }
            #expect(pair.complaints.all.count == 1)
        }
    }

    @Test func `heads are edited on the way, in both directions`() async throws {
        let service = try await ScriptedService { _, _ in
            .say("HTTP/1.1 200 OK\r\nServer: secret\r\nContent-Length: 0\r\n\r\n")
        }
        let keys = "host-header=rewrite,request-header=-User-Agent,request-header=+X-Via: tunnel,response-header=-Server,response-header=+X-Way: home"
        try await HTTPPair.run(service, keys: keys) { pair in
            let answer = try await pair.ask("GET / HTTP/1.1\r\nHost: HOST\r\nUser-Agent: me\r\n\r\n")
            #expect(answer.contains("\r\nX-Way: home\r\n"))
            #expect(!answer.contains("secret"))
            let request = try #require(service.requests.all.first)
            #expect(request.hasPrefix("GET / HTTP/1.1\r\nHost: 127.0.0.1:\(service.port)\r\n"))
            #expect(request.contains("\r\nX-Via: tunnel\r\n"))
            #expect(!request.contains("User-Agent"))
        }
    }

    @Test func `a client that stops finishes the request under way, and idle streams do not hold it`() async throws {
        let held = NIOLockedValueBox<(any Channel)?>(nil)
        let service = try await ScriptedService { _, number in number == 0 ? .say("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok") : .say("") } held: {
            channel in held.withLockedValue { $0 = channel }
        }
        try await HTTPPair.run(service) { pair in
            let visitor = try await pair.visit()
            _ = try await visitor.ask("GET /first HTTP/1.1\r\nHost: \(pair.host)\r\n\r\n")
            let other = try await pair.visit()
            async let answer = other.ask("GET /second HTTP/1.1\r\nHost: \(pair.host)\r\n\r\n")
            try await eventually { service.requests.all.count == 2 }
            pair.client.stop()
            try await held.withLockedValue { $0 }?.writeAndFlush(ByteBuffer(string: "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nlate")).get()
            let late = try await answer
            #expect(late.hasSuffix("late"))
            try await eventually { pair.server.statistics.sessions == 0 }
        }
    }
}
