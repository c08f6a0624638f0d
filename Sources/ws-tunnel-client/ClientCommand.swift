public import ArgumentParser
import Console
public import Intermediaries
import Logging
import TunnelClient
import TunnelTransport

/// Arguments, files and environment into one configuration; then it runs.
@main
struct ClientCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "ws-tunnel-client",
        abstract: "Exposes a local service through a ws-tunnel-server.",
        usage: """
            ws-tunnel-client <options>
            ws-tunnel-client doctor <options>
            """,
        discussion: """
            Connects to the server over a WebSocket on TLS and gives the service a public address there, for any number \
            of visitors at once.

            The pre-shared key comes from SOCKETS_API_KEY or from --api-key-file; the server's address from --server or \
            WS_TUNNEL_SERVER.

              SOCKETS_API_KEY=... ws-tunnel-client --server wss://tunnel.example.com --expose 127.0.0.1:8000

            On SIGHUP a client that waits for its next attempt to connect makes it at once.

            A forward proxy comes from --proxy, else from HTTPS_PROXY (http_proxy for ws://), else from ALL_PROXY. NO_PROXY \
            names hosts that are reached without it; loopback always is. Other users of this machine can read a password in \
            --proxy in the list of processes: use --proxy-auth-file or the environment.

            Exit codes: 0 stopped, 1 failure, 64 usage, 69 server or proxy unreachable, 73 port taken, 77 key refused, \
            78 bad configuration.
            """,
        version: programVersion, subcommands: [DoctorCommand.self])

    @Option(help: ArgumentHelp("The server. (default: wss://localhost:8443)", valueName: "wss://host[:port][/path]"))
    var server: String?

    @Option(
        help: ArgumentHelp(
            """
            What to expose: 8000, 127.0.0.1:8000, tcp://host:8000 or unix:/path; then ,port=N, ,name=TEXT or ,send-proxy=v1|v2. \
            For a name instead of a port: http://127.0.0.1:3000, https://host, http+unix:/path or tls://host:443; then \
            ,subdomain=NAME and so on, as in the options below. Repeatable.
            """,
            valueName: "addr"))
    var expose: [String] = []

    @Option(help: ArgumentHelp("The public port, with a single --expose. (default: any)", valueName: "port"))
    var remotePort: UInt16?

    @Option(
        help: ArgumentHelp(
            "Begin connections to the service with a PROXY header that tells the visitor's address, with a single --expose.",
            valueName: "version"))
    var sendProxy: ProxyVersion?

    @OptionGroup(title: "HTTP tunnels, with a single --expose") var http: HTTPOptions

    @Option(help: ArgumentHelp("A line for each request of an HTTP tunnel, without its query.", valueName: "on|off"))
    var logRequests = SwitchArgument.on

    @Option(help: ArgumentHelp("A file with the pre-shared key, instead of the environment.", valueName: "path"))
    var apiKeyFile: String?

    @Option(help: ArgumentHelp("An authority to trust besides the system's, PEM. Repeatable.", valueName: "pem"))
    var caFile: [String] = []

    @Option(help: ArgumentHelp("Accept exactly the certificate the server printed this for.", valueName: "sha256:hex"))
    var fingerprint: String?

    @Flag(help: "Accept any certificate: whoever stands in between reads everything, the key too.")
    var insecure = false

    @Option(help: ArgumentHelp("The certificate chain to present where the server asks, PEM.", valueName: "pem"))
    var clientCert: String?

    @Option(help: ArgumentHelp("The private key of --client-cert, PEM.", valueName: "pem"))
    var clientKey: String?

    @Flag(help: "Send the key even where ws:// is not encrypted and the server is another machine.")
    var allowPlainTextKey = false

    @Option(
        help: ArgumentHelp(
            "The forward proxy: http, https, socks5 or socks5h://[user:password@]host[:port]; none for none.",
            valueName: "url"))
    var proxy: String?

    @Option(help: ArgumentHelp("A file with the proxy's user:password.", valueName: "path"))
    var proxyAuthFile: String?

    @Option(help: ArgumentHelp("Time between signs of life.", valueName: "time"))
    var keepalive = DurationArgument(argument: "20s")!

    @Option(help: ArgumentHelp("Give up after so many failed attempts in a row. (default: never)", valueName: "n"))
    var maxRetries: Int?

    @Option(help: ArgumentHelp("Connections to spread the session over, 1 to 8.", valueName: "n"))
    var links = 1

    @Option(
        help: ArgumentHelp(
            "This client's name from one run to the next. (default: one kept in the state folder)", valueName: "id"))
    var clientId: String?

    @Option(help: ArgumentHelp("How long open streams may go on after SIGTERM.", valueName: "time"))
    var gracePeriod = DurationArgument(argument: "30s")!

    @Option(help: ArgumentHelp("Compress what streams send, where the server has it on too.", valueName: "on|off"))
    var compression = SwitchArgument.off

    @Option(
        help: ArgumentHelp(
            "What streams on long lines and unacknowledged bytes may take; one stream gets a quarter.", valueName: "size"))
    var memoryBudget = SizeArgument(argument: "256MiB")!

    @Option(help: ArgumentHelp("The folder shared with a server of this user on this machine.", valueName: "path"))
    var stateDir: String?

    @Option(
        help: ArgumentHelp(
            "Where to look at the requests of HTTP tunnels: a loopback address (if its port is taken, one of the next 20), or off.",
            valueName: "addr|off"))
    var inspect = "\(InspectorAddress.standard)"

    @OptionGroup var output: OutputOptions

    static func main() async {
        Program.holdStandardDescriptors()
        await self.main(nil)
    }

    func validate() throws {
        guard self.remotePort == nil || self.expose.count == 1 else {
            throw ValidationError("--remote-port goes with a single --expose; with several, write --expose ADDR,port=N.")
        }
        guard self.sendProxy == nil || self.expose.count == 1 else {
            throw ValidationError("--send-proxy goes with a single --expose; with several, write --expose ADDR,send-proxy=v1.")
        }
        try self.http.check(exposures: self.expose.count)
        guard self.remotePort != 0 else { throw ValidationError("--remote-port is 1 to 65535.") }
        guard [!self.caFile.isEmpty, self.fingerprint != nil, self.insecure].filter(\.self).count <= 1 else {
            throw ValidationError("--ca-file, --fingerprint and --insecure exclude each other.")
        }
        guard (self.clientCert == nil) == (self.clientKey == nil) else {
            throw ValidationError("--client-cert and --client-key go together.")
        }
        guard 1...8 ~= self.links else { throw ValidationError("--links is 1 to 8.") }
        guard (self.maxRetries ?? 0) >= 0 else { throw ValidationError("--max-retries is 0 or more.") }
    }

    func run() async throws {
        let logger = makeLogger(self.output.logFormat, self.output.level)
        let events = EventStream(isOn: self.output.json)
        let client: Client
        let reporter: Reporter
        let panel: LivePanel<ClientPanel>?
        do {
            let configuration = try self.makeConfiguration(logger)
            panel = self.output.json ? nil : LivePanel(ClientPanel(configuration))
            reporter = Reporter(
                logger: logger, format: self.output.logFormat, events: events, isJSON: self.output.json, panel: panel,
                namesTunnels: configuration.exposures.count { $0.http != nil } > 1)
            client = Client(configuration, logger: logger) { reporter.report($0) }
        } catch {
            Program.fail(error, logger: logger, events: events)
        }
        panel?.show { $0.lines(client.statistics, now: .now) }
        let stop: @Sendable () -> Void = {
            panel?.update { $0.stop(now: .now) }
            client.stop()
        }
        await Program.run(logger: logger, events: events, stop: stop, hangUp: client.reconnect) {
            defer { reporter.flush() }
            try await client.run()
        }
    }

    func makeConfiguration(_ logger: Logger) throws -> ClientConfiguration {
        let environment = Program.environment
        let key = try KeySource.read(file: self.apiKeyFile, variables: ["SOCKETS_API_KEY"], environment: environment)
        let server = self.server ?? environment["WS_TUNNEL_SERVER"].flatMap { $0.isEmpty ? nil : $0 }
        var configuration = ClientConfiguration(
            server: try ServerURL(server ?? "wss://localhost:8443"), key: key ?? "",
            exposures: try self.expose.map { text throws(OperatorError) in try Exposure(text) },
            stateFolder: self.stateDir.map(StateFolder.init(path:)) ?? StateFolder(environment: environment))
        try self.http.apply(to: &configuration.exposures, environment: environment, logger)
        if let port = self.remotePort {
            guard !configuration.exposures[0].hasName else {
                throw OperatorError(.badConfiguration, "\(configuration.exposures[0].target) has a name, not a port: see --subdomain")
            }
            guard configuration.exposures[0].remotePort == nil else {
                throw OperatorError(.badConfiguration, "the public port is given twice: --remote-port and port=")
            }
            configuration.exposures[0].remotePort = port
        }
        if let version = self.sendProxy {
            guard configuration.exposures[0].http == nil else {
                throw OperatorError(
                    .badConfiguration, "an HTTP service learns of its visitors from X-Forwarded-For, not from the PROXY protocol")
            }
            guard configuration.exposures[0].proxyVersion == nil else {
                throw OperatorError(.badConfiguration, "the PROXY protocol is given twice: --send-proxy and send-proxy=")
            }
            configuration.exposures[0].proxyVersion = version
        }
        if self.insecure {
            configuration.trust = .anything
        } else if let fingerprint = self.fingerprint {
            configuration.trust = .fingerprint(fingerprint)
        } else {
            configuration.trust = .authorities(files: self.caFile)
        }
        if let chain = self.clientCert, let key = self.clientKey {
            configuration.certificate = ClientConfiguration.Certificate(chainFile: chain, keyFile: key)
        }
        configuration.allowsPlainTextKey = self.allowPlainTextKey
        configuration.keepalive = self.keepalive.duration
        configuration.maximumRetries = self.maxRetries
        configuration.clientID = self.clientId
        configuration.links = self.links
        configuration.gracePeriod = self.gracePeriod.duration
        configuration.compression = self.compression == .on
        configuration.memoryBudget = self.memoryBudget.bytes
        configuration.inspector = self.inspect == "off" ? nil : try InspectorAddress(self.inspect)
        configuration.logsRequests = self.logRequests == .on
        configuration.proxy = try self.chooseProxy(to: configuration.server, environment, logger)
        return configuration
    }

    private func chooseProxy(
        to server: ServerURL, _ environment: [String: String], _ logger: Logger
    ) throws -> ProxyURL? {
        let choice: ProxyChoice
        do {
            choice = try ProxyChoice(
                isSecure: server.isSecure, host: server.host, port: server.port, argument: self.proxy, environment: environment)
        } catch {
            // Nothing of the text: it may hold a password.
            throw OperatorError(
                .badConfiguration, "the proxy's address in \(error.source) cannot be used: \(error.reason.sentence)",
                remedy: "Write it as http://10.0.0.1:3128, or https://, socks5:// or socks5h://.")
        }
        guard let source = choice.source else {
            guard self.proxyAuthFile == nil else {
                throw OperatorError(
                    .badConfiguration, "there is --proxy-auth-file, and no proxy", remedy: "Name it with --proxy or HTTPS_PROXY.")
            }
            return nil
        }
        guard var proxy = choice.proxy else {
            let reason = choice.bypass.map { $0 == "loopback" ? "loopback never is behind one" : "\($0) says so" } ?? ""
            logger.log(
                level: self.proxy == nil ? .debug : .notice,
                "\(server) is reached without the proxy of \(source): \(reason)")
            return nil
        }
        if let file = self.proxyAuthFile {
            do {
                let text = try KeySource.read(secret: "proxy credentials", file: file)
                try proxy.use(ProxyCredentials(parsing: text))
            } catch let error as ProxyCredentials.Invalid {
                throw OperatorError(.badConfiguration, "\(file) cannot be used: \(error.sentence)", remedy: "Write user:password into it.")
            } catch let error as ProxyURL.Invalid {
                throw OperatorError(.badConfiguration, "\(file) cannot be used: \(error.sentence)")
            }
        }
        logger.info("the way to \(server) leads through the proxy \(proxy) of \(source)")
        return proxy
    }
}

extension ProxyVersion: ExpressibleByArgument {}
