internal import Intermediaries
internal import Logging
internal import NIOCore
internal import OpenSSL
internal import TunnelProtocol
internal import TunnelTransport
internal import WebSocketProtocol

/// Meets one connection on the listening port: who may become a tunnel connection, and what the others are told.
final class FrontDoor: UpgradeDelegate {
    private let server: ServerContext
    /// Which of the server's keys was shown.
    private var key = 0

    init(server: ServerContext) {
        self.server = server
    }

    func upgrader(_ upgrader: ServerUpgrader, received request: RequestHead) -> UpgradeDecision {
        if let transport = upgrader.transport { self.locate(transport, request) }
        if let health = self.health(request) { return .answer(health) }
        let upgrade: WebSocketUpgrade
        do {
            upgrade = try WebSocketUpgrade(request)
        } catch {
            return .refuse(error.response, reason: error.sentence)
        }
        let address = upgrader.transport?.origin?.address ?? .v4(0)
        let now = Instant.now
        if let wait = self.server.throttle.wait(for: address, now: now) {
            let seconds = wait.wholeMilliseconds / 1_000 + 1
            return .refuse(
                Response(
                    status: 429, reason: "Too Many Requests", fields: ["Retry-After": "\(seconds)"],
                    body: "Too many wrong keys from this address. Try again in \(seconds) s.\n"),
                reason: "too many wrong keys from this address")
        }
        guard let shown = Self.bearerKey(request.fields), let key = self.server.key(shown) else {
            self.server.throttle.failed(address, now: now)
            return .refuse(
                Response(
                    status: 401, reason: "Unauthorized", fields: ["WWW-Authenticate": "Bearer realm=\"ws-tunnel\""],
                    body: "This ws-tunnel-server does not accept this API key.\n"),
                reason: request.fields.contains("Authorization") ? "wrong API key" : "no API key")
        }
        guard upgrade.subprotocols.contains(Dialer.subprotocol) else {
            return .refuse(
                Response(
                    status: 400, reason: "Bad Request",
                    body: "This is a ws-tunnel-server; it speaks the subprotocol \(Dialer.subprotocol).\n"),
                reason: "the subprotocol \(Dialer.subprotocol) was not offered")
        }
        self.key = key
        return .accept(
            upgrade, subprotocol: Dialer.subprotocol, compression: self.server.configuration.compression ? .tunnel : nil)
    }

    /// From here on the connection comes from whom a trusted proxy names.
    private func locate(_ transport: TransportHandler, _ request: RequestHead) {
        guard let peer = transport.origin else { return }
        let fields = request.fields
        transport.forwarded = ForwardedAddresses(
            peer: peer, trusted: self.server.trustedProxies, forwardedFor: fields.values("X-Forwarded-For"),
            forwarded: fields.values("Forwarded"), forwardedProto: fields.values("X-Forwarded-Proto"))
    }

    /// What load balancers ask every few seconds, whatever path the tunnels have; anybody may.
    private func health(_ request: RequestHead) -> Response? {
        guard request.method == "GET" || request.method == "HEAD" else { return nil }
        switch request.target {
        case "/healthz": return Response(status: 200, reason: "OK", body: "ok\n")
        case "/readyz" where self.server.takesClients: return Response(status: 200, reason: "OK", body: "ready\n")
        case "/readyz":
            return Response(status: 503, reason: "Service Unavailable", body: "This ws-tunnel-server is shutting down.\n")
        default: return nil
        }
    }

    func upgraderAccepted(_ upgrader: ServerUpgrader) {
        guard let transport = upgrader.transport else { return }
        Greeter.meet(
            transport, compression: upgrader.compression, key: self.key, eventLoop: upgrader.eventLoop, server: self.server)
    }

    func upgrader(_ upgrader: ServerUpgrader, failed failure: UpgradeFailure) {
        let remote = upgrader.transport?.remote ?? "an unknown address"
        switch failure {
        case .refused(let reason):
            self.server.logger.notice(
                "refused a connection", metadata: ["address": "\(remote)", "reason": "\(reason)"])
        case .answered:
            self.server.logger.debug("answered a question about health", metadata: ["address": "\(remote)"])
        case .malformed(let error):
            self.server.logger.notice(
                "refused a connection", metadata: ["address": "\(remote)", "reason": "\(error.sentence)"])
        case .transport(let end):
            // Load balancers and port scanners connect and leave again, some of them with a reset; that is no news.
            let isSilent = !upgrader.hasReceived && upgrader.transport?.security == nil
            let level: Logger.Level =
                switch end {
                case .endOfFile: .debug
                case .failed: isSilent ? .debug : .notice
                case .tls, .proxy, .deadline, .closedHere: .notice
                }
            self.server.logger.log(
                level: level, "a connection ended before it was a tunnel connection",
                metadata: ["address": "\(remote)", "reason": "\(end.explanation)"])
        }
    }

    /// The key of `Authorization: Bearer <key>` (RFC 6750 §2.1); one field, one value.
    private static func bearerKey(_ fields: HTTPFields) -> String? {
        guard let value = fields.only("Authorization") else { return nil }
        let parts = value.split(separator: " ", maxSplits: 1)
        guard parts.count == 2, parts[0].lowercased() == "bearer" else { return nil }
        return String(parts[1])
    }
}
