internal import NIOCore
internal import NIOHTTP1

/// One connection to the inspector: request, answer, the next request; or the live list until it is closed.
final class InspectorConnection: ChannelInboundHandler, RemovableChannelHandler {
    typealias InboundIn = HTTPServerRequestPart
    typealias OutboundOut = HTTPServerResponsePart

    private let hub: InspectorHub
    private let host: String
    private var context: ChannelHandlerContext?
    private var head: HTTPRequestHead?
    private var body = ByteBuffer()
    private var isRefused = false
    /// What the follower of the live list knows; `nil`: nothing yet.
    private var version: UInt64?
    private var tunnels: [HTTPTunnel]?
    private var isFollowing = false

    /// For every answer: nothing is kept, guessed, framed, or told to others.
    private static let always: HTTPHeaders = [
        "Cache-Control": "no-store", "X-Content-Type-Options": "nosniff", "X-Frame-Options": "DENY", "Referrer-Policy": "no-referrer",
        "Cross-Origin-Resource-Policy": "same-origin", "Cross-Origin-Opener-Policy": "same-origin",
    ]
    /// Where the page's own policy does not stand.
    private static let policy = "default-src 'none'; sandbox; frame-ancestors 'none'"

    init(hub: InspectorHub, host: String) {
        self.hub = hub
        self.host = host
    }

    func channelActive(context: ChannelHandlerContext) {
        self.context = context
        self.hub.arrived()
        if self.hub.connections > InspectorServer.connectionLimit { context.close(promise: nil) }
    }

    func channelInactive(context: ChannelHandlerContext) {
        self.hub.left(self)
        self.context = nil
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        switch self.unwrapInboundIn(data) {
        case .head(let head):
            self.head = head
            self.body.clear()
            self.isRefused = false
        case .body(var bytes):
            guard !self.isRefused, self.body.readableBytes + bytes.readableBytes <= InspectorServer.bodyLimit else {
                self.isRefused = true
                self.body = ByteBuffer()
                return
            }
            self.body.writeBuffer(&bytes)
        case .end:
            guard let head = self.head else { return }
            self.head = nil
            self.answer(head)
        }
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        // Half-closed is closed: nobody sends a request and leaves.
        if event is IdleStateHandler.IdleStateEvent { context.close(promise: nil) }
        context.fireUserInboundEventTriggered(event)
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        context.close(promise: nil)
    }

    func channelWritabilityChanged(context: ChannelHandlerContext) {
        if self.isFollowing { self.sendNews() }
        context.fireChannelWritabilityChanged()
    }

    // MARK: Answers

    private func answer(_ head: HTTPRequestHead) {
        do {
            try InspectorAccess.check(head, host: self.host, port: self.context?.localAddress?.port ?? 0)
        } catch {
            return self.send(InspectorAPI.refusal(error.status, error.sentence), to: head)
        }
        guard !self.isRefused else {
            return self.send(InspectorAPI.refusal(.payloadTooLarge, "More than \(InspectorServer.bodyLimit) bytes."), to: head)
        }
        self.send(self.hub.api.answer(head.method, head.uri, body: self.body), to: head)
        self.body = ByteBuffer()
    }

    private func send(_ answer: InspectorAPI.Answer, to request: HTTPRequestHead) {
        guard let context = self.context else { return }
        var fields = Self.always
        switch answer {
        case .events:
            fields.add(name: "Content-Type", value: "text/event-stream")
            let head = HTTPResponseHead(version: request.version, status: .ok, headers: fields)
            context.writeAndFlush(self.wrapOutboundOut(.head(head)), promise: nil)
            guard request.method != .HEAD else { return self.end(context, isKept: false) }
            self.isFollowing = true
            self.hub.follows(self)
        case .response(let status, let more, let body):
            fields.add(contentsOf: more)
            if !more.contains(name: "Content-Security-Policy") { fields.add(name: "Content-Security-Policy", value: Self.policy) }
            if status != .noContent { fields.add(name: "Content-Length", value: String(body.readableBytes)) }
            let isKept = request.isKeepAlive && !self.isRefused
            if !isKept { fields.add(name: "Connection", value: "close") }
            context.write(
                self.wrapOutboundOut(.head(HTTPResponseHead(version: request.version, status: status, headers: fields))), promise: nil)
            if request.method != .HEAD, body.readableBytes > 0 {
                context.write(self.wrapOutboundOut(.body(.byteBuffer(body))), promise: nil)
            }
            self.end(context, isKept: isKept)
        }
    }

    private func end(_ context: ChannelHandlerContext, isKept: Bool) {
        let written = context.eventLoop.makePromise(of: Void.self)
        if !isKept {
            let channel = NIOLoopBound(context, eventLoop: context.eventLoop)
            written.futureResult.whenComplete { _ in channel.value.close(promise: nil) }
        }
        context.writeAndFlush(self.wrapOutboundOut(.end(nil)), promise: written)
    }

    // MARK: The live list

    /// Sends what has changed since it was last asked, unless the reader has not taken what went before.
    ///
    ///     event: tunnels     the list of them, whenever it changes
    ///     event: requests    {"reset": true when everything before is gone, "first": the oldest that is kept, "requests": [...]}
    ///
    /// - Returns: How many exchanges had changed.
    @discardableResult
    func sendNews() -> Int {
        guard let context = self.context, context.channel.isWritable else { return 0 }
        let tunnels = self.hub.api.tunnels
        if self.tunnels != tunnels {
            self.tunnels = tunnels
            self.send(event: "tunnels", context) { json in
                json.array { json in for tunnel in tunnels { self.hub.api.write(tunnel, into: &json) } }
            }
        }
        let changes = self.hub.api.store.changes(since: self.version)
        guard changes.startsOver || !changes.entries.isEmpty else { return 0 }
        self.version = changes.version
        self.send(event: "requests", context) { json in
            json.object { json in
                json.member("reset", changes.startsOver)
                json.member("first", changes.first)
                json.member("requests", array: { json in
                    for entry in changes.entries {
                        ExchangeText.writeSummary(entry, tunnel: self.hub.api.name(of: entry.exchange), into: &json)
                    }
                })
            }
        }
        return changes.entries.count
    }

    func sendSignOfLife() {
        guard let context = self.context, context.channel.isWritable else { return }
        context.writeAndFlush(self.wrapOutboundOut(.body(.byteBuffer(ByteBuffer(string: ":\n\n")))), promise: nil)
    }

    private func send(event: String, _ context: ChannelHandlerContext, _ write: (inout JSONWriter) -> Void) {
        var json = JSONWriter()
        write(&json)
        var bytes = ByteBuffer(string: "event: \(event)\ndata: ")
        bytes.writeImmutableBuffer(json.bytes)
        bytes.writeString("\n\n")
        context.writeAndFlush(self.wrapOutboundOut(.body(.byteBuffer(bytes))), promise: nil)
    }
}
