public import ArgumentParser
import Console
import Logging
public import TunnelServer
import TunnelTransport

/// Arguments, files and environment into one configuration; then it runs.
@main
struct ServerCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "ws-tunnel-server",
        abstract: "Gives services behind NAT a public address.",
        discussion: """
            Clients (ws-tunnel-client) connect to it over a WebSocket on TLS and expose services of theirs; it opens a \
            port for each, or gives it a name below --domain, and carries visitors there.

            The pre-shared key comes from SOCKETS_API_KEY (or SOCKETS_SINGLE_API_KEY), or from --api-key-file. Clients \
            need the same.

              SOCKETS_API_KEY=... ws-tunnel-server

            On SIGHUP, and when they change, the files of --tls-cert, --tls-key and --client-ca are read again.

            Exit codes: 0 stopped, 1 failure, 64 usage, 73 address taken, 78 bad configuration.
            """,
        version: programVersion)

    @Option(help: ArgumentHelp("Where clients connect; [::]:8443 for IPv6 too.", valueName: "host:port"))
    var listen = "0.0.0.0:8443"

    @Option(help: ArgumentHelp("Ports for tunnels: any from 1024 up, one port, or a range.", valueName: "any|first-last"))
    var tcpPorts = PortsArgument.any

    @Option(help: ArgumentHelp("The address on which tunnels' ports listen.", valueName: "host"))
    var bind = "0.0.0.0"

    @Option(help: ArgumentHelp("The host shown in URLs.", valueName: "name"))
    var publicHost = "localhost"

    @Option(
        help: ArgumentHelp(
            "HTTP tunnels are names below this one; its DNS has *.NAME too. (default: localhost with --public-host localhost, else off)",
            valueName: "[scheme://]name[:port]|off"))
    var domain: String?

    @Option(
        help: ArgumentHelp(
            "Whole host names that clients may have for HTTP tunnels: app.example.org,*.example.net. (default: none)",
            valueName: "name,..."))
    var hostnames: String?

    @Option(help: ArgumentHelp("Where visitors of tls:// tunnels come, besides --listen.", valueName: "host:port"))
    var tlsListen: String?

    @Option(help: ArgumentHelp("The certificate chain, PEM. Without it: a self-signed one, made once.", valueName: "pem"))
    var tlsCert: String?

    @Option(help: ArgumentHelp("The certificate's private key, PEM.", valueName: "pem"))
    var tlsKey: String?

    @Option(
        help: ArgumentHelp("Ask clients for a certificate of these authorities, besides the key. PEM.", valueName: "pem"))
    var clientCa: String?

    @Flag(help: "No TLS: for a load balancer in front that ends it.")
    var plain = false

    @Option(
        help: ArgumentHelp(
            "Whose X-Forwarded-For, Forwarded and PROXY headers are believed: 10.0.0.0/8,192.0.2.7. (default: nobody's)",
            valueName: "cidr,..."))
    var trustedProxies: String?

    @Option(help: ArgumentHelp("The PROXY protocol before TLS, from --trusted-proxies, for clients.", valueName: "version"))
    var proxyProtocol = ServerConfiguration.ProxyProtocol.off

    @Option(help: ArgumentHelp("Likewise on tunnels' ports, for their visitors.", valueName: "version"))
    var tunnelProxyProtocol = ServerConfiguration.ProxyProtocol.off

    @Option(help: ArgumentHelp("A file with the pre-shared key, instead of the environment.", valueName: "path"))
    var apiKeyFile: String?

    @Option(help: ArgumentHelp("Time between signs of life to each client.", valueName: "time"))
    var keepalive = DurationArgument(argument: "20s")!

    @Option(help: ArgumentHelp("How long a session outlives its connection; 0s: not at all.", valueName: "time"))
    var resumeWindow = DurationArgument(argument: "60s")!

    @Option(help: ArgumentHelp("How long open streams may go on after SIGTERM.", valueName: "time"))
    var gracePeriod = DurationArgument(argument: "30s")!

    @Option(help: ArgumentHelp("Replace connections of this age before a load balancer cuts them.", valueName: "off|time"))
    var maxConnectionAge = OptionalDurationArgument.off

    @Option(help: ArgumentHelp("Compress what streams send, where the client has it on too.", valueName: "on|off"))
    var compression = SwitchArgument.off

    @Option(
        help: ArgumentHelp(
            "What streams on long lines and unacknowledged bytes may take; one stream gets a quarter.", valueName: "size"))
    var memoryBudget = SizeArgument(argument: "256MiB")!

    @Option(help: ArgumentHelp("Where the server keeps its own certificate.", valueName: "path"))
    var stateDir: String?

    @Option(help: ArgumentHelp("The admin listener; this version has none, so it can only be off.", valueName: "off"))
    var adminListen = OffArgument.off

    @OptionGroup var output: OutputOptions

    static func main() async {
        Program.holdStandardDescriptors()
        await self.main(nil)
    }

    func validate() throws {
        guard (self.tlsCert == nil) == (self.tlsKey == nil) else {
            throw ValidationError("--tls-cert and --tls-key go together.")
        }
        guard !self.plain || self.tlsCert == nil else {
            throw ValidationError("--plain and --tls-cert exclude each other.")
        }
        guard !self.plain || self.clientCa == nil else {
            throw ValidationError("--plain and --client-ca exclude each other: who ends TLS asks for certificates.")
        }
    }

    func run() async throws {
        let logger = makeLogger(self.output.logFormat, self.output.level)
        let events = EventStream(isOn: self.output.json)
        let server: Server
        do {
            server = Server(try self.makeConfiguration(), logger: logger) { report($0, logger, events) }
        } catch {
            Program.fail(error, logger: logger, events: events)
        }
        await Program.run(logger: logger, events: events, stop: server.stop, hangUp: server.reload, body: server.run)
    }

    private func makeConfiguration() throws -> ServerConfiguration {
        let environment = Program.environment
        let key = try KeySource.read(
            file: self.apiKeyFile, variables: ["SOCKETS_API_KEY", "SOCKETS_SINGLE_API_KEY"], environment: environment)
        var configuration = ServerConfiguration(
            keys: key.map { [$0] } ?? [], listen: try ListenAddress(self.listen),
            stateFolder: self.stateDir.map(StateFolder.init(path:)) ?? StateFolder(environment: environment))
        configuration.bind = ListenAddress.host(self.bind)
        configuration.tcpPorts = self.tcpPorts.policy
        configuration.publicHost = ListenAddress.host(self.publicHost)
        configuration.tlsListen = try self.tlsListen.map { text throws(OperatorError) in try ListenAddress(text) }
        if let domain = self.domain { configuration.domain = domain == "off" ? .off : .below(try TunnelDomain(domain)) }
        configuration.hostnames = try self.hostnames.map(ServerConfiguration.hostnames) ?? []
        configuration.keepalive = self.keepalive.duration
        configuration.resumeWindow = self.resumeWindow.duration
        configuration.gracePeriod = self.gracePeriod.duration
        configuration.memoryBudget = self.memoryBudget.bytes
        configuration.maximumConnectionAge = self.maxConnectionAge.duration
        configuration.compression = self.compression == .on
        configuration.trustedProxies = try self.trustedProxies.map(ServerConfiguration.networks) ?? []
        configuration.proxyProtocol = self.proxyProtocol
        configuration.tunnelProxyProtocol = self.tunnelProxyProtocol
        configuration.clientAuthorities = self.clientCa
        if self.plain {
            configuration.security = .plain
        } else if let chain = self.tlsCert, let key = self.tlsKey {
            configuration.security = .certificate(chainFile: chain, keyFile: key)
        }
        return configuration
    }
}

extension ServerConfiguration.ProxyProtocol: ExpressibleByArgument {}

/// `any`, `20000` or `20000-29999`.
struct PortsArgument: ExpressibleByArgument, CustomStringConvertible {
    static let any = PortsArgument(policy: .any, description: "any")

    let policy: ServerConfiguration.PortPolicy
    let description: String

    private init(policy: ServerConfiguration.PortPolicy, description: String) {
        self.policy = policy
        self.description = description
    }

    init?(argument: String) {
        if argument == "any" {
            self = .any
            return
        }
        let ends = argument.split(separator: "-", omittingEmptySubsequences: false).map { UInt16($0) }
        guard (1...2).contains(ends.count), let first = ends[0], let last = ends[ends.count - 1], first > 0, first <= last
        else { return nil }
        self.init(policy: .range(first...last), description: argument)
    }
}

private func report(_ event: ServerEvent, _ logger: Logger, _ events: EventStream) {
    switch event {
    case .ready(let listen, let fingerprint):
        logger.notice("listening for clients on \(listen)")
        if let fingerprint {
            logger.notice("using a self-signed certificate; clients elsewhere need: --fingerprint \(fingerprint)")
        }
        events.send("ready") {
            $0.set("listen", "\(listen)")
            if let fingerprint { $0.set("fingerprint", fingerprint) }
        }
    case .clientConnected(let session, let address, let agent):
        events.send("connected") {
            $0.set("session", session)
            $0.set("address", address)
            $0.set("agent", agent)
        }
    case .tunnelOpened(let id, let url, let session):
        events.send("tunnel") {
            $0.set("id", id)
            $0.set("url", url)
            $0.set("session", session)
        }
    case .tunnelClosed(let id, let url, let session):
        events.send("tunnel-closed") {
            $0.set("id", id)
            $0.set("url", url)
            $0.set("session", session)
        }
    case .clientPaused(let session, let streams, let reason):
        events.send("paused") {
            $0.set("session", session)
            $0.set("streams", streams)
            $0.set("message", reason)
        }
    case .clientResumed(let session, let streams, let repeatedBytes):
        events.send("resumed") {
            $0.set("session", session)
            $0.set("streams", streams)
            $0.set("replayedBytes", repeatedBytes)
        }
    case .clientDisconnected(let session, let reason):
        events.send("lost") {
            $0.set("session", session)
            $0.set("message", reason)
        }
    }
}
