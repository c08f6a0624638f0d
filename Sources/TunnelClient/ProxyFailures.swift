internal import Intermediaries
internal import OpenSSL
internal import TunnelTransport

/// What went wrong between client and proxy, said so that whoever reads it knows what to do. Always with the proxy's host and port,
/// never with its password.
extension Failures {
    func explain(_ end: ProxyEnd, of proxy: ProxyURL) -> SessionEnd {
        switch end {
        case .unreachable(let why):
            return self.unreachable(proxy, why, "Check the address of the proxy (--proxy, HTTPS_PROXY), and that it runs.", .always)
        case .closed:
            return self.unreachable(proxy, "it closed the connection before it led anywhere", Self.schemes, .always)
        case .failed(let why):
            return self.unreachable(proxy, why, Self.schemes, .always)
        case .tls(let failure):
            let error = self.explain(failure, presentedBy: "the proxy \(proxy.authority)", "the proxy \(proxy.authority)")
            return self.end(OperatorError(.unreachable, error.message, remedy: Self.remedy(failure)), .onceConnected)
        case .refused(let refusal): return self.explain(refusal, of: proxy)
        }
    }

    private func explain(_ refusal: ProxyRefusal, of proxy: ProxyURL) -> SessionEnd {
        switch refusal {
        // Tinyproxy answers wrong credentials as an origin server would, with 401.
        case .status(let answer) where answer.status == 407 || answer.status == 401:
            return self.explain(unauthorized: answer, proxy)
        case .status(let answer):
            return self.explain(answer, proxy)
        case .notHTTP, .tooManyInterimResponses:
            return self.unreachable(
                proxy, "it is not an HTTP proxy: \(refusal.sentence)",
                "Check the scheme and the port of its address; a SOCKS proxy is written socks5h://.", .onceConnected)
        case .notSOCKS:
            return self.unreachable(
                proxy, "it is not a SOCKS 5 proxy", "Check the scheme and the port of its address; an HTTP proxy is written http://.",
                .onceConnected)
        case .noAcceptableMethod:
            return proxy.credentials == nil
                ? self.unreachable(
                    proxy, "it wants a user name and a password", Self.howToLogIn, .onceConnected)
                : self.unreachable(
                    proxy, "it accepts neither a user name and a password nor none",
                    "It may want GSSAPI, which ws-tunnel-client does not speak.", .onceConnected)
        case .wrongCredentials:
            return self.unreachable(proxy, "it refused the user name or the password", Self.whereToLook, .sparingly)
        case .reply(let reply):
            let remedy: String? =
                switch reply {
                case .notAllowed: "Ask whoever runs the proxy to allow \(self.target)."
                case .connectionRefused, .hostUnreachable, .networkUnreachable, .timeToLiveExpired, .generalFailure:
                    "The proxy works, and does not reach the server: check that ws-tunnel-server is running and its port is open."
                case .addressTypeNotSupported: "With socks5h:// the proxy resolves the name, with socks5:// this machine does."
                case .commandNotSupported, .other: nil
                }
            return self.end(
                OperatorError(
                    .unreachable, "the proxy \(proxy.authority) does not lead to \(self.target): \(reply.sentence)", remedy: remedy),
                reply.mayPass ? .always : .onceConnected)
        }
    }

    private func explain(unauthorized answer: ConnectRefusal, _ proxy: ProxyURL) -> SessionEnd {
        let message = "the proxy \(proxy.authority)\(self.named(answer)) answered \(answer.status)"
        guard answer.offersBasic || answer.schemes.isEmpty else {
            let schemes = answer.schemes.joined(separator: ", ")
            return self.end(
                OperatorError(
                    .unreachable, "\(message): it accepts only \(schemes)",
                    remedy: """
                        ws-tunnel-client speaks Basic alone. Run a local helper that speaks \(schemes) to the proxy, such as px or \
                        cntlm, and pass the helper's address with --proxy.
                        """),
                .sparingly)
        }
        return proxy.credentials == nil
            ? self.end(
                OperatorError(.unreachable, "\(message): it wants a user name and a password", remedy: Self.howToLogIn), .sparingly)
            : self.end(
                OperatorError(.unreachable, "\(message): it refused the user name or the password", remedy: Self.whereToLook),
                .sparingly)
    }

    private func explain(_ answer: ConnectRefusal, _ proxy: ProxyURL) -> SessionEnd {
        let status = "\(answer.status)\(answer.reason.isEmpty ? "" : " (\(answer.reason))")"
        let message = "the proxy \(proxy.authority)\(self.named(answer)) answered \(status) to CONNECT \(self.target)"
        switch answer.status {
        case 500...599:
            return self.end(
                OperatorError(
                    .unreachable, message,
                    remedy: """
                        The proxy works, and does not reach the server: check that ws-tunnel-server is running, its port is open, and \
                        the proxy can resolve its name.
                        """),
                .always)
        default:
            let remedy = self.configuredServer.port == 443
                ? "Ask whoever runs the proxy to allow CONNECT to \(self.target)."
                : """
                Many proxies allow CONNECT to port 443 only: let the server, or its load balancer, listen on 443. Or ask whoever \
                runs the proxy.
                """
            return self.end(OperatorError(.unreachable, message, remedy: remedy), answer.status == 429 ? .sparingly : .onceConnected)
        }
    }

    private static func remedy(_ failure: TLSFailure) -> String? {
        switch failure {
        case .notTLS: return "Most proxies are reached without TLS: write http:// in its address."
        case .certificate(let refused):
            if case .wrongHost = refused.reason { return "Name the proxy as its certificate does." }
            return "For a private authority pass --ca-file, or set SSL_CERT_FILE: --insecure and --fingerprint are about the server."
        case .ownCertificate: return "--client-cert is for the server: none is shown to a proxy."
        case .noCertificate, .peerAlert, .protocolVersion, .closedDuringHandshake, .other: return nil
        }
    }

    private static let schemes =
        "Check the scheme of its address: http, https (TLS to the proxy), socks5 or socks5h; and the network on the way to it."
    private static let howToLogIn =
        "Pass them with --proxy-auth-file, or in HTTPS_PROXY as http://user:password@host:port, the password percent-encoded."
    private static let whereToLook =
        "Check --proxy-auth-file, or user and password in the proxy's address: there : @ / ? # and % are percent-encoded."

    /// As CONNECT names it, the port always in it.
    private var target: String {
        let server = self.configuredServer
        return server.host.contains(":") ? "[\(server.host)]:\(server.port)" : "\(server.host):\(server.port)"
    }

    private func named(_ answer: ConnectRefusal) -> String { answer.agent.map { " (\($0))" } ?? "" }

    private func unreachable(
        _ proxy: ProxyURL, _ why: String, _ remedy: String, _ retry: SessionEnd.Retry
    ) -> SessionEnd {
        self.end(
            OperatorError(
                .unreachable, "cannot reach \(self.configuredServer) through the proxy \(proxy.authority): \(why)", remedy: remedy),
            retry)
    }

    private func end(_ error: OperatorError, _ retry: SessionEnd.Retry) -> SessionEnd {
        SessionEnd(error: error, wasConnected: false, retry: retry)
    }
}
