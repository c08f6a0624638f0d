import Foundation
import Testing

/// Who may reach a tunnel's service, with what, and for how long: decided before anything reaches the client.
@Suite struct HTTPPolicyTests {
    @Test func `a tunnel with a password asks for it, and the service and the logs never see it`() throws {
        try Stage.run { stage in
            let secret = "fish and chips"
            let tunnel = try stage.httpTunnel(
                server: ["--log-level", "debug"], arguments: ["--basic-auth", "sam:\(secret)", "--log-level", "debug"])
            let refusal = try tunnel.ask("/echo/none")
            #expect(refusal.status == 401 && refusal["WWW-Authenticate"]?.hasPrefix("Basic ") == true)
            for login in ["sam:wrong", "sam:", "sam:\(secret) ", "Sam:\(secret)", ":\(secret)"] {
                #expect(try tunnel.curl("/echo/wrong", "-u", login).answer.status == 401, "\(login)")
            }
            for field in ["Basic", "Basic !!", "Bearer \(Data("sam:\(secret)".utf8).base64EncodedString())"] {
                #expect(try tunnel.ask("GET", "/echo/wrong", "Authorization: \(field)\r\n").status == 401, "\(field)")
            }
            #expect(try tunnel.curl("/echo/right", "-u", "sam:\(secret)").answer.status == 200)
            #expect(try tunnel.origin.requests().map(\.target) == ["/echo/right"])
            let encoded = Data("sam:\(secret)".utf8).base64EncodedString()
            for program in [tunnel.server.program, tunnel.client] {
                #expect(program.log().allSatisfy { !$0.contains(secret) && !$0.contains(encoded) })
            }
        }
    }

    @Test func `two passwords in one request are none`() throws {
        try Stage.run { stage in
            let tunnel = try stage.httpTunnel(arguments: ["--basic-auth", "sam:secret"])
            let right = "Authorization: Basic \(Data("sam:secret".utf8).base64EncodedString())\r\n"
            #expect(try tunnel.ask("GET", "/echo/1", right).status == 200)
            #expect(try [400, 401].contains(tunnel.ask("GET", "/echo/2", right + "Authorization: Basic eDp4\r\n").status))
            #expect(try tunnel.origin.requests().map(\.target) == ["/echo/1"])
        }
    }

    /// The policy is asked for each request, and not once for the connection.
    @Test func `a password counts for the request that carries it alone`() throws {
        try Stage.run { stage in
            let tunnel = try stage.httpTunnel(arguments: ["--basic-auth", "sam:secret"])
            let visitor = try tunnel.visitor()
            let right = "Authorization: Basic \(Data("sam:secret".utf8).base64EncodedString())\r\n"
            for (fields, status) in [(right, 200), ("", 401), (right, 200)] {
                try visitor.send("GET /echo HTTP/1.1\r\nHost: \(tunnel.authority)\r\n\(fields)\r\n")
                #expect(try visitor.answer().status == status)
            }
        }
    }

    @Test(arguments: [
        (["--allow-ip", "127.0.0.0/8"], 200), (["--allow-ip", "10.0.0.0/8"], 403), (["--deny-ip", "127.0.0.1"], 403),
        (["--allow-ip", "127.0.0.0/8", "--deny-ip", "127.0.0.1/32"], 403), (["--deny-ip", "10.0.0.0/8"], 200),
        (["--allow-ip", "::1"], 403),
    ] as [([String], Int)])
    func `addresses are allowed and denied`(arguments: [String], status: Int) throws {
        try Stage.run { stage in
            let tunnel = try stage.httpTunnel(arguments: arguments)
            #expect(try tunnel.ask("/echo").status == status)
            #expect(try tunnel.origin.requests().count == (status == 200 ? 1 : 0))
        }
    }

    @Test func `behind a trusted proxy it is the visitor's address that counts, for each request anew`() throws {
        try Stage.run { stage in
            let tunnel = try stage.httpTunnel(server: ["--trusted-proxies", "127.0.0.1"], arguments: ["--allow-ip", "203.0.113.0/24"])
            let visitor = try tunnel.visitor()
            for (address, status) in [("203.0.113.7", 200), ("198.51.100.1", 403), ("198.51.100.1, 203.0.113.8", 200), ("203.0.113.7, 198.51.100.1", 403)] {
                try visitor.send("GET /echo HTTP/1.1\r\nHost: \(tunnel.authority)\r\nX-Forwarded-For: \(address)\r\n\r\n")
                #expect(try visitor.answer().status == status, "\(address)")
            }
            #expect(try tunnel.origin.requests().count == 2)
        }
    }

    /// Many proxies write one of the two fields, and pass the other one on.
    @Test(arguments: [["--deny-ip", "203.0.113.0/24"], ["--allow-ip", "127.0.0.0/8"]])
    func `a field of the visitor's own does not lend it the proxy's address`(rule: [String]) throws {
        try Stage.run { stage in
            let tunnel = try stage.httpTunnel(server: ["--trusted-proxies", "127.0.0.1"], arguments: rule)
            let visitor = try tunnel.visitor()
            for forged in ["", "Forwarded: for=192.0.2.1\r\n", "Forwarded: for=\"\r\n"] {
                try visitor.send("GET /echo HTTP/1.1\r\nHost: \(tunnel.authority)\r\n\(forged)X-Forwarded-For: 203.0.113.7\r\n\r\n")
                #expect(try visitor.answer().status == 403, "\(forged)")
            }
            #expect(try tunnel.origin.requests().isEmpty)
        }
    }

    @Test func `a body that is too large is refused by its length, and by counting where it has none`() throws {
        try Stage.run { stage in
            let tunnel = try stage.httpTunnel(arguments: ["--max-body", "10KiB"])
            #expect(try tunnel.ask("POST", "/echo/fits", "Content-Length: 10240\r\n", body: String(repeating: "x", count: 10_240)).status == 200)
            let told = try tunnel.visitor()
            try told.send("POST /echo/told HTTP/1.1\r\nHost: \(tunnel.authority)\r\nContent-Length: 10241\r\n\r\n")
            #expect(try told.answer().status == 413)
            let expecting = try tunnel.visitor()
            try expecting.send("POST /echo/told HTTP/1.1\r\nHost: \(tunnel.authority)\r\nContent-Length: 10241\r\nExpect: 100-continue\r\n\r\n")
            let refusal = try expecting.answer()
            #expect(refusal.status == 413 && refusal.interim.isEmpty)

            let counted = try tunnel.visitor()
            let chunk = "1000\r\n\(String(repeating: "x", count: 4_096))\r\n"
            try counted.send("POST /echo/counted HTTP/1.1\r\nHost: \(tunnel.authority)\r\nTransfer-Encoding: chunked\r\n\r\n\(chunk)\(chunk)")
            // It is on its way to the service by now, and is cut off there.
            try counted.send(chunk)
            #expect(try counted.answer().status == 413)
            #expect(counted.connection.awaitEnd() != .none)
            #expect(try tunnel.origin.requests().map(\.target) == ["/echo/fits"])
            #expect(try tunnel.ask("/echo/after").status == 200)
        }
    }

    @Test func `a service that does not answer in time is given up, and hears of it`() throws {
        try Stage.run { stage in
            let tunnel = try stage.httpTunnel(arguments: ["--timeout", "1s"])
            let start = Date()
            let answer = try tunnel.ask("GET", "/hold", "Accept: text/html\r\n")
            #expect(answer.status == 504 && answer["Content-Type"]?.hasPrefix("text/html") == true)
            #expect(1...(4 * Patience.slowness) ~= Date().timeIntervalSince(start))
            // An answer that has begun may take its time.
            let visitor = try tunnel.visitor()
            try visitor.send("GET /events HTTP/1.1\r\nHost: \(tunnel.authority)\r\n\r\n")
            #expect(try visitor.head().status == 200)
            _ = try visitor.receive(4)
            Thread.sleep(until: Date() + 1.5)
            try tunnel.origin.release()
            try tunnel.origin.release()
            #expect(visitor.connection.hasBytes(within: Patience.usual))
        }
    }
}
