import Foundation
import Testing

/// The visitor's address on its whole way: from the load balancer in front of a tunnel's port to the service.
@Suite struct VisitorAddressTests {
    /// A service of HAProxy's that answers with the address and the port it was told.
    private static func telling(_ bind: String) -> String {
        """
        mode http
        bind @PORT@
        bind \(bind)
        http-request return status 200 content-type text/plain lf-string "%[src]:%[src_port] to %[dst]:%[dst_port]!"
        """
    }

    @Test(arguments: [("v1", "send-proxy"), ("v2", "send-proxy-v2"), ("auto", "send-proxy-v2")])
    func `the address that a load balancer tells reaches the service, and every byte behind it`(version: String, option: String) throws {
        try Stage.run { stage in
            let service = try stage.service()
            let server = try stage.server("--trusted-proxies", LoadBalancer.address, "--tunnel-proxy-protocol", version)
            let tunnel = try stage.tunnel(server, to: [service.port], arguments: ["--send-proxy", "v1"])
            let balancer = try LoadBalancer(LoadBalancer.passing(to: tunnel.port, option), on: stage)
            let visitor = try stage.visit(balancer.port)
            let bytes = (0..<3_000_000).map { UInt8(truncatingIfNeeded: $0 &* 31 >> 3) }
            Thread.detachNewThread {
                try? visitor.send(bytes)
                visitor.finish()
            }
            let served = try service.accept()
            let header = "PROXY TCP4 127.0.0.1 127.0.0.1 \(visitor.localPort) \(balancer.port)\r\n"
            #expect(try served.receiveText(header.utf8.count) == header)
            #expect(try served.receiveToEnd() == bytes)
            // And the other way, with nothing in front.
            try served.send("bye\n")
            served.finish()
            #expect(String(decoding: try visitor.receiveToEnd(), as: UTF8.self) == "bye\n")
        }
    }

    @Test(arguments: ["v1", "v2"]) func `a service that speaks the PROXY protocol learns the visitor's address`(version: String) throws {
        try Stage.run { stage in
            let path = "\(stage.folder)/service.sock"
            _ = try LoadBalancer(Self.telling("unix@\(path) accept-proxy"), on: stage)
            let server = try stage.server()
            let client = try stage.client(["--server", server.url, "--expose", "unix:\(path),send-proxy=\(version),name=web"])
            let port = try client.event("tunnel").port("url")
            for _ in 1...3 {
                let visitor = try stage.visit(port)
                try visitor.send("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
                var answer = ""
                while !answer.hasSuffix("!") { answer += try visitor.receiveText(1) }
                #expect(answer.hasSuffix("127.0.0.1:\(visitor.localPort) to 127.0.0.1:\(port)!"), "\(answer)")
            }
        }
    }

    @Test(arguments: ["", ",send-proxy=v1"])
    func `a service on a UNIX socket that answers and closes is heard to its end`(options: String) throws {
        try Stage.run { stage in
            let path = "\(stage.folder)/service.sock"
            _ = try LoadBalancer(Self.telling("unix@\(path) \(options.isEmpty ? "" : "accept-proxy")"), on: stage)
            let server = try stage.server()
            let client = try stage.client(["--server", server.url, "--expose", "unix:\(path)\(options)"])
            let port = try client.event("tunnel").port("url")
            for _ in 1...20 {
                let visitor = try stage.visit(port)
                try visitor.send("GET / HTTP/1.0\r\n\r\n")
                #expect(String(decoding: try visitor.receiveToEnd(), as: UTF8.self).hasSuffix("!"))
            }
        }
    }

    @Test func `without send-proxy a service gets the visitor's bytes alone`() throws {
        try Stage.run { stage in
            let service = try stage.service()
            let tunnel = try stage.tunnel(to: service.port)
            let visitor = try stage.visit(tunnel.port)
            try visitor.send("hello")
            visitor.finish()
            #expect(String(decoding: try service.accept().receiveToEnd(), as: UTF8.self) == "hello")
        }
    }

    @Test func `a service that speaks first is heard by a visitor that waits`() throws {
        try Stage.run { stage in
            let service = try stage.service()
            let server = try stage.server("--trusted-proxies", "127.0.0.1", "--tunnel-proxy-protocol", "auto")
            let tunnel = try stage.tunnel(server, to: [service.port], arguments: ["--send-proxy", "v2"])
            let visitor = try stage.visit(tunnel.port)
            try visitor.send("PROXY TCP6 2001:db8::7 2001:db8::1 41234 25\r\n")
            let served = try service.accept()
            let header = try served.receive(52)
            #expect(Array(header[12..<16]) == [0x21, 0x21, 0, 36])
            #expect(Array(header[16..<20]) == [0x20, 0x01, 0x0D, 0xB8] && header[31] == 7)
            #expect(Array(header[48...]) == [0xA1, 0x12, 0, 25])
            try served.send("220 hello\r\n")
            #expect(try visitor.receiveText(11) == "220 hello\r\n")
        }
    }

    @Test func `a load balancer that speaks for itself has its own address`() throws {
        try Stage.run { stage in
            let service = try stage.service()
            let server = try stage.server("--trusted-proxies", "127.0.0.1", "--tunnel-proxy-protocol", "v1")
            let tunnel = try stage.tunnel(server, to: [service.port], arguments: ["--send-proxy", "v1"])
            let visitor = try stage.visit(tunnel.port)
            try visitor.send("PROXY UNKNOWN\r\nhello")
            visitor.finish()
            let served = String(decoding: try service.accept().receiveToEnd(), as: UTF8.self)
            #expect(served == "PROXY TCP4 127.0.0.1 127.0.0.1 \(visitor.localPort) \(tunnel.port)\r\nhello")
        }
    }

    @Test func `visitors past the load balancer, and those without a header, are turned away`() throws {
        try Stage.run { stage in
            let echo = try stage.echo()
            for (trusted, reason) in [("192.0.2.1", "taken from --trusted-proxies only"), ("127.0.0.1", "does not begin with a header")] {
                let server = try stage.server("--trusted-proxies", trusted, "--tunnel-proxy-protocol", "auto")
                let tunnel = try stage.tunnel(server, to: [echo.port])
                let visitor = try stage.visit(tunnel.port)
                try? visitor.send("hello\n")
                #expect(visitor.awaitEnd() != .none)
                try server.program.line(containing: "refused a visitor", "address=127.0.0.1:", "port=\(tunnel.port) ", reason)
                #expect(server.program.count(ofLinesContaining: "refused a visitor") == 1)
            }
        }
    }

    @Test func `a load balancer's look at a tunnel's port is no visitor and no news`() throws {
        try Stage.run { stage in
            let service = try stage.service()
            let server = try stage.server("--trusted-proxies", "127.0.0.1", "--tunnel-proxy-protocol", "auto")
            let tunnel = try stage.tunnel(server, to: [service.port])
            for _ in 1...3 {
                try stage.visit(tunnel.port).close()
                // HAProxy leaves with a reset.
                try stage.visit(tunnel.port).reset()
            }
            let visitor = try stage.visit(tunnel.port)
            try visitor.send("PROXY UNKNOWN\r\nfirst")
            // The first that comes to the service is the first that sent something.
            #expect(try service.accept().receiveText(5) == "first")
            #expect(server.program.count(ofLinesContaining: "refused a visitor") == 0)
        }
    }

    @Test func `send-proxy is refused where it means nothing`() throws {
        try Stage.run { stage in
            let cases: [(arguments: [String], exit: Int32, message: String)] = [
                (["--expose", "8000,send-proxy=v3"], 78, "v3 is neither v1 nor v2 of the PROXY protocol"),
                (["--expose", "8000", "--send-proxy", "v3"], 64, "v3"),
                (["--expose", "8000", "--expose", "8001", "--send-proxy", "v1"], 64, "--expose ADDR,send-proxy=v1"),
                (["--expose", "8000,send-proxy=v1", "--send-proxy", "v2"], 78, "given twice"),
            ]
            for (arguments, exit, message) in cases {
                let client = try stage.client(["--server", "wss://localhost:1"] + arguments)
                #expect(try client.ended() == .code(exit), "\(arguments)")
                try client.line(containing: message)
            }
        }
    }
}
