import Foundation

/// A HAProxy in front of our programs. It speaks to them from 127.0.0.9, so that its word and a stranger's can be told apart.
struct LoadBalancer {
    static let address = "127.0.0.9"

    /// The ports of its frontends, in their order.
    let ports: [UInt16]

    var port: UInt16 { self.ports[0] }

    /// Starts it and waits until it listens.
    ///
    /// - Parameter sections: One frontend each, below `listen`; `@PORT@` stands for its port and `@SOURCE@` for where it speaks
    ///   from.
    init(_ sections: String..., on stage: Stage) throws {
        let alive = try stage.freePort()
        var ports: [UInt16] = []
        while ports.count < sections.count {
            let port = try stage.freePort()
            if port != alive, !ports.contains(port) { ports.append(port) }
        }
        self.ports = ports
        var text = """
            defaults
              timeout connect 5s
              timeout client 60s
              timeout server 60s
              timeout tunnel 60s
            frontend alive
              mode http
              bind 127.0.0.1:\(alive)
              http-request return status 200

            """
        for (index, section) in sections.enumerated() {
            let lines = section.replacingOccurrences(of: "@PORT@", with: "127.0.0.1:\(ports[index])")
                .replacingOccurrences(of: "@SOURCE@", with: "source \(Self.address)")
            text += "listen section\(index)\n" + lines.split(separator: "\n").map { "  \($0)\n" }.joined()
        }
        let haproxy = try stage.start("haproxy", ["-db", "-f", try stage.file("haproxy-\(alive).cfg", text)])
        // It binds all of its ports, then serves any of them.
        try eventually("haproxy does not listen: \(haproxy.log().joined(separator: "\n"))") {
            guard haproxy.isRunning else { throw Failure("haproxy ended: \(haproxy.log().joined(separator: "\n"))") }
            guard let probe = try? Connection(to: alive) else { return false }
            defer { probe.close() }
            return (try? probe.send("GET / HTTP/1.0\r\n\r\n")) != nil && (try? probe.receive(8)) != nil
        }
    }

    /// Ends TLS with a certificate for localhost, and passes on whom it was reached from.
    ///
    /// - Returns: The section, and the authority's certificate for `--ca-file`.
    static func endingTLS(before server: Server, on stage: Stage) throws -> (section: String, authority: String) {
        let authority = try Authority("Our Authority", on: stage)
        let identity = try authority.issue("DNS:localhost")
        let both = try [identity.certificate, identity.key].map { try String(contentsOfFile: $0, encoding: .utf8) }.joined()
        let section = """
            mode http
            bind @PORT@ ssl crt \(try stage.file("haproxy.pem", both)) alpn h2,http/1.1
            option forwardfor
            http-request set-header X-Forwarded-Proto https if { ssl_fc }
            server s1 127.0.0.1:\(server.port) @SOURCE@
            """
        return (section, authority.certificate)
    }

    /// - Parameter options: `send-proxy` or `send-proxy-v2`.
    static func passing(to port: UInt16, _ options: String = "") -> String {
        """
        mode tcp
        bind @PORT@
        server s1 127.0.0.1:\(port) @SOURCE@ \(options)
        """
    }
}
