import Foundation

/// Everything one test starts: programs, services, visitors, files. All of it is gone when the test is.
final class Stage {
    /// A folder of this test's own.
    let folder: String
    /// The pre-shared key of this test's programs.
    let key: String
    private var programs: [Program] = []
    private var services: [Service] = []
    private var visitors: [Connection] = []
    private var cutters: [Cutter] = []
    private var namespace: Namespace?

    private init() throws {
        let name = "ws-tunnel-\(ProcessInfo.processInfo.processIdentifier)-\(UInt32.random(in: .min ... .max))"
        self.folder = FileManager.default.temporaryDirectory.appendingPathComponent(name).path
        try FileManager.default.createDirectory(atPath: self.folder, withIntermediateDirectories: true)
        self.key = (0..<32).map { _ in String(UInt8.random(in: 0x10 ... 0xFF), radix: 16) }.joined()
    }

    /// Runs a test, cleans up after it, and lets it fail when one of our programs crashed or a sanitizer spoke.
    static func run(_ test: (Stage) throws -> Void) throws {
        let stage = try Stage()
        defer { stage.end() }
        do {
            try test(stage)
        } catch {
            throw Failure("\(error)\(stage.logs())")
        }
        try stage.complain()
    }

    // MARK: Our programs

    /// Starts a server and waits until it listens; by default with TLS and a certificate of its own.
    func server(_ arguments: String..., port: UInt16 = 0, environment: [String: String]? = nil) throws -> Server {
        try self.server(arguments, port: port, environment: environment)
    }

    func server(_ arguments: [String], port: UInt16 = 0, environment: [String: String]? = nil) throws -> Server {
        let program = try self.start(
            "\(Toolchain.programs)/ws-tunnel-server",
            ["--listen", "127.0.0.1:\(port)", "--bind", "127.0.0.1", "--json"] + arguments,
            environment: environment ?? ["SOCKETS_API_KEY": self.key])
        let ready = try program.event("ready")
        return Server(
            program: program, port: try ready.port("listen"), fingerprint: ready["fingerprint"],
            isPlain: arguments.contains("--plain"))
    }

    /// Starts a client without waiting for anything.
    func client(_ arguments: [String], environment: [String: String]? = nil) throws -> Program {
        try self.start(
            "\(Toolchain.programs)/ws-tunnel-client", ["--json"] + arguments,
            environment: environment ?? ["SOCKETS_API_KEY": self.key])
    }

    /// Starts a client and waits until everything it exposes has a public port.
    ///
    /// - Parameter arguments: More of the client's.
    func tunnel(_ server: Server, to ports: [UInt16], arguments: [String] = []) throws -> Tunnel {
        let exposed = ports.flatMap { ["--expose", "127.0.0.1:\($0)"] }
        let client = try self.client(["--server", server.url] + exposed + arguments)
        let tunnels = try ports.map { port in
            try client.event("tunnel") { $0["expose"] == "127.0.0.1:\(port)" }.port("url")
        }
        return Tunnel(server: server, client: client, ports: tunnels)
    }

    /// A server and a client, for tests that need no more to be said about them.
    func tunnel(to ports: UInt16...) throws -> Tunnel { try self.tunnel(self.server(), to: ports) }

    /// A tunnel whose client reaches the server through a relay.
    func cuttableTunnel(
        to ports: UInt16..., server: [String] = [], client: [String] = []
    ) throws -> (tunnel: Tunnel, cutter: Cutter) {
        let server = try self.server(server)
        let cutter = try self.cutter(to: server)
        let tunnel = try self.tunnel(server.behind(cutter), to: ports, arguments: client)
        return (Tunnel(server: server, client: tunnel.client, ports: tunnel.ports), cutter)
    }

    // MARK: Everybody else

    /// Starts any program, in the test's namespace if it has one.
    func start(
        _ executable: String, _ arguments: [String] = [], environment: [String: String] = [:], opensInput: Bool = false
    ) throws -> Program {
        // Nothing of the person's who runs the tests has a say: neither keys, nor proxies, nor kept certificates.
        let isolated = [
            "XDG_STATE_HOME": "\(self.folder)/state", "SOCKETS_API_KEY": "", "SOCKETS_SINGLE_API_KEY": "", "WS_TUNNEL_SERVER": "",
            "SWIFT_BACKTRACE": "enable=no", "HTTPS_PROXY": "", "https_proxy": "", "HTTP_PROXY": "", "http_proxy": "",
            "ALL_PROXY": "", "all_proxy": "", "NO_PROXY": "", "no_proxy": "",
        ]
        let program = try Program(
            executable, arguments, within: self.namespace?.entrance ?? [], environment: isolated.merging(environment) { $1 },
            opensInput: opensInput)
        self.programs.append(program)
        return program
    }

    /// Starts a program that has processes of its own; none of them outlives the test, or a test run that crashes.
    func startFamily(
        _ executable: String, _ arguments: [String], environment: [String: String] = [:], opensInput: Bool = false
    ) throws -> Program {
        let path = try Toolchain.find(executable)
        #if os(Linux)
        // Killed, it would leave them behind.
        let program = try self.start(
            "setpriv", ["--pdeathsig", "TERM", "--", path] + arguments, environment: environment, opensInput: opensInput)
        #else
        let program = try self.start(path, arguments, environment: environment, opensInput: opensInput)
        #endif
        program.lastSignal = SIGTERM
        return program
    }

    /// Runs a program to its end; throws when its exit code is not 0.
    @discardableResult
    func run(_ executable: String, _ arguments: String..., within limit: TimeInterval = Patience.usual) throws -> Program {
        let program = try self.start(executable, arguments)
        let exit = try program.ended(within: limit)
        guard exit == .code(0) else {
            throw Failure("\(executable) ended with \(exit):\n\(program.log().suffix(20).joined(separator: "\n"))")
        }
        return program
    }

    func echo(port: UInt16 = 0) throws -> Service {
        let service = try Service.echo(port: port)
        self.services.append(service)
        return service
    }

    func service(port: UInt16 = 0, serve: (@Sendable (Connection) throws -> Void)? = nil) throws -> Service {
        let service = try Service(port: port, serve: serve)
        self.services.append(service)
        return service
    }

    func visit(_ port: UInt16, receiveBuffer: Int32? = nil) throws -> Connection {
        let visitor = try Connection(to: port, receiveBuffer: receiveBuffer)
        self.visitors.append(visitor)
        return visitor
    }

    /// A relay in front of a server that can lose connections.
    func cutter(to server: Server) throws -> Cutter {
        let cutter = try Cutter(to: server.port)
        self.cutters.append(cutter)
        return cutter
    }

    /// What is started from now on has a network of its own, which can lose packets.
    func enterNamespace() throws -> Namespace {
        let namespace = try Namespace()
        self.namespace = namespace
        return namespace
    }

    /// A port that was free a moment ago, and the one after it too. Not one of those that the system gives to connections: another
    /// test's would take it.
    func freePort() throws -> UInt16 {
        for _ in 0..<100 {
            let port = UInt16.random(in: 20_000..<32_000)
            if Service.isFree(port), Service.isFree(port + 1) { return port }
        }
        throw Failure("no free port")
    }

    func file(_ name: String, _ contents: String) throws -> String {
        let path = "\(self.folder)/\(name)"
        try contents.write(toFile: path, atomically: true, encoding: .utf8)
        return path
    }

    // MARK: The end

    private func end() {
        for visitor in self.visitors { visitor.close() }
        for program in self.programs { program.end() }
        for cutter in self.cutters { cutter.close() }
        self.namespace?.close()
        for service in self.services { service.close() }
        try? FileManager.default.removeItem(atPath: self.folder)
    }

    /// Whatever a test looks at: a crash, a violated precondition or a sanitizer's report is never fine.
    private func complain() throws {
        for program in self.programs where program.name.hasPrefix("ws-tunnel-") {
            let signs = ["Sanitizer", "Fatal error", "Precondition failed", "Assertion failed", "runtime error:"]
            if let line = program.log().first(where: { line in signs.contains { line.contains($0) } }) {
                throw Failure("\(program.name) said: \(line)\(self.logs())")
            }
            if case .signal(let number)? = program.exit, ![SIGKILL, SIGTERM, SIGINT].contains(number) {
                throw Failure("\(program.name) crashed with signal \(number)\(self.logs())")
            }
        }
    }

    private func logs() -> String {
        self.programs.filter { $0.name.hasPrefix("ws-tunnel-") }.map { program in
            "\n  \(program.name) (\(program.exit?.description ?? "running")):\n"
                + program.log().suffix(30).map { "    \($0)" }.joined(separator: "\n")
        }.joined()
    }
}

/// A server that listens.
struct Server {
    /// The same server, reached with TLS through a load balancer.
    func behindTLS(on port: UInt16) -> Server {
        Server(program: self.program, port: port, fingerprint: nil, isPlain: false)
    }

    let program: Program
    let port: UInt16
    let fingerprint: String?
    let isPlain: Bool

    /// For `--server`.
    var url: String { "\(self.isPlain ? "ws" : "wss")://localhost:\(self.port)" }

    /// The same server, reached through a relay.
    func behind(_ cutter: Cutter) -> Server {
        Server(program: self.program, port: cutter.port, fingerprint: self.fingerprint, isPlain: self.isPlain)
    }
}

/// A server, a client, and the public ports of what the client exposes.
struct Tunnel {
    let server: Server
    let client: Program
    let ports: [UInt16]

    var port: UInt16 { self.ports[0] }
}

/// Sends a line and reads it back: this tunnel, and the echo service behind it, work.
func exchange(_ visitor: Connection, _ text: String = "are you there?\n") throws {
    try visitor.send(text)
    let answer = try visitor.receiveText(text.utf8.count)
    guard answer == text else { throw Failure("sent \(text), got \(answer)") }
}
