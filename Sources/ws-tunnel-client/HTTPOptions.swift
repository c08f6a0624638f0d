import ArgumentParser
import Console
import Intermediaries
import Logging
import TunnelClient
import TunnelTransport

/// What an HTTP tunnel may have, with a single --expose; the same can be said in its keys.
struct HTTPOptions: ParsableArguments {
    @Option(help: ArgumentHelp("The public name below the server's domain, for http://, https:// and tls://. (default: a readable one)", valueName: "label"))
    var subdomain: String?

    @Option(help: ArgumentHelp("The whole public host name, where the server lets this key have it.", valueName: "name"))
    var hostname: String?

    @Option(help: ArgumentHelp("Share the public name with the other clients that say so: requests are spread over them.", valueName: "name"))
    var group: String?

    @Option(help: ArgumentHelp("A path that answers 2xx or 3xx while the service is well; others of the group take over while it does not.", valueName: "path"))
    var healthPath: String?

    @Option(help: ArgumentHelp("The Host that the service sees: preserve, rewrite (its own address), or a value. (default: preserve)", valueName: "rule"))
    var hostHeader: String?

    @Option(help: ArgumentHelp("Let only visitors with this user and password pass. Other users of this machine can read it in the list of processes: prefer a file, or SOCKETS_BASIC_AUTH.", valueName: "user:pass"))
    var basicAuth: [String] = []

    @Option(help: ArgumentHelp("A file with user:password on each line, instead of --basic-auth.", valueName: "path"))
    var basicAuthFile: String?

    @Option(help: ArgumentHelp("Let only visitors from this network pass. Repeatable.", valueName: "cidr"))
    var allowIp: [String] = []

    @Option(help: ArgumentHelp("Let no visitors from this network pass. Repeatable.", valueName: "cidr"))
    var denyIp: [String] = []

    @Option(help: ArgumentHelp("Add a field to requests. Repeatable.", valueName: "name: value"))
    var addRequestHeader: [String] = []

    @Option(help: ArgumentHelp("Remove a field from requests. Repeatable.", valueName: "name"))
    var removeRequestHeader: [String] = []

    @Option(help: ArgumentHelp("Add a field to responses. Repeatable.", valueName: "name: value"))
    var addResponseHeader: [String] = []

    @Option(help: ArgumentHelp("Remove a field from responses. Repeatable.", valueName: "name"))
    var removeResponseHeader: [String] = []

    @Option(help: ArgumentHelp("The largest body of a request. (default: any)", valueName: "size"))
    var maxBody: SizeArgument?

    @Option(help: ArgumentHelp("How long the service may take until its response begins. (default: 60s)", valueName: "time"))
    var timeout: DurationArgument?

    /// The options that were given, by their names, and what says the same behind an address.
    private var given: [(name: String, key: String)] {
        let all: [(name: String, key: String, isGiven: Bool)] = [
            ("--subdomain", "subdomain=NAME", self.subdomain != nil), ("--hostname", "hostname=NAME", self.hostname != nil),
            ("--group", "group=NAME", self.group != nil), ("--health-path", "health-path=PATH", self.healthPath != nil),
            ("--host-header", "host-header=RULE", self.hostHeader != nil),
            // There is no key with the password itself: it does not belong in the list of processes.
            ("--basic-auth", "basic-auth-file=PATH", !self.basicAuth.isEmpty),
            ("--basic-auth-file", "basic-auth-file=PATH", self.basicAuthFile != nil),
            ("--allow-ip", "allow-ip=CIDR", !self.allowIp.isEmpty), ("--deny-ip", "deny-ip=CIDR", !self.denyIp.isEmpty),
            ("--add-request-header", "request-header=+NAME:VALUE", !self.addRequestHeader.isEmpty),
            ("--remove-request-header", "request-header=-NAME", !self.removeRequestHeader.isEmpty),
            ("--add-response-header", "response-header=+NAME:VALUE", !self.addResponseHeader.isEmpty),
            ("--remove-response-header", "response-header=-NAME", !self.removeResponseHeader.isEmpty),
            ("--max-body", "max-body=SIZE", self.maxBody != nil), ("--timeout", "timeout=TIME", self.timeout != nil),
        ]
        return all.filter(\.isGiven).map { ($0.name, $0.key) }
    }

    /// Whether --expose ADDR,key=value has to say it instead.
    func check(exposures: Int) throws {
        guard exposures != 1, let first = self.given.first else { return }
        throw ValidationError("\(first.name) goes with a single --expose; with several, write --expose ADDR,\(first.key).")
    }

    /// - Parameter environment: SOCKETS_BASIC_AUTH protects every HTTP tunnel that has no credentials of its own.
    func apply(to exposures: inout [Exposure], environment: [String: String], _ logger: Logger) throws {
        if let index = exposures.indices.first, !self.given.isEmpty { try self.apply(to: &exposures[index], logger) }
        guard let text = environment["SOCKETS_BASIC_AUTH"], !text.isEmpty else { return }
        let credentials = try HTTPExposure.Credentials(text)
        for index in exposures.indices {
            guard exposures[index].http?.credentials.isEmpty == true, exposures[index].http?.credentialsFile == nil else { continue }
            exposures[index].http?.credentials = [credentials]
        }
    }

    private func apply(to exposure: inout Exposure, _ logger: Logger) throws {
        let names = ["--subdomain", "--hostname", "--group"]
        let networks = ["--allow-ip", "--deny-ip"]
        if let option = self.given.map(\.name).first(where: { names.contains($0) }), !exposure.hasName {
            throw OperatorError(
                .badConfiguration, "\(option) is for tunnels with a name, and \(exposure.target) has a port",
                remedy: "Expose an HTTP service as http://\(exposure.service).")
        }
        if let label = self.subdomain { try exposure.setSubdomain(label) }
        if let name = self.hostname { try exposure.setHostname(name) }
        if let group = self.group {
            guard !group.isEmpty else {
                throw OperatorError(.badConfiguration, "--group is empty", remedy: "Name the group, or leave --group out.")
            }
            exposure.group = group
        }
        exposure.allowedNetworks += try self.allowIp.map(Self.network)
        exposure.deniedNetworks += try self.denyIp.map(Self.network)
        guard let option = self.given.map(\.name).first(where: { !(names + networks).contains($0) }) else { return }
        guard var http = exposure.http else {
            throw OperatorError(
                .badConfiguration, "\(option) is for HTTP tunnels, and \(exposure.target) is not one",
                remedy: "Expose an HTTP service as http://\(exposure.service).")
        }
        try self.apply(to: &http, logger)
        exposure.http = http
    }

    private func apply(to http: inout HTTPExposure, _ logger: Logger) throws {
        if let path = self.healthPath { try http.setHealthPath(path) }
        if let rule = self.hostHeader { http.hostField = try HTTPExposure.HostField(rule) }
        if !self.basicAuth.isEmpty {
            logger.warning("other users of this machine can read --basic-auth in the list of processes: --basic-auth-file and SOCKETS_BASIC_AUTH are safer")
            http.credentials += try self.basicAuth.map { text throws(OperatorError) in try HTTPExposure.Credentials(text) }
        }
        if let file = self.basicAuthFile { http.credentialsFile = file }
        http.requestFields += try self.removeRequestHeader.map { text throws(OperatorError) in try .removing(text) }
        http.requestFields += try self.addRequestHeader.map { text throws(OperatorError) in try .adding(text) }
        http.responseFields += try self.removeResponseHeader.map { text throws(OperatorError) in try .removing(text) }
        http.responseFields += try self.addResponseHeader.map { text throws(OperatorError) in try .adding(text) }
        if let size = self.maxBody { http.maximumBodyBytes = UInt64(size.bytes) }
        if let time = self.timeout { try http.setTimeout(time.duration) }
    }

    private static func network(_ text: String) throws(OperatorError) -> CIDR {
        do {
            return try CIDR(text)
        } catch {
            throw OperatorError(.badConfiguration, error.sentence)
        }
    }
}
