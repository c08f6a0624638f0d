import Foundation

/// A load balancer in front of a server, with its file of Fixtures/balancers, filled in.
struct ExampleBalancer {
    enum Product: String, CaseIterable, Sendable {
        case haproxy = "HAProxy"
        case nginx = "nginx"
        case caddy = "Caddy"
        case apache = "Apache"

        /// What it does with a connection that carries nothing for `idleLimit`.
        var cutsIdleConnections: Bool { self != .caddy }

        /// Whether a reload ends the connections that are open.
        var cutsOnReload: Bool { self == .caddy }

        fileprivate var fixture: String {
            switch self {
            case .haproxy: "haproxy.cfg"
            case .nginx: "nginx.conf"
            case .caddy: "Caddyfile"
            case .apache: "apache.conf"
            }
        }

        /// What it says when it serves, the first time and after each reload.
        fileprivate var ready: (first: String, again: String) {
            switch self {
            case .haproxy: ("Loading success", "Loading success")
            case .nginx: ("start worker process", "gracefully shutting down")
            case .caddy: ("serving initial configuration", "load complete")
            case .apache: ("resuming normal operations", "resuming normal operations")
            }
        }
    }

    /// What becomes of the client's TLS.
    enum Way: String, CaseIterable, Sendable {
        case terminate, reencrypt, pass
    }

    /// One cell of the matrix.
    struct Case: CustomStringConvertible, Sendable {
        let product: Product
        let way: Way

        var description: String { "\(self.product.rawValue), \(self.way.rawValue)" }

        static let all = Product.allCases.flatMap { product in
            Way.allCases.map { Case(product: product, way: $0) }
        }.filter { $0.way != .pass || [.haproxy, .nginx].contains($0.product) }
    }

    /// In seconds.
    static let idleLimit = 10

    let product: Product
    /// Where the client finds it.
    let url: String
    let port: UInt16
    let server: Program
    /// For the client's `--ca-file`.
    let authority: String
    private let program: Program
    private let file: String
    private let stage: Stage

    /// Starts the server, and the load balancer in front of it.
    ///
    /// - Parameter host: The load balancer's address, and its name in its certificate.
    init(_ which: Case, host: (address: String, name: String) = ("127.0.0.1", "localhost"), on stage: Stage) throws {
        self.product = which.product
        self.stage = stage
        let authority = try Authority("authority", on: stage)
        let names = host.address == host.name ? "IP:\(host.name)" : "DNS:\(host.name)"
        let (own, servers) = (try authority.issue(names), try authority.issue("DNS:localhost,\(names)"))
        let chainAndKey = try [own.certificate, own.key].map { try String(contentsOfFile: $0, encoding: .utf8) }.joined()

        let trusted = ["--trusted-proxies", "127.0.0.1"]
        let encrypted = ["--tls-cert", servers.certificate, "--tls-key", servers.key] + trusted
        let server =
            switch which.way {
            case .terminate: try stage.server(["--plain"] + trusted)
            case .reencrypt: try stage.server(encrypted)
            case .pass: try stage.server(encrypted + ["--proxy-protocol", which.product == .nginx ? "v1" : "v2"])
            }
        // The ways that are not asked for lead nowhere.
        let nowhere = try stage.freePort()
        let (plain, secure) = server.isPlain ? (server.port, nowhere) : (nowhere, server.port)
        var ports: [Way: UInt16] = [:]
        for way in Way.allCases {
            repeat { ports[way] = try stage.freePort() } while ports.values.count { $0 == ports[way] } > 1 || ports[way] == nowhere
        }
        guard let port = ports[which.way] else { throw Failure("no port for \(which)") }

        var text = try String(
            contentsOfFile: "\(Toolchain.package)/Fixtures/balancers/\(self.product.fixture)", encoding: .utf8)
        let values = [
            "ADDRESS": host.address, "NAME": host.name, "FOLDER": stage.folder, "IDLE": "\(Self.idleLimit)",
            "TERMINATE": "\(ports[.terminate] ?? 0)", "REENCRYPT": "\(ports[.reencrypt] ?? 0)", "PASS": "\(ports[.pass] ?? 0)",
            "PLAIN_SERVER": "127.0.0.1:\(plain)", "TLS_SERVER": "127.0.0.1:\(secure)", "TLS_PORT": "\(secure)",
            "TLS_NAME": "localhost", "CHAIN": own.certificate, "KEY": own.key,
            "CHAIN_AND_KEY": try stage.file("balancer.pem", chainAndKey), "AUTHORITY": authority.certificate,
        ]
        for (name, value) in values { text = text.replacingOccurrences(of: "@\(name)@", with: value) }
        self.file = try stage.file(self.product.fixture, text)
        // Where it drops its privileges, it writes as somebody else.
        chmod(stage.folder, 0o777)

        let (executable, arguments) =
            switch self.product {
            case .haproxy: ("haproxy", ["-W", "-db", "-f", self.file])
            case .nginx: ("nginx", ["-e", "stderr", "-g", "daemon off;", "-c", self.file])
            case .caddy: ("caddy", ["run", "--config", self.file, "--adapter", "caddyfile"])
            case .apache: ("apache2", ["-DFOREGROUND", "-f", self.file])
            }
        self.program = try stage.startFamily(
            executable, arguments, environment: ["XDG_CONFIG_HOME": stage.folder, "XDG_DATA_HOME": stage.folder])
        try self.program.line(containing: self.product.ready.first)
        self.server = server.program
        self.authority = authority.certificate
        self.port = port
        self.url = "wss://\(host.name):\(port)/tunnel/of/mine"
    }

    /// Starts a client that comes through the load balancer.
    func client(to port: UInt16, _ arguments: [String] = []) throws -> Program {
        try self.stage.client(
            ["--server", self.url, "--ca-file", self.authority, "--expose", "127.0.0.1:\(port)"] + arguments)
    }

    /// Has it read its configuration again, and waits until it serves with it.
    func reload() throws {
        let mark = self.program.mark
        switch self.product {
        case .haproxy: self.program.signal(SIGUSR2)
        case .nginx: self.program.signal(SIGHUP)
        // Unchanged, the configuration would not be loaded again without --force.
        case .caddy: try self.stage.run("caddy", "reload", "--force", "--config", self.file, "--adapter", "caddyfile")
        case .apache: self.program.signal(SIGUSR1)
        }
        try self.program.line(containing: self.product.ready.again, since: mark)
    }
}
