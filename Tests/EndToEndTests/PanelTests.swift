import Foundation
import Testing

/// What a person sees who runs the client on a terminal.
@Suite struct PanelTests {
    @Test func `the panel follows a session that is paused and goes on`() throws {
        try Stage.run { stage in
            let echo = try stage.echo()
            let server = try stage.server("--keepalive", "1s")
            let terminal = try Terminal(stage, server, ["--expose", "127.0.0.1:\(echo.port),name=echo", "--keepalive", "1s"])
            try terminal.shows("| online since 2", "at \(server.url)\n", "| 0 streams open, 0 so far")
            let port = try server.program.event("tunnel").port("url")
            try terminal.shows("\n| localhost:\(port) -> 127.0.0.1:\(echo.port) (echo)")
            let visitor = try stage.visit(port)
            try exchange(visitor)
            try terminal.shows("| 1 stream open, 1 so far")

            server.program.signal(SIGSTOP)
            try terminal.shows("warning: ", "| paused for ", "1 stream waits")
            try eventually("the seconds do not go on") {
                let times = terminal.screens.joined().filter { $0.hasPrefix("| paused for ") }.map { $0.split(separator: ":")[0] }
                return Set(times).count > 1
            }
            server.program.signal(SIGCONT)
            try terminal.shows("notice: the connection is back", "| online since 2", "resumed 1 time, ", within: Patience.long)
            try exchange(visitor)
            visitor.close()
            try terminal.shows("| 0 streams open, 1 so far; resumed 1 time, ")

            try terminal.type("\u{3}")
            let end = try terminal.ended()
            #expect(end.code == 0)
            let sentence = end.rows.filter { $0.contains("exposed with tunnel id ") }
            #expect(sentence.count == 1)
            #expect(sentence.first?.hasPrefix("exposed with tunnel id ") == true)
            #expect(sentence.first?.hasSuffix(", url: localhost:\(port)") == true)
            try terminal.wasNeverTorn()
        }
    }

    @Test func `the panel follows a session that is lost with its server`() throws {
        try Stage.run { stage in
            let echo = try stage.echo()
            let server = try stage.server()
            // Narrow: what the log says wraps, the panel does not.
            let terminal = try Terminal(stage, server, ["--expose", "\(echo.port)"], size: "44x16")
            try terminal.shows("| online since 2", "\n| localhost:")
            let visitor = try stage.visit(try server.program.event("tunnel").port("url"))
            try exchange(visitor)
            try terminal.shows("| 1 stream open")
            server.program.signal(SIGKILL)
            _ = try server.program.ended()
            try terminal.shows("| paused for ", "1 stream wait")
            _ = try stage.server(port: server.port)
            try terminal.shows("| online since 2", "\n| 0 streams open, 1 so far; 1 session lost", "\n| localhost:")
            for screen in terminal.screens {
                let panel = screen.filter { $0.hasPrefix("| ") }
                #expect(panel.allSatisfy { $0.count < 44 })
                #expect(panel.count == 3 || panel.isEmpty, "each line is one row: \(screen)")
            }
        }
    }

    @Test func `a client without a server says that it is not connected`() throws {
        try Stage.run { stage in
            let port = try stage.freePort()
            let terminal = try Terminal(stage, ["--server", "wss://localhost:\(port)", "--expose", "8000"])
            try terminal.shows("error: cannot reach wss://localhost:\(port)", "| not connected for ", "| no public address -> ")
            try terminal.type("\u{3}")
            #expect(try terminal.ended().code == 0)
            try terminal.wasNeverTorn()
        }
    }

    @Test func `lines of a busy log stay whole above the panel`() throws {
        try Stage.run { stage in
            let echo = try stage.echo()
            let server = try stage.server()
            let terminal = try Terminal(stage, server, ["--expose", "\(echo.port)", "--log-level", "debug"], size: "160x12")
            let port = try server.program.event("tunnel").port("url")
            for _ in 1...5 {
                let visitors = try (1...20).map { _ in try stage.visit(port) }
                for visitor in visitors {
                    try exchange(visitor)
                    visitor.close()
                }
            }
            try terminal.shows("| 0 streams open, 100 so far")
            try terminal.type("\u{3}")
            let end = try terminal.ended()
            let arrivals = end.rows.filter { $0.contains("visitor arrived") }
            #expect(arrivals.count == 100)
            #expect(arrivals.allSatisfy { $0.hasPrefix("debug: visitor arrived service=127.0.0.1:\(echo.port) stream=") })
            try terminal.wasNeverTorn()
        }
    }

    @Test func `a second signal leaves the terminal as it should be`() throws {
        try Stage.run { stage in
            let echo = try stage.echo()
            let server = try stage.server()
            let terminal = try Terminal(stage, server, ["--expose", "\(echo.port)"])
            let visitor = try stage.visit(try server.program.event("tunnel").port("url"))
            try exchange(visitor)
            try terminal.type("\u{3}")
            try terminal.shows("| stopping: 1 stream has ")
            try terminal.type("\u{3}")
            #expect(try terminal.ended().code == 1)
            try terminal.wasNeverTorn()
        }
    }

    @Test func `a client that fails leaves its reason and no panel`() throws {
        try Stage.run { stage in
            let server = try stage.server()
            let terminal = try Terminal(
                stage, ["--server", server.url, "--expose", "8000"], environment: ["SOCKETS_API_KEY": "wrong"])
            let end = try terminal.ended()
            #expect(end.code == 77)
            #expect(end.rows.contains("error: the server refused this API key"))
            try terminal.wasNeverTorn()
        }
    }

    @Test func `a client ends with its terminal, and does not go on where nobody sees it`() throws {
        try Stage.run { stage in
            let server = try stage.server()
            let terminal = try Terminal(stage, server, ["--expose", "8000"])
            try terminal.shows("| online since 2")
            terminal.close()
            try server.program.event("lost")
        }
    }

    @Test(arguments: ["exec \"$@\" 2> /dev/null", "exec \"$@\" > /dev/null 2>&1", "exec \"$@\" < /dev/null > /dev/null"])
    func `a client ends with its terminal wherever that is`(shell: String) throws {
        try Stage.run { stage in
            let server = try stage.server()
            let terminal = try Terminal(
                stage, ["--server", server.url, "--expose", "8000", "--max-retries", "0"], shell: shell)
            try server.program.event("tunnel")
            terminal.close()
            try server.program.event("lost")
        }
    }

    @Test func `a client that nohup started goes on without its terminal`() throws {
        try Stage.run { stage in
            let echo = try stage.echo()
            let server = try stage.server()
            let terminal = try Terminal(
                stage, ["--server", server.url, "--expose", "\(echo.port)", "--max-retries", "0"],
                shell: "trap '' HUP; exec \"$@\" > /dev/null")
            let port = try server.program.event("tunnel").port("url")
            terminal.close()
            try terminal.gone()
            // New visitors: one that is there would be waited for even by a client that is about to end.
            for _ in 1...20 { try exchange(stage.visit(port)) }
            #expect(server.program.events("lost", "tunnel-closed").isEmpty)
        }
    }

    @Test func `a client that is killed leaves the cursor in a row of its own`() throws {
        try Stage.run { stage in
            let terminal = try Terminal(stage, try stage.server(), ["--expose", "8000"])
            try terminal.shows("| online since 2")
            try terminal.signal(SIGKILL)
            let end = try terminal.ended()
            #expect(end.column == 0)
            #expect(end.rows.last?.hasPrefix("| ") == true)
        }
    }

    @Test(arguments: [
        (["--json"], "xterm", ""), ([], "dumb", ""), ([], "", ""), ([], "xterm", "exec \"$@\" > /dev/null"),
        ([], "xterm", "exec \"$@\" 2> /dev/null"),
        // With job control a shell's background job has no say over the terminal.
        ([], "xterm", "set -m; \"$@\" & read line; kill %1; wait"),
    ])
    func `without a terminal of its own, nothing moves the cursor`(options: [String], type: String, shell: String) throws {
        try Stage.run { stage in
            let server = try stage.server()
            let terminal = try Terminal(
                stage, ["--server", server.url, "--expose", "8000", "--max-retries", "0"] + options,
                environment: ["SOCKETS_API_KEY": stage.key, "TERM": type], shell: shell)
            try server.program.event("tunnel")
            if !shell.contains("null") { try terminal.shows("url") }
            // Long enough for a panel to come, had there been one.
            #expect(throws: Failure.self) { try terminal.shows("| online", within: 0.6) }
            try terminal.type(shell.contains("read") ? "\n" : "\u{3}")
            #expect(try terminal.ended().escapes == 0)
        }
    }

    @Test func `with output that is not a terminal, no escape sequence is ever written`() throws {
        try Stage.run { stage in
            let echo = try stage.echo()
            let server = try stage.server()
            let client = try stage.start(
                "\(Toolchain.programs)/ws-tunnel-client", ["--server", server.url, "--expose", "\(echo.port)"],
                environment: ["SOCKETS_API_KEY": stage.key, "TERM": "xterm"])
            try client.line(containing: "exposed with tunnel id")
            server.program.signal(SIGKILL)
            try client.line(containing: "Retrying in")
            _ = try stage.server(port: server.port)
            try eventually("the client does not come back") { client.count(ofLinesContaining: "exposed with tunnel id") == 2 }
            client.signal(SIGTERM)
            #expect(try client.ended() == .code(0))
            #expect(client.count(ofLinesContaining: "\u{1B}") == 0)
            #expect(client.count(ofLinesContaining: "| ") == 0)
        }
    }
}

/// A client on a terminal of its own, seen by a person.
private struct Terminal {
    struct End {
        let code: Int?
        let column: Int?
        let escapes: Int?
        let rows: [String]
    }

    private let program: Program

    init(_ stage: Stage, _ server: Server, _ arguments: [String], size: String = "120x20") throws {
        try self.init(
            stage, ["--server", server.url] + arguments, environment: ["SOCKETS_API_KEY": stage.key], size: size)
    }

    /// - Parameter shell: What runs the client, as `"$@"`.
    init(
        _ stage: Stage, _ arguments: [String], environment: [String: String] = [:], size: String = "120x20", shell: String = ""
    ) throws {
        let client = ["\(Toolchain.programs)/ws-tunnel-client"] + arguments
        var environment = ["TERM": "xterm", "SOCKETS_API_KEY": stage.key].merging(environment) { $1 }
        environment["LC_ALL"] = "C"
        self.program = try stage.start(
            "python3", [Toolchain.peer("terminal.py"), size] + (shell.isEmpty ? client : ["bash", "-c", shell, "sh"] + client),
            environment: environment, opensInput: true)
    }

    /// Waits until the newest screen has all of it.
    func shows(_ words: String..., within limit: TimeInterval = Patience.usual) throws {
        // Looked at anew each time: what was on the screen and is no more does not count.
        let mark = max(0, self.program.mark - 1)
        try self.program.event("screen", since: mark, within: limit) { screen in
            words.allSatisfy { screen["text"]?.contains($0) == true }
        }
    }

    func type(_ text: String) throws {
        try self.program.write("type \(text.utf8.map { $0 < 16 ? "0\(String($0, radix: 16))" : String($0, radix: 16) }.joined())\n")
    }

    func signal(_ number: Int32) throws {
        try self.program.write("signal \(number)\n")
    }

    /// As a person closes the window.
    func close() { self.program.signal(SIGKILL) }

    func gone() throws { _ = try self.program.ended() }

    func ended() throws -> End {
        let end = try self.program.event("ended")
        return End(
            code: end.number("code"), column: end.number("column"), escapes: end.number("escapes"), rows: Self.rows(end))
    }

    /// All that was seen so far, oldest first.
    var screens: [[String]] { self.program.events("screen").map(Self.rows) }

    private static func rows(_ event: Event) -> [String] {
        event["text"]?.split(separator: "\n", omittingEmptySubsequences: false).map(String.init) ?? []
    }

    /// At any time the panel was in one piece below everything else, and at the end it was gone.
    func wasNeverTorn() throws {
        for rows in self.screens {
            let panel = rows.drop { !$0.hasPrefix("| ") }
            #expect(panel.allSatisfy { $0.hasPrefix("| ") || $0 == "^C" }, "\(rows)")
            #expect(panel.isEmpty || panel.count == 3 + (panel.contains("^C") ? 1 : 0), "\(rows)")
        }
        let end = try self.ended()
        #expect(end.column == 0)
        #expect((end.escapes ?? 0) > 0)
        for row in end.rows {
            let isWhole = ["debug: ", "info: ", "notice: ", "warning: ", "error: ", "  ", "exposed with tunnel id "]
                .contains { row.hasPrefix($0) }
            #expect(isWhole && !row.contains("| ") && !row.contains("<"), "\(end.rows)")
        }
    }
}
