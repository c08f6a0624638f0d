import Foundation
import Testing

/// `ws-tunnel-client doctor`: what it says of a way that works, and of each place where one can fail.
struct DoctorTests {
    /// - Returns: What was found, check by check, in the order in which it was said.
    private func doctor(
        _ stage: Stage, _ arguments: [String], key: String? = nil, ends code: Int32
    ) throws -> [(name: String, event: Event)] {
        let doctor = try stage.client(
            ["doctor"] + arguments, environment: ["SOCKETS_API_KEY": key ?? stage.key])
        #expect(try doctor.ended(within: Patience.long) == .code(code))
        #expect(doctor.count(ofLinesContaining: key ?? stage.key) == 0)
        return doctor.events("check").map { ($0["name"] ?? "", $0) }
    }

    private static let names = ["dns", "tcp", "proxy", "tls", "upgrade", "authentication", "ping", "throughput", "idle", "service"]

    /// Everything before `failing` is well or not on this way, and nothing behind it was looked at but the service.
    private func expect(_ checks: [(name: String, event: Event)], failing: String?, _ words: String..., skipping: [String] = []) {
        #expect(checks.map(\.name) == Self.names)
        var hasFailed = false
        for (name, event) in checks {
            let outcome = event["outcome"]
            if name == failing {
                hasFailed = true
                #expect(outcome == "failed", "\(name): \(event["detail"] ?? "")")
                for word in words { #expect(event["detail"]?.contains(word) == true, "\(event["detail"] ?? "")") }
                #expect(event["remedy"]?.isEmpty == false)
            } else if skipping.contains(name) || hasFailed && name != "service" {
                #expect(outcome == "skipped", "\(name): \(event["detail"] ?? "")")
            } else {
                #expect(outcome == "passed", "\(name): \(event["detail"] ?? "")")
            }
        }
        #expect(hasFailed == (failing != nil))
    }

    @Test func `a way that works passes every check, silence and a measurement among them`() throws {
        try Stage.run { stage in
            let (server, echo) = (try stage.server(), try stage.echo())
            let checks = try self.doctor(
                stage, ["--server", server.url, "--expose", "127.0.0.1:\(echo.port)", "--idle", "1s"], ends: 0)
            self.expect(checks, failing: nil, skipping: ["proxy"])
            let details = Dictionary(uniqueKeysWithValues: checks.map { ($0.name, $0.event["detail"] ?? "") })
            #expect(details["tls"]?.contains("TLSv1.3") == true && details["tls"]?.contains("issued by CN=localhost") == true)
            #expect(details["authentication"]?.contains("ws-tunnel-server/") == true)
            #expect(details["throughput"]?.contains("MB/s to a visitor") == true)
            // Nothing of the visit is left.
            try eventually("the tunnel of the measurement is still there") {
                server.program.events("tunnel-closed").count == 1
            }
            #expect(server.program.events("paused").isEmpty)
        }
    }

    @Test func `a person reads a line for each check, and the remedy under the first that failed`() throws {
        try Stage.run { stage in
            let server = try stage.server()
            let doctor = try stage.start(
                "\(Toolchain.programs)/ws-tunnel-client",
                ["doctor", "--server", server.url, "--expose", "127.0.0.1:1"], environment: ["SOCKETS_API_KEY": "another"])
            #expect(try doctor.ended() == .code(77))
            let lines = String(decoding: try doctor.output(), as: UTF8.self).split(separator: "\n").map(String.init)
            #expect(lines.count == 11, "\(lines)")
            #expect(lines.filter { $0.hasPrefix("✓ ") }.count == 4)
            #expect(lines.filter { $0.hasPrefix("✗ ") }.count == 2)
            #expect(lines.filter { $0.hasPrefix("– ") }.count == 4)
            #expect(lines[5].hasPrefix("✗ authentication") && lines[6].contains("stray character in SOCKETS_API_KEY"))
        }
    }

    @Test func `each place where a way fails is found`() throws {
        try Stage.run { stage in
            let server = try stage.server()
            var checks = try self.doctor(stage, ["--server", "wss://nowhere.invalid"], ends: 69)
            self.expect(checks, failing: "dns", "nowhere.invalid does not resolve", skipping: ["service"])

            let port = try stage.freePort()
            checks = try self.doctor(stage, ["--server", "wss://127.0.0.1:\(port)"], ends: 69)
            self.expect(checks, failing: "tcp", "connection refused", skipping: ["dns", "service"])

            checks = try self.doctor(
                stage, ["--server", server.url, "--fingerprint", "sha256:" + String(repeating: "ab", count: 32)], ends: 69)
            self.expect(checks, failing: "tls", "another certificate", "CN=localhost", skipping: ["proxy", "service"])

            checks = try self.doctor(stage, ["--server", server.url], key: "another", ends: 77)
            self.expect(checks, failing: "authentication", "refused this API key", skipping: ["proxy", "service"])

            checks = try self.doctor(stage, ["--server", server.url, "--expose", "127.0.0.1:\(port)"], ends: 1)
            self.expect(checks, failing: "service", "nothing is listening on 127.0.0.1:\(port)", skipping: ["proxy", "idle"])
        }
    }

    @Test func `who answered instead of a ws-tunnel-server is named`() throws {
        try Stage.run { stage in
            let other = try stage.service { visitor in
                while try !visitor.receiveText(1).isEmpty, !visitor.hasBytes(within: 0.2) {}
                try visitor.send("HTTP/1.1 404 Not Found\r\nServer: nginx/1.22.1\r\nContent-Length: 0\r\n\r\n")
            }
            let checks = try self.doctor(stage, ["--server", "ws://127.0.0.1:\(other.port)/somewhere"], ends: 69)
            self.expect(checks, failing: "upgrade", "nginx/1.22.1", "404", skipping: ["dns", "proxy", "tls", "service"])
        }
    }

    @Test func `a way that cuts what is silent is found, and is no trouble if PINGs come sooner`() throws {
        try Stage.run { stage in
            let server = try stage.server()
            let cutter = try stage.cutter(to: server)
            cutter.limitIdleness(to: 2)
            let arguments = ["--server", server.behind(cutter).url, "--idle", "6s"]
            var checks = try self.doctor(stage, arguments, ends: 69)
            self.expect(checks, failing: "idle", "is silent for", skipping: ["proxy", "service"])
            checks = try self.doctor(stage, arguments + ["--keepalive", "1s"], ends: 0)
            self.expect(checks, failing: nil, skipping: ["proxy", "service"])
            #expect(checks.contains { $0.event["detail"]?.contains("a PING every 1 s keeps it open") == true })
        }
    }

    @Test(
        .enabled(
            if: ForwardProxy.machineAddress != nil,
            "this machine has no address beyond loopback, and loopback never goes through a proxy"))
    func `a proxy on the way is a check of its own`() throws {
        try Stage.run { stage in
            let address = ForwardProxy.machineAddress ?? ""
            let server = try stage.server("--listen", "\(address):0")
            let squid = try ForwardProxy.squid(on: stage, to: server.port)
            let arguments = [
                "--server", "wss://\(address):\(server.port)", "--fingerprint", try #require(server.fingerprint), "--proxy",
            ]
            var checks = try self.doctor(stage, arguments + ["http://user:p%40ss%3Aw0rd@\(squid.authority)"], ends: 0)
            self.expect(checks, failing: nil, skipping: ["dns", "idle", "throughput", "service"])
            checks = try self.doctor(stage, arguments + ["http://user:wrong@\(squid.authority)"], ends: 69)
            self.expect(checks, failing: "proxy", "407", squid.authority, skipping: ["dns", "service"])
        }
    }
}
