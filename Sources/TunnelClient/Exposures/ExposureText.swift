internal import HTTPMessages
internal import Intermediaries
internal import TunnelProtocol
public import TunnelTransport

extension Exposure {
    /// Reads `ADDR[,key=value...]`. ADDR is `8000`, `host:port`, `tcp://host:port`, `[::1]:port` or `unix:PATH` for a TCP tunnel;
    /// `http://host[:port]`, `https://host[:port]`, `http+unix:PATH` or `https+unix:PATH` for an HTTP tunnel; `tls://host:port` for
    /// TLS by name.
    ///
    /// Keys: `name`; with TCP `port` and `send-proxy`; with names `subdomain` or `hostname`, and `group`; with HTTP `host-header`,
    /// `health-path`, `basic-auth-file`, `allow-ip`, `deny-ip` (networks, joined by `+`), `request-header`, `response-header`
    /// (`+Name:value` or `-Name`, repeatable), `max-body`, `timeout`, and with https `tls-verify`.
    public init(_ text: String) throws(OperatorError) {
        let parts = text.split(separator: ",", omittingEmptySubsequences: false)
        do throws(Refusal) {
            try self.init(address: String(parts[0]))
            var seen: Set<String> = []
            for part in parts.dropFirst() {
                let pair = part.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
                guard pair.count == 2 else { throw Refusal(sentence: "what stands behind a comma is not key=value") }
                let key = String(pair[0])
                guard !seen.contains(key) else { throw Refusal(sentence: "\(key) is given twice") }
                try self.set(key, String(pair[1]))
                if !Self.repeatable.contains(key) { seen.insert(key) }
            }
        } catch {
            // The rest may hold a header's secret, or a password.
            let address = parts[0].contains("@") ? "this" : parts[0]
            throw OperatorError(
                .badConfiguration, "cannot expose \(address): \(error.sentence)",
                remedy: """
                    Write 8000, 127.0.0.1:8000, [::1]:8000, tcp://host:8000 or unix:/path, then ,port=N, ,name=TEXT or \
                    ,send-proxy=v1|v2; or http://127.0.0.1:3000, https:// or tls://, then ,subdomain=NAME and so on.
                    """)
        }
    }

    private init(address text: String) throws(Refusal) {
        let schemes = ["tcp://", "http://", "https://", "tls://", "http+unix:", "https+unix:", "tls+unix:", "unix:"]
        let scheme = schemes.first { text.hasPrefix($0) } ?? ""
        guard !scheme.isEmpty || !text.contains("://") else {
            throw Refusal(sentence: "\(text.prefix { $0 != "/" })// is none of tcp://, http://, https:// and tls://")
        }
        var address = String(text.dropFirst(scheme.count))
        guard !scheme.hasSuffix("unix:") else {
            // sun_path has 108 bytes, the closing zero among them.
            guard !address.isEmpty, address.utf8.count < 108 else { throw Refusal(sentence: "a socket's path has 1 to 107 bytes") }
            self.init(service: .unix(path: address))
            switch scheme {
            case "http+unix:": self.kind = .http(HTTPExposure())
            case "https+unix:": self.kind = .http(HTTPExposure(isSecure: true, verifiesCertificate: false))
            case "tls+unix:": self.kind = .tls
            default: break
            }
            return
        }
        let usualPort: UInt16? = switch scheme {
        case "http://": 80
        case "https://": 443
        default: nil
        }
        if usualPort != nil {
            if address.hasSuffix("/") { address.removeLast() }
            guard !address.contains(where: { "/?#".contains($0) }) else {
                throw Refusal(sentence: "a tunnel leads to a whole service, not to a path in it")
            }
        }
        guard !address.contains("@") else { throw Refusal(sentence: "a user and password cannot be part of the address") }
        guard let service = Self.tcp(address, usualPort: usualPort) else {
            throw Refusal(
                sentence: usualPort == nil ? "\(address) is not a port, or a host and a port" : "\(address) is not a host, or a host and a port")
        }
        self.init(service: service)
        switch scheme {
        case "http://": self.kind = .http(HTTPExposure())
        // On this very machine nobody stands in between, and certificates for localhost are home-made.
        case "https://": self.kind = .http(HTTPExposure(isSecure: true, verifiesCertificate: !service.isLoopback))
        case "tls://": self.kind = .tls
        default: break
        }
    }

    private static func tcp(_ address: String, usualPort: UInt16?) -> ServiceAddress? {
        if let port = UInt16(address), port > 0 { return .tcp(host: "127.0.0.1", port: port) }
        var host = address[...]
        var port = usualPort
        let hasPort = !address.hasSuffix("]") && address.contains(":")
        if hasPort || usualPort == nil {
            guard let colon = address.lastIndex(of: ":"), let number = UInt16(address[address.index(after: colon)...]), number > 0
            else { return nil }
            host = address[..<colon]
            port = number
        }
        if host.hasPrefix("["), host.hasSuffix("]") {
            host = host.dropFirst().dropLast()
        } else if host.contains(":") {
            return nil
        }
        guard let port, !host.isEmpty, host.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F && $0 != UInt8(ascii: "/") }) else { return nil }
        return .tcp(host: String(host), port: port)
    }

    // MARK: Keys

    /// What each of these says is added to what the others of its kind said.
    private static let repeatable: Set<String> = ["allow-ip", "deny-ip", "request-header", "response-header"]

    private mutating func set(_ key: String, _ value: String) throws(Refusal) {
        switch key {
        case "name": self.name = value
        case "port":
            guard !self.hasName else { throw Refusal(sentence: "visitors of \(self.target) come by a name, not by a port") }
            guard let port = UInt16(value), port > 0 else { throw Refusal(sentence: "\(value) is not a port") }
            self.remotePort = port
        case "send-proxy":
            guard self.http == nil else {
                throw Refusal(sentence: "an HTTP service learns of its visitors from X-Forwarded-For, not from the PROXY protocol")
            }
            guard let version = ProxyVersion(rawValue: value) else {
                throw Refusal(sentence: "\(value) is neither v1 nor v2 of the PROXY protocol")
            }
            self.proxyVersion = version
        case "allow-ip": self.allowedNetworks += try Self.networks(value)
        case "deny-ip": self.deniedNetworks += try Self.networks(value)
        case "subdomain", "hostname", "group": try self.setName(key, value)
        default:
            guard HTTPExposure.keys.contains(key) else { throw Refusal(sentence: "there is no key \(key)") }
            guard var http = self.http else { throw Refusal(sentence: "\(key) is for http:// and https://") }
            try http.set(key, value)
            self.http = http
        }
    }

    /// Several are joined by `+`.
    private static func networks(_ text: String) throws(Refusal) -> [CIDR] {
        var networks: [CIDR] = []
        for part in text.split(separator: "+", omittingEmptySubsequences: false) {
            do throws(CIDRError) {
                networks.append(try CIDR(String(part)))
            } catch {
                throw Refusal(sentence: error.sentence)
            }
        }
        return networks
    }

    private mutating func setName(_ key: String, _ value: String) throws(Refusal) {
        guard self.hasName else { throw Refusal(sentence: "\(key) is for http://, https:// and tls://; TCP tunnels have ports") }
        guard !value.isEmpty else { throw Refusal(sentence: "\(key) is empty") }
        do throws(OperatorError) {
            switch key {
            case "subdomain": try self.setSubdomain(value)
            case "hostname": try self.setHostname(value)
            default: self.group = value
            }
        } catch {
            throw Refusal(error)
        }
    }

    /// - Parameter label: What is to stand in front of the server's domain.
    public mutating func setSubdomain(_ label: String) throws(OperatorError) {
        guard TunnelName.isLabel(label) else {
            throw OperatorError(
                .badConfiguration, "\(label) cannot be a subdomain", remedy: "Letters, digits and hyphens, 63 at most; no dots.")
        }
        try self.setWholeName(label)
    }

    /// - Parameter name: A whole host name; the server has to let this client have it.
    public mutating func setHostname(_ name: String) throws(OperatorError) {
        guard let host = TunnelName.normalizedHost(name), host.contains(".") else {
            throw OperatorError(
                .badConfiguration, "\(name) is not a whole host name", remedy: "Write app.example.com; for a label alone use subdomain.")
        }
        try self.setWholeName(host)
    }

    private mutating func setWholeName(_ name: String) throws(OperatorError) {
        guard self.hostname.isEmpty else { throw OperatorError(.badConfiguration, "the public name is given twice") }
        self.hostname = name.lowercased()
    }
}

/// Why a text cannot be an exposure.
private struct Refusal: Error {
    let sentence: String

    init(sentence: String) {
        self.sentence = sentence
    }

    /// For what has no sentence about the whole of the text yet.
    init(_ error: OperatorError) {
        self.sentence = error.remedy.map { "\(error.message) (\($0))" } ?? error.message
    }
}

extension HTTPExposure {
    fileprivate static let keys: Set<String> = [
        "host-header", "health-path", "basic-auth-file", "request-header", "response-header", "max-body",
        "timeout", "tls-verify",
    ]

    /// - Parameter key: One of `keys`.
    fileprivate mutating func set(_ key: String, _ value: String) throws(Refusal) {
        do throws(OperatorError) {
            switch key {
            case "host-header": self.hostField = try HostField(value)
            case "health-path": try self.setHealthPath(value)
            case "basic-auth-file": self.credentialsFile = value
            case "request-header": self.requestFields.append(try FieldEdit(value))
            case "response-header": self.responseFields.append(try FieldEdit(value))
            case "max-body": self.maximumBodyBytes = try Self.bytes(value)
            case "timeout": try self.setTimeout(Self.time(value))
            default: try self.setVerification(value)
            }
        } catch {
            throw Refusal(error)
        }
    }

    /// - Parameter path: Asked for with GET, as it is; begins with a slash.
    public mutating func setHealthPath(_ path: String) throws(OperatorError) {
        guard path.hasPrefix("/"), HTTPText.isTarget(path) else {
            throw OperatorError(.badConfiguration, "\(path) is not a path on the service", remedy: "Write /healthz.")
        }
        self.healthPath = path
    }

    /// - Parameter time: More than none.
    public mutating func setTimeout(_ time: Duration) throws(OperatorError) {
        guard time > .zero else {
            throw OperatorError(.badConfiguration, "in a timeout of no time at all no service answers", remedy: "Write 30s, 500ms or 5m.")
        }
        self.timeout = time
    }

    private mutating func setVerification(_ value: String) throws(OperatorError) {
        guard self.isSecure else { throw OperatorError(.badConfiguration, "tls-verify is for https://") }
        switch value {
        case "on": self.verifiesCertificate = true
        case "off": self.verifiesCertificate = false
        default: throw OperatorError(.badConfiguration, "tls-verify is on or off, not \(value)")
        }
    }

    private static func bytes(_ text: String) throws(OperatorError) -> UInt64 {
        let units: [(String, UInt64)] = [("KiB", 10), ("MiB", 20), ("GiB", 30), ("K", 10), ("M", 20), ("G", 30)]
        let unit = units.first { text.hasSuffix($0.0) } ?? ("", 0)
        // 1 << 30 of the largest unit is beyond any body, and within 63 bits.
        guard let count = UInt64(text.dropLast(unit.0.count)), count <= 1 << 30 else {
            throw OperatorError(.badConfiguration, "\(text) is not a number of bytes", remedy: "Write 10MiB or 64KiB.")
        }
        return count << unit.1
    }

    private static func time(_ text: String) throws(OperatorError) -> Duration {
        guard let time = Duration(text: text) else {
            throw OperatorError(.badConfiguration, "\(text) is not a span of time", remedy: "Write 30s, 500ms or 5m.")
        }
        return time
    }
}

extension HTTPExposure.HostField {
    /// `preserve`, `rewrite`, or a host with or without a port.
    public init(_ text: String) throws(OperatorError) {
        switch text {
        case "preserve": self = .preserve
        case "rewrite": self = .rewrite
        default:
            guard !text.isEmpty, text.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F && $0 != UInt8(ascii: "/") }) else {
                throw OperatorError(
                    .badConfiguration, "\(text) is not a host", remedy: "Write preserve, rewrite, or a host like app.example.com:8080.")
            }
            self = .value(text)
        }
    }
}

extension ServiceAddress {
    /// Whether it is on this very machine.
    var isLoopback: Bool {
        switch self {
        case .unix: true
        case .tcp(let host, _):
            switch Endpoint.Address(text: host) {
            case .v4(let bits)?: bits >> 24 == 127
            case .v6(let bytes)?: bytes == Opaque16(high: 0, low: 1)
            case nil: host == "localhost"
            }
        }
    }
}
