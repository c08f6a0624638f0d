import Foundation
import Testing

/// Tunnels of TLS connections, found by the name in the ClientHello: the service has the certificate.
struct TLSNameTests {
    /// A service with a certificate for its public name, and a client that exposes it.
    private func expose(
        _ label: String, at server: Server, _ options: String = "", on stage: Stage
    ) throws -> (authority: Authority, client: Program, url: String) {
        let authority = try Authority("authority-\(label)", on: stage)
        let identity = try authority.issue("DNS:\(label).localhost")
        let origin = try Origin("name=\(label)", "tls=\(identity.certificate),\(identity.key)", on: stage)
        let client = try stage.client([
            "--server", server.url, "--insecure", "--expose", "tls://127.0.0.1:\(origin.port),subdomain=\(label)\(options)",
        ])
        guard let url = try client.event("tunnel")["url"] else { throw Failure("the event tunnel has no url") }
        return (authority, client, url)
    }

    private func visit(_ label: String, _ port: UInt16, _ authority: Authority, _ path: String, on stage: Stage) throws -> Curl {
        try Curl(["--cacert", authority.certificate, "https://\(label).localhost:\(port)\(path)"], on: stage)
    }

    @Test func `each name leads to its own service, which visitors verify, on the server's port and on another`() throws {
        try Stage.run { stage in
            let other = try stage.freePort()
            let server = try stage.server("--tls-listen", "127.0.0.1:\(other)")
            let one = try self.expose("one", at: server, on: stage)
            let two = try self.expose("two", at: server, on: stage)
            #expect(one.url == "tls://one.localhost:\(other)")
            for port in [server.port, other] {
                for (label, tunnel) in [("one", one), ("two", two)] {
                    let visit = try self.visit(label, port, tunnel.authority, "/echo", on: stage)
                    #expect(visit.answer.status == 200 && visit.answer["X-Origin"] == label)
                    let bulk = try self.visit(label, port, tunnel.authority, "/bytes/30000000", on: stage)
                    #expect(bulk.answer.body.count == 30_000_000)
                }
            }
        }
    }

    @Test func `a name that nobody has is refused by an alert where only names are served`() throws {
        try Stage.run { stage in
            let other = try stage.freePort()
            _ = try stage.server("--tls-listen", "127.0.0.1:\(other)")
            let curl = try stage.start("curl", ["-sSk", "https://nobody.localhost:\(other)/"])
            try curl.line(containing: "unrecognized name")
            #expect(try curl.ended(within: Patience.long) == .code(35))
        }
    }

    @Test func `the networks of a TLS tunnel hold`() throws {
        try Stage.run { stage in
            let server = try stage.server()
            let tunnel = try self.expose("shut", at: server, ",deny-ip=127.0.0.0/8", on: stage)
            #expect(throws: (any Error).self) { try self.visit("shut", server.port, tunnel.authority, "/echo", on: stage) }
            let open = try self.expose("open", at: server, ",allow-ip=127.0.0.1", on: stage)
            #expect(try self.visit("open", server.port, open.authority, "/echo", on: stage).answer.status == 200)
        }
    }

    @Test func `the networks of a TCP tunnel hold`() throws {
        try Stage.run { stage in
            let server = try stage.server()
            let service = try stage.service { visitor in try visitor.send("hello\n") }
            let client = try stage.client([
                "--server", server.url, "--insecure", "--expose", "127.0.0.1:\(service.port),deny-ip=127.0.0.0/8",
                "--expose", "127.0.0.1:\(service.port),name=open,allow-ip=127.0.0.1",
            ])
            let shut = try client.event("tunnel") { $0["name"] == nil }.port("url")
            let open = try client.event("tunnel") { $0["name"] == "open" }.port("url")
            #expect(try stage.visit(open).receiveText(6) == "hello\n")
            #expect(throws: (any Error).self) { try stage.visit(shut).receiveText(6) }
        }
    }
}
