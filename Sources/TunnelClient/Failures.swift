internal import Intermediaries
internal import OpenSSL
internal import TunnelProtocol
internal import TunnelTransport
internal import WebSocketProtocol

/// What went wrong between client and server, said so that whoever reads it knows what to do.
struct Failures: Sendable {
    /// The server as the user named it.
    let configuredServer: ServerURL
    /// The forward proxy on the way to it, if there is one.
    let proxy: ProxyURL?
    private let ownCertificate: ClientConfiguration.Certificate?

    init(_ configuration: ClientConfiguration) {
        self.configuredServer = configuration.server
        self.proxy = configuration.proxy
        self.ownCertificate = configuration.certificate
    }

    /// An attempt that came to nothing.
    func explain(dialling error: any Error) -> SessionEnd {
        func end(_ error: OperatorError, _ retry: SessionEnd.Retry) -> SessionEnd {
            SessionEnd(error: error, wasConnected: false, retry: retry)
        }
        switch error {
        case let error as OperatorError:
            return end(error, .never)
        case DialFailure.resolve(let why):
            return end(self.unreachable(why, "Check the name in --server, and this machine's DNS."), .always)
        case DialFailure.connect(let why):
            return end(
                self.unreachable(why, "Check that ws-tunnel-server is running and its port is open."), .always)
        case DialFailure.transport(.tls(.ownCertificate(let alert))):
            // Without an alert it may have been an accident.
            return end(self.explainOwnCertificate(alert), alert == nil ? .always : .onceConnected)
        case DialFailure.transport(.proxy(let failure)):
            guard let proxy = self.proxy else { return end(self.unreachable(failure.explanation, nil), .always) }
            return self.explain(failure, of: proxy)
        case DialFailure.transport(.tls(let failure)):
            return end(
                self.explain(failure, presentedBy: self.configuredServer.host, "\(self.configuredServer)\(self.through)"),
                .onceConnected)
        case DialFailure.transport(.endOfFile):
            return end(
                self.unreachable(
                    "it closed the connection during the handshake",
                    self.configuredServer.isSecure
                        ? "Does it speak TLS on this port? A server started with --plain is reached with ws://."
                        : "Does it expect TLS on this port? Then use wss://."),
                .always)
        case DialFailure.transport(let transport):
            return end(self.unreachable(transport.explanation, "Check the network on the way to it."), .always)
        case DialFailure.handshake(.refused(let answer)):
            return self.explain(answer)
        case DialFailure.handshake(let error):
            return end(
                OperatorError(
                    .unreachable, "\(self.configuredServer)\(self.through) is not a ws-tunnel-server: \(error.sentence)",
                    remedy: "Check host, port and path in --server.\(self.orTheProxy)"),
                .onceConnected)
        default:
            return end(self.unreachable("\(error)", nil), .always)
        }
    }

    /// A service that did not accept a visitor.
    func explain(_ failure: ServiceFailure, _ exposure: Exposure) -> OperatorError {
        let visitors = exposure.http == nil ? "Visitors are refused" : "Visitors get a page that says so"
        return switch failure.code {
        case .refused:
            OperatorError(
                .failure, "nothing is listening on \(exposure.target)",
                remedy: "\(visitors) until it starts. The tunnel stays up.")
        case .internalError:
            OperatorError(
                .failure, "cannot connect visitors to \(exposure.target): \(failure.explanation)",
                remedy: "The cause lies with this client, not with the service; if files are short, raise ulimit -n.")
        default:
            OperatorError(
                .failure, "cannot reach \(exposure.target): \(failure.explanation)",
                remedy: "\(visitors) until it answers. The tunnel stays up.")
        }
    }

    /// A session that had begun.
    func explain(_ end: ConnectionEnd) -> OperatorError {
        OperatorError(.unreachable, "lost the connection to \(self.configuredServer): \(end.explanation)")
    }

    private func unreachable(_ why: String, _ remedy: String?) -> OperatorError {
        OperatorError(.unreachable, "cannot reach \(self.configuredServer)\(self.through): \(why)", remedy: remedy)
    }

    /// Where a proxy is on the way, it is named: what seems to be the server's may be the proxy's.
    private var through: String { self.proxy.map { " through the proxy \($0.authority)" } ?? "" }

    private var orTheProxy: String { self.proxy == nil ? "" : " Or the proxy itself answers in its place." }

    /// - Parameters:
    ///   - host: Whose certificate was expected.
    ///   - peer: Who was to be reached, as the user named it.
    func explain(_ failure: TLSFailure, presentedBy host: String, _ peer: String) -> OperatorError {
        let refused: VerificationFailure
        switch failure {
        case .certificate(let verification): refused = verification
        case .protocolVersion, .peerAlert(.protocolVersion):
            return OperatorError(
                .unreachable, "cannot secure the connection to \(peer): \(TLSFailure.protocolVersion)",
                remedy: "Allow TLS 1.2 or 1.3 on the server, or on what stands in front of it: older versions are not safe.")
        case .notTLS:
            return OperatorError(
                .unreachable, "cannot secure the connection to \(peer): \(failure)",
                remedy: "A server started with --plain is reached with ws://, or through its load balancer.")
        case .noCertificate, .ownCertificate, .peerAlert, .closedDuringHandshake, .other:
            return OperatorError(.unreachable, "cannot secure the connection to \(peer): \(failure)")
        }
        // A proxy that intercepts is known by whom its certificates are from.
        let issued = "issued by \(refused.issuer)"
        switch refused.reason {
        case .wrongHost(let names):
            let shown = names.prefix(Self.namesShown).joined(separator: ", ")
            let more = names.count > Self.namesShown ? " and \(names.count - Self.namesShown) more" : ""
            return OperatorError(
                .unreachable,
                names.isEmpty
                    ? "\(host) presented a certificate that names no host, \(issued)"
                    : "\(host) presented a certificate for \(shown)\(more), \(issued)",
                remedy: "Connect using a name on the certificate. For a private authority, pass --ca-file.")
        case .selfSigned:
            return OperatorError(
                .unreachable, "\(host) presented a self-signed certificate (\(refused.subject))",
                remedy: "If it is your server's own, pass --fingerprint \(refused.presented) after comparing it with what the server printed.")
        case .unknownAuthority:
            return OperatorError(
                .unreachable, "\(host) presented a certificate of an unknown authority: \(refused.issuer)",
                remedy: "If this is your private authority, or your company's proxy, pass its certificate with --ca-file.")
        case .fingerprintMismatch(let presented):
            return OperatorError(
                .unreachable, "\(host) presented another certificate than the one of --fingerprint: \(presented), \(issued)",
                remedy: "If the server's certificate was replaced, pass the new fingerprint. Otherwise somebody stands in between.")
        case .expired, .notYetValid, .other:
            return OperatorError(
                .unreachable, "\(host): \(refused), \(issued)",
                remedy: "Renew the server's certificate, and check the clocks of both machines.")
        }
    }

    /// Of the names on a certificate for another host: it may have hundreds.
    private static var namesShown: Int { 10 }

    /// The server asked for a certificate, and what it got was not to its liking. In TLS 1.3 it says so when the handshake is
    /// over for the client.
    private func explainOwnCertificate(_ alert: TLSAlert?) -> OperatorError {
        let why = alert.map { "\($0)" } ?? "it closed the connection without saying why"
        guard let certificate = self.ownCertificate else {
            return OperatorError(
                .unreachable, "\(self.configuredServer) requires a client certificate: \(why)",
                remedy: "Pass --client-cert and --client-key, with a certificate of an authority in the server's --client-ca.")
        }
        return OperatorError(
            .unreachable, "\(self.configuredServer) refused the client certificate in \(certificate.chainFile): \(why)",
            remedy: """
                It has to be of an authority in the server's --client-ca, within its dates, and for the use of clients. \
                The server's log names the reason.
                """)
    }

    /// Who answered the request for an upgrade may be anything on the way; only what is surely ws-tunnel-server's is taken for its.
    private func explain(_ answer: RefusedUpgrade) -> SessionEnd {
        let who = answer.fields.values("Server").first.map { " (\($0))" } ?? ""
        let body = answer.body.isEmpty ? "" : ": \(answer.body)"
        let message = "\(self.configuredServer)\(who)\(self.through) answered \(answer.status) to the upgrade\(body)"
        func end(_ remedy: String, _ retry: SessionEnd.Retry) -> SessionEnd {
            SessionEnd(
                error: OperatorError(.unreachable, message, remedy: remedy + self.orTheProxy), wasConnected: false, retry: retry)
        }
        switch answer.status {
        case 401 where answer.isFromTunnelServer:
            return SessionEnd(
                error: OperatorError(
                    .keyRefused, "the server refused this API key",
                    remedy: "Keys are compared exactly; look for a stray character in SOCKETS_API_KEY."),
                wasConnected: false, retry: .never)
        case 401:
            return end(
                "That is not ws-tunnel-server's answer: something in front of it wants a login of its own. Let it pass the path on.",
                .onceConnected)
        case 407:
            return end(
                "A proxy that nobody named answers on the way: name it with --proxy or HTTPS_PROXY, with its user and password.",
                .sparingly)
        case 429:
            var end = end("Too many wrong keys came from this address. Correct the key of the clients there, or wait.", .always)
            end.pause = answer.pause
            return end
        case 500...599: return end("The load balancer in front may not reach ws-tunnel-server.", .always)
        default:
            let location = answer.fields.values("Location").first.map { " It points to \($0)." } ?? ""
            return end(
                "Check host, port and path in --server: something else than ws-tunnel-server answers there.\(location)",
                .onceConnected)
        }
    }
}

extension RefusedUpgrade {
    /// What its Retry-After asks for, in seconds (RFC 9110 §10.2.3); a date is not looked at.
    fileprivate var pause: Duration {
        guard let seconds = self.fields.values("Retry-After").first.flatMap({ UInt64($0) }) else { return .zero }
        // A minute is the server's longest. Whatever else answers, a client is not sent away for a day.
        return .seconds(min(seconds, 300))
    }

    /// Whether a 401 is about the API key: the server's own challenge says so.
    fileprivate var isFromTunnelServer: Bool {
        self.fields.values("WWW-Authenticate").contains { $0.lowercased().hasPrefix("bearer") }
    }
}
