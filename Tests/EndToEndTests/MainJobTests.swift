import Foundation
import Testing

/// What people install it for, with the programs they use.
@Suite struct MainJobTests {
    @Test func `what one telnet peer types, the others read`() throws {
        try Stage.run { stage in
            let (port, broker) = try stage.broker()
            let tunnel = try stage.tunnel(to: port)
            try stage.talk(by: tunnel.port, broker)
        }
    }

    @Test func `the address is announced in a sentence, and alone on standard output`() throws {
        try Stage.run { stage in
            let server = try stage.server()
            let client = try stage.start(
                "\(Toolchain.programs)/ws-tunnel-client", ["--server", server.url, "--expose", "127.0.0.1:9"],
                environment: ["SOCKETS_API_KEY": stage.key])
            let sentence = try client.line(containing: "exposed with tunnel id")
            let port = try server.program.event("tunnel").port("url")
            let tail = try #require(sentence.components(separatedBy: "exposed with tunnel id ").last)
            #expect(tail.hasSuffix(", url: localhost:\(port)"))
            #expect(UUID(uuidString: String(tail.prefix(36))) != nil)
            client.signal(SIGTERM)
            #expect(try client.ended() == .code(0))
            #expect(String(decoding: try client.output(), as: UTF8.self) == "localhost:\(port)\n")
        }
    }

    @Test func `a file server answers fifty visits in a row and twenty at once`() throws {
        try Stage.run { stage in
            let contents = (0..<300_000).map { _ in "\(UInt8.random(in: 0...255))" }.joined(separator: " ")
            let served = "\(stage.folder)/www"
            try FileManager.default.createDirectory(atPath: served, withIntermediateDirectories: true)
            try contents.write(toFile: "\(served)/page.txt", atomically: true, encoding: .utf8)
            let web = try stage.start(
                "python3", ["-u", "-m", "http.server", "0", "--bind", "127.0.0.1", "--directory", served])
            let said = try web.line(containing: "Serving HTTP on")
            let port = try #require(said.split(separator: " ").compactMap { UInt16($0) }.first)
            let tunnel = try stage.tunnel(to: port)
            let url = "http://127.0.0.1:\(tunnel.port)/page.txt"

            for visit in 1...50 {
                let got = try stage.run("curl", "--silent", "--show-error", "--fail", url).output()
                try #require(String(decoding: got, as: UTF8.self) == contents, "visit \(visit)")
            }
            let visits = try (1...20).map { _ in try stage.start("curl", ["--silent", "--show-error", "--fail", url]) }
            for visit in visits {
                #expect(try visit.ended(within: Patience.long) == .code(0))
                #expect(String(decoding: try visit.output(), as: UTF8.self) == contents)
            }
        }
    }

    @Test func `rsync over ssh copies a hundred megabytes`() throws {
        try Stage.run { stage in
            let sshd = try SSHServer(on: stage)
            let tunnel = try stage.tunnel(to: sshd.port)
            let source = "\(stage.folder)/source.bin"
            let target = "\(stage.folder)/target.bin"
            try stage.run("openssl", "rand", "-out", source, "100000000")
            try stage.run(
                "rsync", "-e", sshd.command(port: tunnel.port), source, "\(NSUserName())@127.0.0.1:\(target)",
                within: Patience.long)
            try stage.run("cmp", source, target)
            let back = "\(stage.folder)/back.bin"
            try stage.run(
                "rsync", "-e", sshd.command(port: tunnel.port), "\(NSUserName())@127.0.0.1:\(target)", back,
                within: Patience.long)
            try stage.run("cmp", source, back)
        }
    }

    @Test func `nc -N is answered after its end of file`() throws {
        try Stage.run { stage in
            // Says what it got only when the visitor has finished: without half-close there would be no answer.
            let service = try stage.service { connection in
                let all = try connection.receiveToEnd()
                try connection.send("got \(all.count) bytes\n")
                connection.finish()
            }
            let tunnel = try stage.tunnel(to: service.port)
            let nc = try stage.start("nc.openbsd", ["-N", "127.0.0.1", "\(tunnel.port)"], opensInput: true)
            try nc.write(String(repeating: "x", count: 100_000))
            nc.closeInput()
            #expect(try nc.ended() == .code(0))
            #expect(nc.log() == ["got 100000 bytes"])
        }
    }
}
