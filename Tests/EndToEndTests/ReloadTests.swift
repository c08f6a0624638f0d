import Foundation
import Testing

/// New certificates without a restart.
@Suite struct ReloadTests {
    private static let news = "new connections use the certificate of CN=server"

    /// A server whose files are the links a folder holds, as certbot has it.
    private struct Scene {
        let stage: Stage
        let authority: Authority
        let server: Server
        let certificate: String
        let key: String

        init(_ stage: Stage, _ arguments: [String] = []) throws {
            self.stage = stage
            self.authority = try Authority("Our Authority", on: stage)
            (self.certificate, self.key) = ("\(stage.folder)/live.pem", "\(stage.folder)/live.key")
            let first = try self.authority.issue("DNS:localhost")
            try FileManager.default.copyItem(atPath: first.certificate, toPath: self.certificate)
            try FileManager.default.copyItem(atPath: first.key, toPath: self.key)
            self.server = try stage.server(["--tls-cert", self.certificate, "--tls-key", self.key] + arguments)
        }

        /// What the server presents now.
        func presented() throws -> String {
            let tool = try self.stage.start("openssl", ["s_client", "-connect", "127.0.0.1:\(self.server.port)"])
            try tool.ended()
            return try self.serial(tool.log().joined(separator: "\n"))
        }

        /// Of the first certificate in a text.
        func serial(_ text: String) throws -> String {
            let file = try self.stage.file("certificate-\(UInt32.random(in: .min ... .max))", text)
            return try self.stage.run("openssl", "x509", "-noout", "-serial", "-in", file).log()[0]
        }

        func serial(file: String) throws -> String { try self.serial(String(contentsOfFile: file, encoding: .utf8)) }
    }

    /// Puts a file in place in one step.
    private func replace(_ path: String, with new: String) throws {
        let draft = path + ".new"
        try? FileManager.default.removeItem(atPath: draft)
        try FileManager.default.copyItem(atPath: new, toPath: draft)
        guard rename(draft, path) == 0 else { throw Failure("rename: \(String(cString: strerror(errno)))") }
    }

    @Test func `files that change one after the other are taken up without a word in between, and nobody is disturbed`() throws {
        try Stage.run { stage in
            let scene = try Scene(stage)
            let echo = try stage.echo()
            let tunnel = try stage.tunnel(scene.server, to: [echo.port], arguments: ["--ca-file", scene.authority.certificate])
            let visitor = try stage.visit(tunnel.port)
            try exchange(visitor)

            let next = try scene.authority.issue("DNS:localhost")
            try self.replace(scene.certificate, with: next.certificate)
            try self.replace(scene.key, with: next.key)
            let line = try scene.server.program.line(containing: Self.news)
            #expect(line.contains("sha256:") && line.contains("expires="))
            #expect(try scene.presented() == scene.serial(file: next.certificate))
            #expect(scene.server.program.count(ofLinesContaining: "warning") == 0)

            try exchange(visitor)
            #expect(tunnel.client.events("paused", "resumed", "lost").isEmpty)
            let another = try stage.tunnel(scene.server, to: [echo.port], arguments: ["--ca-file", scene.authority.certificate])
            try exchange(stage.visit(another.port))
        }
    }

    @Test func `a link that leads elsewhere is a change, as Kubernetes does it`() throws {
        try Stage.run { stage in
            let authority = try Authority("Our Authority", on: stage)
            for name in ["1", "2"] {
                let folder = "\(stage.folder)/\(name)"
                let issued = try authority.issue("DNS:localhost")
                try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
                try FileManager.default.moveItem(atPath: issued.certificate, toPath: "\(folder)/tls.crt")
                try FileManager.default.moveItem(atPath: issued.key, toPath: "\(folder)/tls.key")
            }
            let data = "\(stage.folder)/..data"
            try FileManager.default.createSymbolicLink(atPath: data, withDestinationPath: "1")
            let server = try stage.server("--tls-cert", "\(data)/tls.crt", "--tls-key", "\(data)/tls.key")
            try FileManager.default.createSymbolicLink(atPath: data + ".new", withDestinationPath: "2")
            #expect(rename(data + ".new", data) == 0)
            try server.program.line(containing: Self.news)
        }
    }

    @Test func `files that cannot be used leave the old certificate, and one warning until they change again`() throws {
        try Stage.run { stage in
            let scene = try Scene(stage)
            let before = try scene.serial(file: scene.certificate)
            let stranger = try scene.authority.issue("DNS:localhost")
            try self.replace(scene.key, with: stranger.key)
            try scene.server.program.line(containing: "warning", "is not the private key of the certificate", "the old certificate stays")
            try scene.server.program.line(containing: "Check --tls-cert and --tls-key.")
            #expect(try scene.presented() == before)

            // Half of a file is another reason, and another warning.
            let mark = scene.server.program.mark
            let text = try String(contentsOfFile: stranger.certificate, encoding: .utf8)
            try text.prefix(text.count / 2).write(toFile: scene.certificate, atomically: false, encoding: .utf8)
            try scene.server.program.line(containing: "warning", scene.certificate, since: mark)
            #expect(try scene.presented() == before)
            #expect(scene.server.program.count(ofLinesContaining: "warning") == 2)

            try text.write(toFile: scene.certificate, atomically: false, encoding: .utf8)
            try scene.server.program.line(containing: Self.news)
            #expect(try scene.presented() == scene.serial(file: stranger.certificate))
            #expect(scene.server.program.count(ofLinesContaining: "warning") == 2)
        }
    }

    @Test func `SIGHUP reads the files at once, and answers at once when they cannot be used`() throws {
        try Stage.run { stage in
            let scene = try Scene(stage)
            scene.server.program.signal(SIGHUP)
            try scene.server.program.line(containing: Self.news)
            try FileManager.default.removeItem(atPath: scene.key)
            scene.server.program.signal(SIGHUP)
            try scene.server.program.line(containing: "warning", "cannot read \(scene.key)")
            _ = try scene.presented()
        }
    }

    @Test(arguments: [[], ["--plain"]])
    func `SIGHUP does no harm where there are no files`(arguments: [String]) throws {
        try Stage.run { stage in
            let echo = try stage.echo()
            let server = try stage.server(arguments)
            let tunnel = try stage.tunnel(server, to: [echo.port])
            let visitor = try stage.visit(tunnel.port)
            try exchange(visitor)
            server.program.signal(SIGHUP)
            tunnel.client.signal(SIGHUP)
            try server.program.line(containing: "nothing to read again")
            try exchange(visitor)
            #expect(server.program.isRunning && tunnel.client.isRunning)
        }
    }

    @Test func `another --client-ca counts for new connections`() throws {
        try Stage.run { stage in
            let (one, other) = (try Authority("One", on: stage), try Authority("Other", on: stage))
            let file = "\(stage.folder)/clients.pem"
            try FileManager.default.copyItem(atPath: one.certificate, toPath: file)
            let server = try stage.server("--client-ca", file)
            let own = try other.issue("DNS:client", validFor: .now, usage: "clientAuth")
            let arguments = ["--server", server.url, "--expose", "8000", "--client-cert", own.certificate, "--client-key", own.key]
            #expect(try stage.client(arguments).ended() == .code(69))
            try self.replace(file, with: other.certificate)
            try server.program.line(containing: "new connections use the certificate")
            try stage.client(arguments).event("tunnel")
        }
    }

    @Test func `SIGHUP makes a waiting client dial at once`() throws {
        try Stage.run { stage in
            let port = try stage.freePort()
            let client = try stage.client(["--server", "ws://localhost:\(port)", "--expose", "8000"])
            // Left to itself it would wait for 15 s before most of these.
            for attempt in 1...20 {
                try client.event("lost") { $0.number("attempt") == attempt }
                client.signal(SIGHUP)
            }
            let server = try stage.server("--plain", port: port)
            client.signal(SIGHUP)
            try client.event("connected")
            #expect(server.program.isRunning)
        }
    }
}
