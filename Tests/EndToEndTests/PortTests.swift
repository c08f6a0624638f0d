import Foundation
import Testing

/// Who gets which public port.
@Suite struct PortTests {
    @Test func `several clients expose several services each`() throws {
        try Stage.run { stage in
            let server = try stage.server()
            let tunnels = try (0..<3).map { client in
                let services = try (0..<3).map { number in
                    try stage.service { try $0.send("service \(number) of client \(client)") }
                }
                return try stage.tunnel(server, to: services.map(\.port))
            }
            #expect(Set(tunnels.flatMap(\.ports)).count == 9)
            for (client, tunnel) in tunnels.enumerated() {
                for (number, port) in tunnel.ports.enumerated() {
                    let visitor = try stage.visit(port)
                    #expect(try visitor.receiveText(21) == "service \(number) of client \(client)")
                }
            }
        }
    }

    @Test func `a port that is asked for is given, and a taken one ends the client with 73`() throws {
        try Stage.run { stage in
            let echo = try stage.echo()
            let server = try stage.server()
            let port = try stage.freePort()
            let first = try stage.tunnel(server, to: [echo.port], arguments: ["--remote-port", "\(port)"])
            #expect(first.port == port)
            let second = try stage.client(["--server", server.url, "--expose", "\(echo.port),port=\(port)"])
            #expect(try second.ended() == .code(73))
            try second.line(containing: "port \(port) is taken")
            #expect(try second.event("error").number("code") == 73)
            // Somebody else's program is no different from somebody else's tunnel.
            let third = try stage.client(["--server", server.url, "--expose", "8000", "--remote-port", "\(echo.port)"])
            #expect(try third.ended() == .code(73))
            try exchange(stage.visit(port))
        }
    }

    @Test func `a client that cannot keep its name says so once and goes on`() throws {
        try Stage.run { stage in
            let echo = try stage.echo()
            let server = try stage.server("--plain")
            let file = try stage.file("no folder", "")
            let tunnel = try stage.tunnel(server, to: [echo.port], arguments: ["--state-dir", file])
            try exchange(stage.visit(tunnel.port))
            let sentence = "the state folder \(file) is not a folder of this user's"
            try tunnel.client.line(containing: "warning", sentence)
            try tunnel.client.line(containing: "pass --client-id or --state-dir")
            #expect(tunnel.client.events("error").filter { $0["message"]?.contains(sentence) == true }.count == 1)
            // Whoever names it needs no folder.
            let named = try stage.tunnel(server, to: [echo.port], arguments: ["--state-dir", file, "--client-id", "named"])
            #expect(named.client.count(ofLinesContaining: "state folder") == 0)
        }
    }

    @Test(arguments: [SIGTERM, SIGKILL])
    func `a port is free again as soon as its client is gone`(signal: Int32) throws {
        try Stage.run { stage in
            let echo = try stage.echo()
            let server = try stage.server("--resume-window", "0s")
            let first = try stage.tunnel(server, to: [echo.port], arguments: ["--grace-period", "0s"])
            // A stream is open: its socket must not hold the port either.
            let visitor = try stage.visit(first.port)
            try exchange(visitor)
            first.client.signal(signal)
            _ = try first.client.ended()
            try server.program.event("tunnel-closed")
            #expect(visitor.awaitEnd() != .none)
            let second = try stage.tunnel(server, to: [echo.port], arguments: ["--remote-port", "\(first.port)"])
            #expect(second.port == first.port)
            try exchange(stage.visit(second.port))
        }
    }

    @Test func `a server's range of ports is kept, and when it is used up that is said`() throws {
        try Stage.run { stage in
            let echo = try stage.echo()
            let first = try stage.freePort()
            let server = try stage.server("--tcp-ports", "\(first)-\(first + 1)")
            let tunnel = try stage.tunnel(server, to: [echo.port])
            #expect((first...first + 1).contains(tunnel.port))
            let outside = try stage.client(["--server", server.url, "--expose", "\(echo.port),port=\(first + 2)"])
            #expect(try outside.ended() == .code(1))
            try outside.line(containing: "port \(first + 2) is not among this server's ports for tunnels (\(first)-\(first + 1))")

            _ = try stage.tunnel(server, to: [echo.port])
            let third = try stage.client(["--server", server.url, "--expose", "\(echo.port)"])
            try third.line(containing: "no port of this server's range is free")
            // It waits for its turn.
            tunnel.client.signal(SIGTERM)
            #expect(try third.event("tunnel").port("url") == tunnel.port)
        }
    }

    @Test func `ports below 1024 belong to the system`() throws {
        try Stage.run { stage in
            let server = try stage.server()
            let client = try stage.client(["--server", server.url, "--expose", "8000", "--remote-port", "80"])
            #expect(try client.ended() == .code(1))
            try client.line(containing: "port 80 is not among this server's ports")
        }
    }

    @Test(arguments: ["0", "ftp://127.0.0.1:8000", "127.0.0.1", "8000,port=0", "8000,colour=red", "unix:"])
    func `what cannot be exposed is said before anything starts`(address: String) throws {
        try Stage.run { stage in
            let client = try stage.client(["--server", "wss://localhost:1", "--expose", address])
            #expect(try client.ended() == .code(78))
            try client.line(containing: "cannot expose \(address.split(separator: ",")[0])")
        }
    }

    @Test func `more tunnels than a session has are refused before anything starts`() throws {
        try Stage.run { stage in
            let exposures = (1...257).flatMap { ["--expose", "\($0)"] }
            let client = try stage.client(["--server", "wss://localhost:1", "--insecure"] + exposures)
            #expect(try client.ended() == .code(78))
            try client.line(containing: "at most 256 tunnels, not 257")
        }
    }

    @Test(arguments: [["--listen"], ["--listen", "127.0.0.1:0", "--tls-listen"]])
    func `a server whose address is taken says so and ends with 73`(options: [String]) throws {
        try Stage.run { stage in
            let echo = try stage.echo()
            let server = try stage.start(
                "\(Toolchain.programs)/ws-tunnel-server", options + ["127.0.0.1:\(echo.port)"],
                environment: ["SOCKETS_API_KEY": stage.key])
            #expect(try server.ended() == .code(73))
            try server.line(containing: "cannot listen on 127.0.0.1:\(echo.port)", "in use")
            try server.line(containing: "Choose another address with \(options[options.count - 1])")
        }
    }

    // TEST-NET-1 (RFC 5737) is nobody's; a name with an empty label is one for no resolver.
    @Test(arguments: [
        ("192.0.2.1", "cannot listen on --bind 192.0.2.1: cannot assign requested address"),
        ("a..b", "cannot listen on --bind a..b: the name a..b does not resolve"), ("", "--bind names no address"),
    ])
    func `a server that cannot open ports for tunnels says so before it is ready`(host: String, sentence: String) throws {
        try Stage.run { stage in
            let server = try stage.start(
                "\(Toolchain.programs)/ws-tunnel-server", ["--listen", "127.0.0.1:0", "--plain", "--bind", host, "--json"],
                environment: ["SOCKETS_API_KEY": stage.key])
            #expect(try server.ended() == .code(78))
            try server.line(containing: "error: \(sentence)")
            #expect(server.events("ready").isEmpty)
        }
    }

    @Test func `tunnels' ports listen on an IPv6 address written with brackets`() throws {
        try Stage.run { stage in
            let echo = try stage.echo()
            let tunnel = try stage.tunnel(stage.server("--bind", "[::]"), to: [echo.port])
            try exchange(stage.visit(tunnel.port))
        }
    }

    @Test(arguments: [("[2001:db8::5]", "[2001:db8::5]"), ("203.0.113.5", "203.0.113.5"), ("tunnel.example.com", "tunnel.example.com")])
    func `a public host is what URLs show`(host: String, shown: String) throws {
        try Stage.run { stage in
            let server = try stage.server("--plain", "--public-host", host)
            let client = try stage.client(["--server", server.url, "--expose", "8000"])
            let event = try client.event("tunnel")
            #expect(event["url"] == "\(shown):\(try event.port("url"))")
        }
    }

    @Test(arguments: ["http://x/", "", "a b", "tunnel.example.com:8443", "[]", "::1::"])
    func `a public host that makes no URL is refused`(host: String) throws {
        try Stage.run { stage in
            let server = try stage.start(
                "\(Toolchain.programs)/ws-tunnel-server", ["--listen", "127.0.0.1:0", "--plain", "--public-host", host],
                environment: ["SOCKETS_API_KEY": stage.key])
            #expect(try server.ended() == .code(78))
            try server.line(containing: "is not a host that URLs can show")
            try server.line(containing: "Write --public-host as a name or an address")
        }
    }
}
