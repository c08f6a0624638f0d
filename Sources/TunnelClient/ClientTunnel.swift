internal import HTTPMessages
internal import NIOCore
internal import OpenSSL
internal import TunnelProtocol
internal import TunnelTransport

/// One exposed service: what the server is asked for, and what it gave.
struct ClientTunnel {
    let exposure: Exposure
    let connector: ServiceConnector
    /// With HTTP.
    let service: HTTPService?
    var health: HealthCheck?
    var isOpen = false
    var hasBeenRefused = false
    var serviceIsDown = false
    /// What the server gave, so that the next session can ask for the same.
    private var port: UInt16?
    private var name = ""
    private let policy: ByteBuffer?

    init(_ exposure: Exposure, service: HTTPService?) {
        self.exposure = exposure
        self.connector = ServiceConnector(exposure.service, proxyVersion: exposure.proxyVersion)
        self.service = service
        self.policy = exposure.policy.map { $0.encoded() }
    }

    /// Whether the server has opened it before.
    var wasGiven: Bool { self.port != nil || !self.name.isEmpty }

    mutating func opened(_ listening: Frame.Listening) {
        self.isOpen = true
        self.hasBeenRefused = false
        self.port = listening.port
        if self.exposure.hasName { self.name = Self.host(of: listening.url) }
        guard let service = self.service else { return }
        service.url = listening.url
        service.listener?.opened(
            HTTPTunnel(
                number: listening.tunnel, id: "\(listening.id)", name: self.exposure.name, url: listening.url,
                service: self.exposure.target))
    }

    /// - Parameter clientID: Empty when the client has none.
    func request(_ number: TunnelNumber, clientID: String) -> Frame.Listen {
        var listen = Frame.Listen(tunnel: number, kind: self.exposure.wireKind, label: self.exposure.name, policy: self.policy)
        if self.exposure.hasName {
            listen.hostnameIsRequired = !self.exposure.hostname.isEmpty
            listen.hostname = listen.hostnameIsRequired ? self.exposure.hostname : self.preferredName(clientID)
            listen.group = self.exposure.group
        } else {
            listen.portIsRequired = self.exposure.remotePort != nil
            listen.port = self.exposure.remotePort ?? self.port
        }
        return listen
    }

    /// The one it had, or one that is the same for the same client and service every time, so that a link sent to somebody yesterday
    /// is good today.
    private func preferredName(_ clientID: String) -> String {
        guard self.name.isEmpty else { return self.name }
        // Without an identity of its own a client would ask for every other one's name.
        guard !clientID.isEmpty else { return "" }
        return TunnelName.readable(from: Digest.sha256(Array("\(clientID)\n\(self.exposure.target)".utf8)))
    }

    /// What a refusal means for the operator.
    func explain(_ refused: Frame.Refused) -> OperatorError {
        let remedy: String? = switch (refused.code, self.exposure.hasName) {
        case (.taken, false): "Ask for another port with --remote-port, or leave the choice to the server."
        case (.taken, true):
            "Ask for another name with --subdomain, or leave the choice to the server. Clients of one --group share a name."
        case (.notAllowed, false): "Ask for a port the server allows."
        case (.notAllowed, true): "Ask for a name the server allows: a label below its --domain, or what its --hostnames says."
        case (.unknownKind, true): "It is older than HTTP tunnels: the service can be exposed by its host and port as TCP."
        default: nil
        }
        return OperatorError(
            refused.code == .taken ? .taken : .failure,
            "the server does not open a tunnel for \(self.exposure.target): \(refused.message)", remedy: remedy)
    }

    private static func host(of url: String) -> String {
        let parts = url.split(separator: "/", omittingEmptySubsequences: true)
        let authority = parts.count > 1 ? parts[1] : parts.first ?? ""
        return String(authority.prefix { $0 != ":" })
    }
}

extension Exposure {
    /// Whom the server lets pass; `nil`: everybody. With a salt of its own each time.
    var policy: TunnelPolicy? {
        let policy = TunnelPolicy(
            credentials: (self.http?.credentials ?? []).map { "\($0.user):\($0.password)" },
            salt: Randomness.bytes(TunnelPolicy.saltBytes), allow: self.allowedNetworks, deny: self.deniedNetworks,
            maximumBodyBytes: self.http?.maximumBodyBytes)
        return policy.isEmpty ? nil : policy
    }

    /// Reads the credentials from their file.
    ///
    /// - Throws: `OperatorError`, also when the whole policy is more than a server takes.
    mutating func prepare() throws(OperatorError) {
        if var http = self.http, let file = http.credentialsFile {
            http.credentials += try Self.credentials(in: file)
            http.credentialsFile = nil
            self.http = http
        }
        let length = self.policy?.encoded().readableBytes ?? 0
        guard length <= Limits.Specification.policyBytes else {
            throw OperatorError(
                .badConfiguration, "the rules for visitors of \(self.target) take \(length) bytes, \(Limits.Specification.policyBytes) at most",
                remedy: "List fewer networks or users: one network may stand for many.")
        }
    }

    private static func credentials(in file: String) throws(OperatorError) -> [HTTPExposure.Credentials] {
        let text: String
        do {
            text = try readTextFile(file)
        } catch {
            throw OperatorError(
                .badConfiguration, "cannot read the credentials for visitors in \(file): \(systemMessage(error.number))",
                remedy: "Check the path and its permissions.")
        }
        var credentials: [HTTPExposure.Credentials] = []
        for line in text.split(whereSeparator: \.isNewline) where !line.hasPrefix("#") {
            do {
                credentials.append(try HTTPExposure.Credentials(line))
            } catch {
                throw OperatorError(.badConfiguration, "\(file): \(error.message)", remedy: "Write user:password on each line.")
            }
        }
        guard !credentials.isEmpty else {
            throw OperatorError(.badConfiguration, "there are no credentials in \(file)", remedy: "Write user:password on each line.")
        }
        return credentials
    }
}
