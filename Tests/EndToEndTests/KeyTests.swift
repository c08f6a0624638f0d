import Foundation
import Testing

/// The pre-shared key: every way to give it, every way to get it wrong, and that it never leaks.
@Suite struct KeyTests {
    @Test func `a wrong key ends the client with 77 and says what to look for`() throws {
        try Stage.run { stage in
            let server = try stage.server()
            let client = try stage.client(
                ["--server", server.url, "--expose", "8000"], environment: ["SOCKETS_API_KEY": "wrong"])
            #expect(try client.ended() == .code(77))
            try client.line(containing: "the server refused this API key")
            try client.line(containing: "look for a stray character in SOCKETS_API_KEY")
            #expect(try client.event("error").number("code") == 77)
            try server.program.line(containing: "refused a connection", "wrong API key")
        }
    }

    @Test func `a server or a client without a key ends with 78`() throws {
        try Stage.run { stage in
            let server = try stage.start("\(Toolchain.programs)/ws-tunnel-server", ["--listen", "127.0.0.1:0"])
            #expect(try server.ended() == .code(78))
            try server.line(containing: "the server has no API key")
            try server.line(containing: "SOCKETS_API_KEY", "openssl rand -hex 32")

            let client = try stage.client(["--server", "wss://localhost:1", "--expose", "8000"], environment: [:])
            #expect(try client.ended() == .code(78))
            try client.line(containing: "there is no API key")
        }
    }

    @Test func `the server takes its key from SOCKETS_SINGLE_API_KEY too`() throws {
        try Stage.run { stage in
            let echo = try stage.echo()
            let server = try stage.server(environment: ["SOCKETS_SINGLE_API_KEY": stage.key])
            let tunnel = try stage.tunnel(server, to: [echo.port])
            try exchange(stage.visit(tunnel.port))
        }
    }

    @Test(arguments: ["", "\n", "\r\n"])
    func `a key file may end with one newline`(ending: String) throws {
        try Stage.run { stage in
            let echo = try stage.echo()
            let file = try stage.file("key", stage.key + ending)
            let server = try stage.server("--api-key-file", file, environment: [:])
            let client = try stage.client(
                ["--server", server.url, "--expose", "\(echo.port)", "--api-key-file", file], environment: [:])
            try exchange(stage.visit(try client.event("tunnel").port("url")))
        }
    }

    @Test func `a key file with more than a key, with nothing, or not there ends with 78`() throws {
        try Stage.run { stage in
            let files = [
                (try stage.file("two-lines", "\(stage.key)\n\n"), "API key has a blank"),
                (try stage.file("empty", "\n"), "is empty"),
                ("\(stage.folder)/absent", "cannot read the key file"),
            ]
            for (file, message) in files {
                let program = try stage.start(
                    "\(Toolchain.programs)/ws-tunnel-server", ["--listen", "127.0.0.1:0", "--api-key-file", file])
                #expect(try program.ended() == .code(78), "\(file)")
                try program.line(containing: message)
            }
        }
    }

    @Test func `no log and no list of processes shows the key`() throws {
        try Stage.run { stage in
            let echo = try stage.echo()
            let server = try stage.server("--log-level", "trace", "--grace-period", "0s")
            let tunnel = try stage.tunnel(
                server, to: [echo.port], arguments: ["--log-level", "trace", "--grace-period", "0s"])
            try exchange(stage.visit(tunnel.port))
            let refused = try stage.client(
                ["--server", server.url, "--expose", "8000", "--log-level", "trace"],
                environment: ["SOCKETS_API_KEY": "\(stage.key)x"])
            #expect(try refused.ended() == .code(77))
            for program in [server.program, tunnel.client] {
                let command = try String(contentsOfFile: "/proc/\(program.pid)/cmdline", encoding: .utf8)
                #expect(command.contains(program.name))
                #expect(!command.contains(stage.key))
                program.signal(SIGTERM)
                #expect(try program.ended() == .code(0))
            }
            for program in [server.program, tunnel.client, refused] {
                #expect(program.count(ofLinesContaining: stage.key) == 0)
            }
        }
    }

    @Test func `a request by hand is answered 401 ten times, then 429 with the time to wait`() throws {
        try Stage.run { stage in
            let server = try stage.server()
            let headers = [
                "Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13",
                "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==", "Sec-WebSocket-Protocol: ws-tunnel.1",
            ]
            func answer(key: String?) throws -> [String] {
                let fields = (headers + (key.map { ["Authorization: Bearer \($0)"] } ?? [])).flatMap { ["--header", $0] }
                let curl = try stage.start(
                    "curl",
                    ["--silent", "--insecure", "--include", "--http1.1", "--max-time", "5"] + fields
                        + ["https://localhost:\(server.port)/_ws-tunnel/v1"])
                _ = try curl.ended()
                return curl.log()
            }
            let first = try answer(key: nil)
            #expect(first.first?.hasPrefix("HTTP/1.1 401") == true)
            #expect(first.contains { $0.lowercased().hasPrefix("www-authenticate: bearer") })
            for _ in 2...10 { #expect(try answer(key: "wrong").first?.hasPrefix("HTTP/1.1 401") == true) }
            let late = try answer(key: "wrong")
            #expect(late.first?.hasPrefix("HTTP/1.1 429") == true)
            let wait = late.first { $0.lowercased().hasPrefix("retry-after: ") }
            #expect(wait.flatMap { Int($0.dropFirst(13)) }.map { (1...60).contains($0) } == true)
            // Even the right key has to wait now: otherwise the answer would tell it from a wrong one.
            #expect(try answer(key: stage.key).first?.hasPrefix("HTTP/1.1 429") == true)
        }
    }

    @Test(arguments: [("7", 7_000...7_500), ("Fri, 31 Dec 1999 23:59:59 GMT", 0...500), ("99999999999999999999", 0...500), ("86400", 300_000...300_500)])
    func `a client that is told to wait waits so long`(retryAfter: String, milliseconds: ClosedRange<Int>) throws {
        try Stage.run { stage in
            let server = try stage.service { connection in
                var request = ""
                while !request.hasSuffix("\r\n\r\n"), let bytes = try connection.receiveSome(atMost: 1 << 16) {
                    request += String(decoding: bytes, as: UTF8.self)
                }
                try connection.send("HTTP/1.1 429 Too Many Requests\r\nRetry-After: \(retryAfter)\r\nContent-Length: 0\r\n\r\n")
                connection.finish()
            }
            let client = try stage.client(["--server", "ws://localhost:\(server.port)", "--expose", "8000"])
            let wait = try client.event("lost").number("retryInMilliseconds")
            #expect(wait.map { milliseconds.contains($0) } == true, "\(wait ?? -1)")
            try client.line(containing: "Correct the key of the clients there, or wait.")
        }
    }

    @Test func `the key does not go over an unencrypted way to another machine`() throws {
        try Stage.run { stage in
            let arguments = ["--server", "ws://tunnel.example.com", "--expose", "8000"]
            let client = try stage.client(arguments)
            #expect(try client.ended() == .code(78))
            try client.line(containing: "ws://tunnel.example.com is not encrypted")
            try client.line(containing: "--allow-plain-text-key")
        }
    }

    @Test func `on this machine a server without TLS is reached with ws`() throws {
        try Stage.run { stage in
            let echo = try stage.echo()
            let tunnel = try stage.tunnel(stage.server("--plain"), to: [echo.port])
            try exchange(stage.visit(tunnel.port))
        }
    }

    @Test func `a keepalive of no time is refused by both programs`() throws {
        try Stage.run { stage in
            for program in [
                try stage.start(
                    "\(Toolchain.programs)/ws-tunnel-server", ["--listen", "127.0.0.1:0", "--plain", "--keepalive", "0s"],
                    environment: ["SOCKETS_API_KEY": stage.key]),
                try stage.client(["--server", "ws://localhost:1", "--expose", "8000", "--keepalive", "0s"]),
            ] {
                #expect(try program.ended() == .code(78))
                try program.line(containing: "a keepalive of no time at all")
            }
        }
    }

    @Test func `a key in the server's address is refused without repeating it`() throws {
        try Stage.run { stage in
            let client = try stage.client(["--server", "wss://user:\(stage.key)@localhost", "--expose", "8000"])
            #expect(try client.ended() == .code(78))
            try client.line(containing: "the server's address holds a user or a key")
            #expect(client.count(ofLinesContaining: stage.key) == 0)
        }
    }
}
