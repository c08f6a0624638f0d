internal import HTTPMessages
internal import NIOCore
internal import TunnelProtocol
internal import TunnelTransport

/// Whoever is answered on a stream: one request at a time.
protocol ResponseReader: AnyObject {
    func stream(_ stream: VisitorStream, received record: MessageRecord)
    /// No more comes for now: what was made of it may be sent.
    func streamReadComplete(_ stream: VisitorStream)
    func streamTakesMore(_ stream: VisitorStream)
    /// The answer will not be completed. The last call.
    func stream(_ stream: VisitorStream, ended code: ResetCode)
}

/// The stream from one visitor's connection to one tunnel: requests one after the other. Confined to the visitor's event loop.
///
///     idle ──begin()──▶ busy ──end()──▶ idle ──idle for long, or the tunnel or the visitor leaves──▶ finished
///                         └──────────────reset, by either side──────────────▶ gone
final class VisitorStream: StreamUser {
    let tunnel: NamedTunnel
    private(set) var lastUsed = NIODeadline.now()
    /// Called once, when no further request may use it.
    private var whenOver: ((VisitorStream) -> Void)?
    private var stream: RemoteStream?
    private var decoder = MessageDecoder(.responses)
    /// Until its answer is whole, or one side has reset the stream.
    private var reader: (any ResponseReader)?
    /// Whether anything of the present request's answer has come.
    private var hasAnswer = false
    /// Bytes of answers for which the credit has not been returned.
    private var unconfirmed = 0
    private var closing: Int?
    private var tunnelIsClosed = false

    /// - Parameters:
    ///   - visitor: For the client; the stream may carry others' requests later, where a load balancer sends them on one connection.
    ///   - whenOver: Called once, when no further request may use it.
    init(to tunnel: NamedTunnel, visitor: Endpoint?, on eventLoop: any EventLoop, whenOver: @escaping (VisitorStream) -> Void) {
        self.tunnel = tunnel
        self.whenOver = whenOver
        self.stream = RemoteStream(eventLoop: eventLoop, home: tunnel.home, user: self) { end in tunnel.open(end, visitor, nil) }
        guard self.isOpen else {
            // Refused at once.
            self.stream = nil
            return
        }
        let bound = NIOLoopBound(self, eventLoop: eventLoop)
        self.closing = tunnel.whenClosed { eventLoop.execute { bound.value.tunnelClosed() } }
    }

    deinit { self.stream?.userIsGone() }

    var isBusy: Bool { self.reader != nil }

    /// Whether another request may be sent on it.
    var isOpen: Bool { self.whenOver != nil && !self.tunnelIsClosed }

    // MARK: Requests

    func begin(_ reader: any ResponseReader) {
        self.reader = reader
        self.hasAnswer = false
        self.decoder = MessageDecoder(.responses)
    }

    /// - Returns: Whether it takes more.
    func send(_ bytes: ByteBuffer) -> Bool { self.stream?.send(bytes) ?? true }

    /// The answer was received whole, and the request sent whole.
    func end() {
        self.reader = nil
        self.lastUsed = .now()
        self.confirm()
        // What comes behind an answer belongs to no request.
        if !self.decoder.isBetweenMessages { return self.reset(.internalError) }
        if self.tunnelIsClosed { self.finish() }
    }

    /// The visitor's socket has taken what was received so far.
    func confirm() {
        guard self.unconfirmed > 0 else { return }
        self.stream?.taken(self.unconfirmed)
        self.unconfirmed = 0
    }

    /// No further request.
    func finish() {
        self.stream?.finish()
        self.over()
    }

    func reset(_ code: ResetCode) {
        self.stream?.reset(code)
        self.over()
    }

    private func over() {
        self.reader = nil
        self.stream = nil
        if let closing = self.closing { self.tunnel.forget(closing) }
        self.closing = nil
        let whenOver = self.whenOver
        self.whenOver = nil
        whenOver?(self)
    }

    private func tunnelClosed() {
        self.closing = nil
        self.tunnelIsClosed = true
        if !self.isBusy { self.finish() }
    }

    // MARK: From the stream

    func stream(_ stream: RemoteStream, received bytes: ByteBuffer) {
        self.unconfirmed += bytes.readableBytes
        self.hasAnswer = true
        self.decoder.receive(bytes)
        do {
            // An answer may end inside of this, and the next request begin.
            while let reader = self.reader, let record = try self.decoder.next() { reader.stream(self, received: record) }
        } catch {
            return self.fail(.internalError)
        }
        if self.reader == nil, !self.decoder.isBetweenMessages { self.fail(.internalError) }
    }

    func streamReadComplete(_ stream: RemoteStream) {
        self.reader?.streamReadComplete(self)
    }

    func streamTakesMore(_ stream: RemoteStream) {
        self.reader?.streamTakesMore(self)
    }

    func streamFinished(_ stream: RemoteStream) {
        guard self.isBusy else { return self.finish() }
        // In the middle of an answer, it will never be whole. Before one, the client had finished when the request was sent: it has
        // reached nobody.
        self.fail(self.hasAnswer ? .internalError : .goingAway)
    }

    func stream(_ stream: RemoteStream, ended code: ResetCode) {
        self.stream = nil
        self.fail(code)
    }

    private func fail(_ code: ResetCode) {
        let reader = self.reader
        self.reset(code)
        reader?.stream(self, ended: code)
    }
}

/// The streams of one visitor's connection, kept for its next requests.
final class VisitorStreams {
    /// A load balancer's connection may bring requests for many tunnels; a browser's are for one or two.
    private static let most = 4
    /// Longer than a page takes to load, shorter than anybody notices what it holds.
    private static let idleTime = TimeAmount.seconds(30)

    private let eventLoop: any EventLoop
    private var streams: [VisitorStream] = []
    private var sweep: Scheduled<Void>?

    init(eventLoop: any EventLoop) {
        self.eventLoop = eventLoop
    }

    func stream(to tunnel: NamedTunnel, visitor: Endpoint?) -> VisitorStream {
        if let known = self.streams.first(where: { $0.tunnel === tunnel && $0.isOpen && !$0.isBusy }) { return known }
        if self.streams.count >= Self.most {
            self.streams.filter { !$0.isBusy }.min { $0.lastUsed < $1.lastUsed }?.finish()
        }
        let stream = VisitorStream(to: tunnel, visitor: visitor, on: self.eventLoop) { stream in
            self.streams.removeAll { $0 === stream }
        }
        if stream.isOpen { self.streams.append(stream) }
        if self.sweep == nil { self.sweepLater() }
        return stream
    }

    /// The visitor is gone, or sends no further request: what is idle ends.
    func finish() {
        self.sweep?.cancel()
        self.sweep = nil
        for stream in self.streams where !stream.isBusy { stream.finish() }
    }

    private func sweepLater() {
        self.sweep = self.eventLoop.assumeIsolated().scheduleTask(in: Self.idleTime) {
            self.sweep = nil
            let limit = NIODeadline.now() - Self.idleTime
            for stream in self.streams where !stream.isBusy && stream.lastUsed < limit { stream.finish() }
            if !self.streams.isEmpty { self.sweepLater() }
        }
    }
}
