import Foundation
import Testing

/// Where the programs keep what outlives them, and what they leave alone there.
struct StateFolderTests {
    /// - Parameter options: Behind the program's name, with its folder of state among them.
    private func starts(_ stage: Stage, in folder: String, _ options: String) throws -> Program {
        try stage.start(
            "sh", ["-c", "cd '\(folder)' && exec '\(Toolchain.programs)/ws-tunnel-server' --listen 127.0.0.1:0 --json \(options)"],
            environment: ["SOCKETS_API_KEY": stage.key])
    }

    private func mode(_ path: String) throws -> Int? {
        try FileManager.default.attributesOfItem(atPath: path)[.posixPermissions] as? Int
    }

    private func folder(_ name: String, mode: Int, on stage: Stage) throws -> String {
        let path = "\(stage.folder)/\(name)"
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
        try FileManager.default.setAttributes([.posixPermissions: mode], ofItemAtPath: path)
        return path
    }

    @Test func `a folder that was there keeps its mode, a new one is the user's alone`() throws {
        try Stage.run { stage in
            let existing = try self.folder("existing", mode: 0o755, on: stage)
            try self.starts(stage, in: existing, "--state-dir .").event("ready")
            #expect(try self.mode(existing) == 0o755)
            #expect(try self.mode("\(existing)/server-key.pem") == 0o600)
            try self.starts(stage, in: existing, "--state-dir '\(existing)/a/b'").event("ready")
            #expect(try self.mode("\(existing)/a/b") == 0o700)
        }
    }

    @Test func `a relative path begins where the program was started`() throws {
        try Stage.run { stage in
            let name = "relative-\(UInt64.random(in: 0 ... .max))"
            try self.starts(stage, in: stage.folder, "--state-dir \(name)/state").event("ready")
            #expect(try self.mode("\(stage.folder)/\(name)/state/server-key.pem") == 0o600)
            #expect(!FileManager.default.fileExists(atPath: "/\(name)"))
        }
    }

    @Test func `a folder to which others may write is refused, with what helps`() throws {
        try Stage.run { stage in
            let open = try self.folder("open", mode: 0o777, on: stage)
            let server = try self.starts(stage, in: open, "--state-dir '\(open)'")
            #expect(try server.ended() == .code(78))
            try server.line(containing: "others may write to the state folder \(open)")
            try server.line(containing: "chmod go-w")
            #expect(try FileManager.default.contentsOfDirectory(atPath: open).isEmpty)
            #expect(try self.mode(open) == 0o777)
        }
    }

    /// As systemd gives a service with `DynamicUser=` its folder.
    @Test func `a link to a folder is followed, and STATE_DIRECTORY serves who has no home`() throws {
        try Stage.run { stage in
            let folder = try self.folder("private", mode: 0o700, on: stage)
            let link = "\(stage.folder)/link"
            try FileManager.default.createSymbolicLink(atPath: link, withDestinationPath: folder)
            let server = try stage.start(
                "env",
                [
                    "-u", "HOME", "-u", "XDG_STATE_HOME", "STATE_DIRECTORY=\(link):/elsewhere", "\(Toolchain.programs)/ws-tunnel-server",
                    "--listen", "127.0.0.1:0", "--json",
                ], environment: ["SOCKETS_API_KEY": stage.key])
            try server.event("ready")
            #expect(try self.mode("\(folder)/server-key.pem") == 0o600)
        }
    }

    @Test func `a damaged certificate of the server's own is named, with what makes a new one`() throws {
        try Stage.run { stage in
            let state = try self.folder("state/ws-tunnel", mode: 0o700, on: stage)
            try stage.server().program.signal(SIGTERM)
            try Data().write(to: URL(fileURLWithPath: "\(state)/server-key.pem"))
            let server = try self.starts(stage, in: state, "")
            #expect(try server.ended() == .code(78))
            try server.line(containing: "the server's own certificate in \(state) cannot be used")
            try server.line(containing: "Remove \(state)/server-cert.pem and \(state)/server-key.pem")

            try Data("junk".utf8).write(to: URL(fileURLWithPath: "\(state)/server-cert.pem"))
            let client = try stage.client(["--server", "wss://localhost:1", "--expose", "8000"])
            #expect(try client.ended() == .code(78))
            try client.line(containing: "the certificate of this user's own server in \(state)/server-cert.pem cannot be used")
        }
    }
}
