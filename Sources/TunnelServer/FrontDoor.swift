internal import HTTPMessages
internal import Intermediaries
internal import Logging
internal import NIOCore
internal import struct NIOHTTP1.HTTPHeaders
internal import OpenSSL
internal import TunnelProtocol
internal import TunnelTransport
internal import WebSocketProtocol

/// Meets one connection on the listening port: who may become a tunnel connection, and what the others are told.
final class FrontDoor: UpgradeDelegate {
    private let server: ServerContext
    /// Which of the server's keys was shown.
    private var key = 0
    /// The connection's other end, when it is a visitor's.
    private var peer: ForwardedNode?
    private let mayPassOn: Bool
    /// Of a long head: where the line begins that has not come whole, and how much has been searched for its end.
    private var (lineStart, lookedAt) = (0, 0)

    /// - Parameter mayPassOn: Whether requests may be visitors': not where visitors' requests come from.
    init(server: ServerContext, mayPassOn: Bool = true) {
        self.server = server
        self.mayPassOn = mayPassOn
    }

    func upgrader(_ upgrader: ServerUpgrader, received request: RequestHead) -> UpgradeDecision {
        if self.isForVisitors(request) {
            self.peer = upgrader.transport?.origin
            return .passOn
        }
        if let transport = upgrader.transport { self.locate(transport, request) }
        if let health = self.server.health(request.method, request.target) { return .answer(health) }
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

    /// Goes on with a connection that visitors have used so far: what begins with these bytes is not theirs.
    static func meet(
        _ transport: TransportHandler, bytes: inout ByteBuffer, peer: ForwardedNode, on eventLoop: any EventLoop,
        _ server: ServerContext
    ) {
        let upgrader = ServerUpgrader(eventLoop: eventLoop, delegate: FrontDoor(server: server, mayPassOn: false))
        // Not whom an earlier request came from.
        transport.forwarded = ForwardedAddresses(origin: peer)
        upgrader.take(transport)
        transport.hand(to: upgrader)
        transport.isReading = true
        transport.limit(to: TransportLimits.greeting, "the handshake")
        transport.passOn(&bytes)
    }

    /// Whether a request is a client's: it asks for the tunnel protocol.
    private static func isForTunnels(_ fields: HTTPFields) -> Bool {
        fields.list("Upgrade", contains: "websocket") && fields.list("Sec-WebSocket-Protocol", contains: Dialer.subprotocol)
    }

    /// Likewise, of a visitor's connection.
    static func isForTunnels(_ fields: HTTPHeaders) -> Bool {
        fields.contains(name: "Sec-WebSocket-Protocol")
            && fields[canonicalForm: "Sec-WebSocket-Protocol"].contains { $0 == Dialer.subprotocol }
            && fields[canonicalForm: "Upgrade"].contains { $0.lowercased() == "websocket" }
    }

    /// Whether a request is a visitor's, for a tunnel.
    private func isForVisitors(_ request: RequestHead) -> Bool {
        guard let host = request.fields.only("Host"), !Self.isForTunnels(request.fields) else { return false }
        return self.isForVisitors(host) || self.isAPersons(request)
    }

    /// A browser that came by a name of nobody's: a typing error, or a domain whose client is not set up yet. It gets a page; programs
    /// are told what this port is.
    private func isAPersons(_ request: RequestHead) -> Bool {
        self.mayPassOn && self.server.domain != nil && request.fields.list("Accept", contains: "text/html")
    }

    private func isForVisitors(_ authority: some StringProtocol) -> Bool {
        guard self.mayPassOn, let host = Authority(authority)?.host else { return false }
        return self.server.isForVisitors(host.last == "." ? String(host.dropLast()) : host)
    }

    /// Visitors' requests may be longer than clients': cookies make them so. Who judges them sees to it that this Host is the only
    /// one; here it only says who that is.
    func upgrader(_ upgrader: ServerUpgrader, passesOnLongHead bytes: ByteBuffer) -> Bool? {
        guard self.mayPassOn else { return false }
        let head = bytes.readableBytesView.prefix(Self.hostWithin)
        // What was looked at is not looked at again, however small the pieces are in which the rest comes.
        while let end = head.dropFirst(self.lookedAt).firstIndex(of: UInt8(ascii: "\n")) {
            let line = head[(head.startIndex + self.lineStart)..<end]
            let isRequestLine = self.lineStart == 0
            self.lineStart = end - head.startIndex + 1
            self.lookedAt = self.lineStart
            if isRequestLine { continue }
            // The end of the head.
            if line.isEmpty || line.elementsEqual([UInt8(ascii: "\r")]) { return false }
            guard String(decoding: line.prefix(5), as: UTF8.self).lowercased() == "host:" else { continue }
            guard self.isForVisitors(String(decoding: line.dropFirst(5), as: UTF8.self).trimmingBlanks) else { return false }
            self.peer = upgrader.transport?.origin
            return true
        }
        self.lookedAt = head.count
        return head.count < Self.hostWithin ? nil : false
    }

    /// Bytes of a long head among which Host has to be.
    private static let hostWithin = MessageLimits.headBytes

    func upgrader(_ upgrader: ServerUpgrader, passesOn bytes: ByteBuffer) {
        guard let transport = upgrader.transport else { return }
        guard let peer = self.peer else { return transport.abort() }
        VisitorConnection.meet(transport, bytes: bytes, peer: peer, on: upgrader.eventLoop, self.server)
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

extension String {
    fileprivate var trimmingBlanks: Substring {
        func isBlank(_ character: Character) -> Bool { character == " " || character == "\t" || character == "\r" }
        var text = self[...].drop(while: isBlank)
        while let last = text.last, isBlank(last) { text.removeLast() }
        return text
    }
}
