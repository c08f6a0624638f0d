import Foundation
import Testing

/// Behind HTTPS load balancers: whose address counts, and whose word for it.
@Suite struct LoadBalancerTests {
    /// What a request for an upgrade is answered with.
    private func status(
        _ stage: Stage, port: UInt16, key: String, forwardedFor: String? = nil, forwarded: String? = nil, before: String = ""
    ) throws -> String {
        let fields = [forwardedFor.map { "X-Forwarded-For: \($0)\r\n" }, forwarded.map { "Forwarded: \($0)\r\n" }]
        let visitor = try stage.visit(port)
        try visitor.send(before + RawWebSocket.request(key: key, extra: fields.compactMap(\.self).joined()))
        return try visitor.receiveText(12)
    }

    @Test func `a client behind an HTTPS load balancer has its own address, and its tunnel works`() throws {
        try Stage.run { stage in
            let echo = try stage.echo()
            let server = try stage.server("--plain", "--trusted-proxies", "10.0.0.0/8,\(LoadBalancer.address)")
            let (section, authority) = try LoadBalancer.endingTLS(before: server, on: stage)
            let balancer = try LoadBalancer(section, on: stage)
            let tunnel = try stage.tunnel(
                server.behindTLS(on: balancer.port), to: [echo.port], arguments: ["--ca-file", authority])
            // The field tells no port.
            #expect(try server.program.event("connected")["address"] == "127.0.0.1")
            try server.program.line(containing: "client connected", "address=127.0.0.1 ", "proto=https")
            try exchange(stage.visit(tunnel.port), String(repeating: "0123456789abcdef", count: 4_096))
        }
    }

    @Test func `a load balancer that is not trusted is taken for the client`() throws {
        try Stage.run { stage in
            let echo = try stage.echo()
            let server = try stage.server("--plain")
            let (section, authority) = try LoadBalancer.endingTLS(before: server, on: stage)
            let balancer = try LoadBalancer(section, on: stage)
            let tunnel = try stage.tunnel(
                server.behindTLS(on: balancer.port), to: [echo.port], arguments: ["--ca-file", authority])
            #expect(try server.program.event("connected")["address"]?.hasPrefix("\(LoadBalancer.address):") == true)
            try exchange(stage.visit(tunnel.port))
        }
    }

    // MARK: Who may be locked out

    @Test(arguments: [[], ["--trusted-proxies", "10.0.0.0/8,192.0.2.1"]])
    func `a stranger who claims another address with each wrong key is refused all the same`(arguments: [String]) throws {
        try Stage.run { stage in
            let server = try stage.server(["--plain"] + arguments)
            for number in 1...10 {
                let answer = try self.status(
                    stage, port: server.port, key: "wrong", forwardedFor: "203.0.113.\(number)", forwarded: "for=203.0.113.\(number)")
                #expect(answer == "HTTP/1.1 401")
            }
            #expect(try self.status(stage, port: server.port, key: "wrong", forwardedFor: "203.0.113.99") == "HTTP/1.1 429")
            #expect(server.program.count(ofLinesContaining: "203.0.113.") == 0)
        }
    }

    @Test func `behind a trusted proxy one address is refused and another is let in`() throws {
        try Stage.run { stage in
            let server = try stage.server("--plain", "--trusted-proxies", "127.0.0.1")
            let (guesser, other) = ("203.0.113.7", "203.0.113.8")
            for number in 1...10 {
                // What the guesser writes itself stands at the left.
                let answer = try self.status(
                    stage, port: server.port, key: "wrong", forwardedFor: "198.51.100.\(number), \(guesser)")
                #expect(answer == "HTTP/1.1 401")
            }
            #expect(try self.status(stage, port: server.port, key: stage.key, forwardedFor: guesser) == "HTTP/1.1 429")
            #expect(try self.status(stage, port: server.port, key: stage.key, forwarded: "for=\(guesser)") == "HTTP/1.1 429")
            #expect(try self.status(stage, port: server.port, key: stage.key, forwardedFor: other) == "HTTP/1.1 101")
            #expect(try self.status(stage, port: server.port, key: stage.key, forwarded: "for=\(other)") == "HTTP/1.1 101")
            try server.program.line(containing: "refused a connection", "address=\(guesser) ", "wrong API key")
        }
    }

    @Test func `through a real load balancer a forged address helps nobody`() throws {
        try Stage.run { stage in
            let server = try stage.server("--plain", "--trusted-proxies", LoadBalancer.address)
            let balancer = try LoadBalancer(
                """
                mode http
                bind @PORT@
                option forwardfor
                server s1 127.0.0.1:\(server.port) @SOURCE@
                """, on: stage)
            for number in 1...10 {
                let answer = try self.status(stage, port: balancer.port, key: "wrong", forwardedFor: "203.0.113.\(number)")
                #expect(answer == "HTTP/1.1 401")
            }
            #expect(try self.status(stage, port: balancer.port, key: "wrong", forwardedFor: "203.0.113.99") == "HTTP/1.1 429")
            #expect(server.program.count(ofLinesContaining: "203.0.113.") == 0)
        }
    }

    // MARK: The PROXY protocol in front of clients

    @Test(arguments: [("v1", "send-proxy"), ("v2", "send-proxy-v2"), ("auto", "send-proxy"), ("auto", "send-proxy-v2 proxy-v2-options ssl,unique-id")])
    func `a load balancer that passes TLS on tells the client's address`(version: String, option: String) throws {
        try Stage.run { stage in
            let echo = try stage.echo()
            let server = try stage.server("--trusted-proxies", LoadBalancer.address, "--proxy-protocol", version)
            let balancer = try LoadBalancer(LoadBalancer.passing(to: server.port, option), on: stage)
            let cutter = try Cutter(to: balancer.port)
            defer { cutter.close() }
            let tunnel = try stage.tunnel(server.behindTLS(on: cutter.port), to: [echo.port])
            #expect(try server.program.event("connected")["address"]?.hasPrefix("127.0.0.1:") == true)
            let visitor = try stage.visit(tunnel.port)
            try exchange(visitor)
            // A connection that goes on with the session goes to the session's own event loop, wherever it arrived. With two
            // loops or more, some of these arrive on another.
            for _ in 1...4 {
                let mark = server.program.mark
                try cutter.cut()
                try server.program.line(containing: "link resumed", "address=127.0.0.1:", since: mark)
                try exchange(visitor)
            }
        }
    }

    @Test func `a header and a request may come in any pieces`() throws {
        try Stage.run { stage in
            let server = try stage.server("--plain", "--trusted-proxies", "127.0.0.1", "--proxy-protocol", "v1")
            let header = "PROXY TCP4 203.0.113.7 192.0.2.1 41234 443\r\n"
            #expect(try self.status(stage, port: server.port, key: stage.key, before: header) == "HTTP/1.1 101")
            let slow = try stage.visit(server.port)
            for byte in (header + RawWebSocket.request(key: "wrong")).utf8 { try slow.send([byte]) }
            #expect(try slow.receiveText(12) == "HTTP/1.1 401")
            try server.program.line(containing: "refused a connection", "address=203.0.113.7:41234", "wrong API key")
        }
    }

    @Test func `a trusted proxy behind another is looked through`() throws {
        try Stage.run { stage in
            let server = try stage.server("--plain", "--trusted-proxies", "127.0.0.1,10.0.0.0/8", "--proxy-protocol", "v1")
            func refused(_ source: String, _ forwardedFor: String, as address: String) throws {
                let mark = server.program.mark
                let header = "PROXY TCP4 \(source) 192.0.2.1 41234 443\r\n"
                let answer = try self.status(
                    stage, port: server.port, key: "wrong", forwardedFor: forwardedFor, before: header)
                #expect(answer == "HTTP/1.1 401")
                try server.program.line(containing: "refused a connection", "address=\(address) ", since: mark)
            }
            try refused("10.1.2.3", "203.0.113.7", as: "203.0.113.7")
            // Whom the header names is no proxy: what it writes into its request is its own.
            try refused("203.0.113.8", "203.0.113.7", as: "203.0.113.8:41234")
        }
    }

    @Test(arguments: [true, false])
    func `where the PROXY protocol is on, nobody else is let in`(isTrusted: Bool) throws {
        try Stage.run { stage in
            let trusted = isTrusted ? "127.0.0.1" : "192.0.2.1"
            let server = try stage.server("--plain", "--trusted-proxies", trusted, "--proxy-protocol", "v2")
            let stranger = try stage.visit(server.port)
            // A header of another version is none, and a stranger's is not looked at.
            try? stranger.send("PROXY TCP4 203.0.113.7 192.0.2.1 41234 443\r\n" + RawWebSocket.request(key: stage.key))
            #expect(stranger.awaitEnd() != .none)
            try server.program.line(
                containing: "refused a connection", "address=127.0.0.1:",
                isTrusted ? "does not begin with a header of the PROXY protocol" : "taken from --trusted-proxies only")
            #expect(server.program.count(ofLinesContaining: "refused a connection") == 1)
        }
    }

    @Test func `a header that does not come is not waited for`() throws {
        try Stage.run { stage in
            let echo = try stage.echo()
            let server = try stage.server("--plain", "--trusted-proxies", "127.0.0.1", "--proxy-protocol", "auto", "--tunnel-proxy-protocol", "auto")
            let balancer = try LoadBalancer("mode tcp\nbind @PORT@\nserver s1 127.0.0.1:\(server.port) send-proxy", on: stage)
            let client = try stage.client(["--server", "ws://localhost:\(balancer.port)", "--expose", "\(echo.port)"])
            let ports = [server.port, try client.event("tunnel").port("url")]
            let silent = try ports.map { try stage.visit($0) }
            try silent[1].send("PROXY ")
            for stranger in silent { #expect(stranger.awaitEnd(within: 30) != .none) }
            for port in ports { try server.program.line(containing: "port=\(port) ", "its PROXY header took longer than 10 s") }
        }
    }

    @Test(arguments: ["--proxy-protocol", "--tunnel-proxy-protocol"])
    func `the PROXY protocol without trusted proxies ends with 78`(option: String) throws {
        try Stage.run { stage in
            let server = try stage.start(
                "\(Toolchain.programs)/ws-tunnel-server", ["--listen", "127.0.0.1:0", option, "auto"],
                environment: ["SOCKETS_API_KEY": stage.key])
            #expect(try server.ended() == .code(78))
            try server.line(containing: "\(option) auto needs to know from whom")
            try server.line(containing: "--trusted-proxies 10.0.0.0/8")
        }
    }

    @Test func `a network that is none ends with 78 and says why`() throws {
        try Stage.run { stage in
            let server = try stage.start(
                "\(Toolchain.programs)/ws-tunnel-server", ["--listen", "127.0.0.1:0", "--trusted-proxies", "192.0.2.1,10.1.2.3/8"],
                environment: ["SOCKETS_API_KEY": stage.key])
            #expect(try server.ended() == .code(78))
            try server.line(containing: "cannot trust the proxies 192.0.2.1,10.1.2.3/8", "10.0.0.0/8 for the network")
        }
    }
}
