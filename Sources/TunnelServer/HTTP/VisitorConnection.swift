internal import HTTPMessages
internal import Intermediaries
internal import Logging
internal import NIOCore
internal import NIOHTTP1
internal import TunnelProtocol
internal import TunnelTransport

/// A visitor's connection on the listening port: its requests one after the other, each for the tunnel its Host names. Confined to
/// its event loop.
///
///     idle ──head──▶ exchange ──answered──▶ idle ── ... ──▶ closing
///       │                └──101──▶ upgraded: bytes both ways
///       ├──a client's upgrade──▶ back to the front door
///       └──the first head, for a tunnel of another event loop──▶ departing ──▶ idle there
final class VisitorConnection: TransportUser {
    private enum State {
        case serving
        /// Bytes of another protocol.
        case upgraded
        /// Nothing that still comes is looked at.
        case closing
    }

    /// A connection's way to the event loop of the tunnel that its first request is for: there, requests need not be handed from one
    /// loop to another, nor their answers back. It leaves with all that has come.
    private struct Departure {
        let home: any EventLoop
        /// What the decoder made of the first head, for when the connection has to stay.
        var parts: [HTTPServerRequestPart]
    }

    let server: ServerContext
    let eventLoop: any EventLoop
    let transport: TransportHandler
    /// The connection's other end, or whom a PROXY header names: whose word may be taken for where requests come from.
    let peer: ForwardedNode
    let streams: VisitorStreams
    /// In the server's register.
    private var number: UInt64 = 0
    /// Until the first request: later ones may be for tunnels anywhere, and each move costs more than a request's way and back.
    private var mayMove = true
    private var state = State.serving
    private var feed = RequestFeed()
    /// Set from the decoding of a head until all that was read with it is in the feed.
    private var departure: Departure?
    private var exchange: VisitorExchange?
    private var refusal: MessageRefusal?
    private var isForFrontDoor = false
    private var isAdvancing = false
    /// Requests that were begun since others had their turn.
    private var begun = 0
    private var isYielding = false
    private var inputHasEnded = false
    private var patience: VisitorPatience?
    private var patienceEnds = NIODeadline.distantFuture
    /// Bytes that the socket had not taken when that was last looked at.
    private var waitingBytes = 0
    private var timer: Scheduled<Void>?
    private var timerFires = NIODeadline.distantFuture

    /// Requests that are answered at once, one after the other: pages and refusals, some 12 µs each. Then others of the loop have their turn.
    private static let requestsPerTurn = 64

    private init(_ transport: TransportHandler, peer: ForwardedNode, on eventLoop: any EventLoop, _ server: ServerContext) {
        self.server = server
        self.eventLoop = eventLoop
        self.transport = transport
        self.peer = peer
        self.streams = VisitorStreams(eventLoop: eventLoop)
    }

    /// Goes on with a connection whose first request is a visitor's.
    ///
    /// - Parameter bytes: All that has come of it.
    static func meet(
        _ transport: TransportHandler, bytes: ByteBuffer, peer: ForwardedNode, on eventLoop: any EventLoop, _ server: ServerContext
    ) {
        let connection = VisitorConnection(transport, peer: peer, on: eventLoop, server)
        guard let number = server.add(connection) else { return transport.abort() }
        connection.number = number
        do {
            try connection.takeTransport()
        } catch {
            server.removeVisitor(number)
            return transport.abort()
        }
        transport.liftLimit()
        var bytes = bytes
        connection.transport(received: &bytes)
    }

    /// Hears of the connection from now on.
    private func takeTransport() throws {
        guard let pipeline = self.transport.pipeline else { throw ChannelError.ioOnClosedChannel }
        try RequestReader.add(to: pipeline, for: self)
        self.transport.hand(to: self)
        self.transport.allowHalfClosure()
    }

    /// Whether another request may follow on this connection.
    var mayGoOn: Bool {
        // Whoever closed its direction may have sent more requests before.
        self.state == .serving && (!self.inputHasEnded || !self.feed.isEmpty) && self.server.takesClients
    }

    // MARK: From the transport

    func transportIsReady() {}

    func transport(received bytes: inout ByteBuffer) {
        switch self.state {
        case .serving:
            self.feed.append(bytes)
            self.advance()
        case .upgraded: self.exchange?.visitorSent(ByteBuffer(bytes: bytes.readableBytesView))
        case .closing: break
        }
    }

    func transportReadComplete() {
        guard let departure = self.departure else { return }
        self.departure = nil
        if !self.move(to: departure.home) { self.stay(departure) }
    }

    func transportIsWritable() {
        self.exchange?.visitorTakesMore()
        self.advance()
    }

    func transportInputEnded() -> Bool {
        self.inputHasEnded = true
        switch self.state {
        case .upgraded:
            self.exchange?.visitorFinished()
            return true
        case .closing: return true
        case .serving:
            // With TLS nobody closes one direction only; whoever closes it is gone.
            guard self.exchange?.isRequestWhole == true || !self.feed.isEmpty, self.transport.security == nil else { return false }
            self.advance()
            return true
        }
    }

    func transportEnded(_ end: TransportEnd) {
        self.state = .closing
        self.timer?.cancel()
        self.departure = nil
        let exchange = self.exchange
        self.exchange = nil
        exchange?.visitorLeft()
        self.streams.finish()
        self.server.removeVisitor(self.number)
    }

    /// The server stops: what is under way may end, and nothing else begins.
    func serverStops() {
        if self.exchange == nil, self.state == .serving { self.close() }
    }

    // MARK: Requests

    /// Gives the decoder what is wanted now, and the socket leave to bring more. Whoever does not read answers asks for nothing more: what
    /// waits for a visitor is one answer, and the credit of its stream bounds that.
    private func advance() {
        guard !self.isAdvancing else { return }
        self.isAdvancing = true
        do throws(MessageRefusal) {
            while self.state == .serving, self.departure == nil, self.exchange?.wantsBody ?? self.mayBegin, let bytes = try self.feed.next() {
                self.transport.pass(up: bytes)
                if let refusal = self.refusal { throw refusal }
                if self.isForFrontDoor { return self.giveBack() }
            }
        } catch {
            self.refuse(error)
        }
        self.isAdvancing = false
        guard self.state == .serving, self.departure == nil else { return }
        if self.inputHasEnded {
            if let exchange = self.exchange {
                if self.feed.isEmpty, !exchange.isRequestWhole {
                    return self.refuse(MessageRefusal(400, "it ended before its body was complete"))
                }
            } else if self.feed.isEmpty || self.mayBegin {
                return self.close()
            }
        }
        self.transport.isReading = self.feed.isEmpty || self.exchange == nil && self.mayBegin
        self.watch()
    }

    /// Whether the next request may be looked at.
    private var mayBegin: Bool { self.transport.isWritable && !self.isYielding }

    private func countRequest() {
        // The time of its head is over; that of the next one's begins anew.
        self.patience = nil
        self.begun += 1
        guard self.begun == Self.requestsPerTurn else { return }
        self.isYielding = true
        self.eventLoop.assumeIsolated().execute {
            self.isYielding = false
            self.begun = 0
            self.advance()
        }
    }

    /// From the decoder.
    func received(_ part: HTTPServerRequestPart) {
        guard self.state == .serving, self.refusal == nil else { return }
        if self.departure != nil {
            self.departure?.parts.append(part)
            return
        }
        switch part {
        case .head(let head): self.begin(head)
        case .body(let bytes): self.exchange?.received(bytes)
        case .end(let trailers):
            // Where the request asks for another protocol, the decoder reads no body of an encoding that it does not know as chunked, be
            // it for a tab behind the word.
            guard self.feed.isBetweenMessages else {
                self.refusal = MessageRefusal(400, "where its body ends can be read in two ways")
                return
            }
            self.exchange?.requestEnded(trailers ?? HTTPHeaders())
        }
    }

    func decodingFailed(_ refusal: MessageRefusal) {
        if self.refusal == nil { self.refusal = refusal }
    }

    private func begin(_ head: HTTPRequestHead) {
        do throws(MessageRefusal) {
            let request = try JudgedRequest(head)
            guard !FrontDoor.isForTunnels(head.headers) else {
                self.isForFrontDoor = true
                return
            }
            if let home = self.home(of: request) {
                self.departure = Departure(home: home, parts: [.head(head)])
                return
            }
            self.feed.headEnded(request.body)
            self.countRequest()
            let exchange = VisitorExchange(request, of: self, keepsAlive: request.keepsAlive && !head.headers.contains(name: "Upgrade"))
            self.exchange = exchange
            exchange.begin()
        } catch {
            self.refusal = error
        }
    }

    /// A client, on a connection that visitors have used before: load balancers do that.
    private func giveBack() {
        self.state = .closing
        self.timer?.cancel()
        self.streams.finish()
        self.server.removeVisitor(self.number)
        var bytes = self.unanswered
        FrontDoor.meet(self.transport, bytes: &bytes, peer: self.peer, on: self.eventLoop, self.server)
    }

    /// All that has come since the last request was answered, its successor's head being the last that was decoded.
    private var unanswered: ByteBuffer {
        var bytes = self.feed.head
        bytes.writeImmutableBuffer(self.feed.waiting)
        return bytes
    }

    /// Answers, closes, and looks at nothing that comes behind.
    private func refuse(_ refusal: MessageRefusal) {
        self.server.logger.info(
            "refused a request", metadata: ["address": "\(self.transport.remote)", "reason": "\(refusal.sentence)"])
        if let exchange = self.exchange {
            self.exchange = nil
            exchange.refused(refusal)
        } else {
            let (head, body) = Page.refused(refusal).response(accept: [], id: VisitorExchange.newID())
            var bytes = ByteBuffer()
            bytes.writeResponseHead(head, toMethod: "GET", toHTTP10: false, keepsAlive: false)
            bytes.writeImmutableBuffer(body)
            self.transport.write(bytes)
        }
        self.close()
    }

    // MARK: To the tunnel's event loop

    /// Where a request is to be answered, if that is not here.
    private func home(of request: JudgedRequest) -> (any EventLoop)? {
        guard self.mayMove else { return nil }
        self.mayMove = false
        // The only request of a connection is not worth the move.
        guard request.keepsAlive || request.upgrade != nil else { return nil }
        return self.server.names.home(of: request.host).flatMap { $0 === self.eventLoop ? nil : $0 }
    }

    /// - Returns: Whether the connection has left. What becomes of it on its way is not this one's business any more.
    private func move(to home: any EventLoop) -> Bool {
        guard let transport = self.transport.release() else { return false }
        self.state = .closing
        self.timer?.cancel()
        self.server.logger.debug("moved a visitor to its tunnel's event loop", metadata: ["address": "\(self.transport.remote)"])
        let (server, number, peer, bytes) = (self.server, self.number, self.peer, self.unanswered)
        let arrival = NIOLoopBoundBox<VisitorConnection?>.makeEmptyBox(valueType: VisitorConnection.self, eventLoop: home)
        transport.goOn(on: home) { transport, eventLoop in
            let connection = VisitorConnection(transport, peer: peer, on: eventLoop, server)
            connection.number = number
            connection.mayMove = false
            try connection.takeTransport()
            server.replaceVisitor(number, with: connection)
            arrival.value = connection
        } arrived: { result in
            switch result {
            case .success:
                var bytes = bytes
                arrival.value?.transport(received: &bytes)
            case .failure: server.removeVisitor(number)
            }
        }
        return true
    }

    /// Goes on here with what would have left.
    private func stay(_ departure: Departure) {
        // An answer that is there at once must not let the next request begin between these.
        self.isAdvancing = true
        for part in departure.parts { self.received(part) }
        self.isAdvancing = false
        if let refusal = self.refusal { self.refuse(refusal) } else { self.advance() }
    }

    // MARK: For the exchange

    /// There is room for more of the body.
    func wantsMore() { self.advance() }

    /// The answer is on its way, whole.
    func exchangeEnded(keepsAlive: Bool) {
        self.exchange = nil
        guard keepsAlive, self.mayGoOn else { return self.close() }
        self.advance()
    }

    /// Both directions carry another protocol from here on.
    func upgraded() {
        self.state = .upgraded
        self.timer?.cancel()
        self.timer = nil
        self.patience = nil
        self.transport.isReading = true
        if let early = self.feed.takeWaiting() { self.exchange?.visitorSent(early) }
        if self.inputHasEnded { self.exchange?.visitorFinished() }
    }

    func finishOutput() { self.transport.finishOutput() }

    /// Whether nothing of the request's body has come yet.
    var isWaitingForBody: Bool { self.feed.isEmpty }

    /// Whether the upgraded connection's socket is read.
    func setReading(_ isReading: Bool) { self.transport.isReading = isReading }

    func progressed() { self.watch() }

    /// Sends what was written, then ends.
    func close() {
        guard self.state != .closing else { return }
        self.state = .closing
        self.timer?.cancel()
        self.timer = nil
        self.streams.finish()
        self.transport.close()
    }

    /// What was begun cannot be completed, and must not look complete.
    func cut() {
        guard self.state != .closing else { return }
        self.state = .closing
        self.exchange = nil
        self.transport.reset()
    }

    // MARK: Patience

    private func watch() {
        guard self.state == .serving else { return }
        let patience: VisitorPatience? =
            if !self.transport.isWritable {
                .writing
            } else if let exchange = self.exchange {
                if exchange.wantsBody, !exchange.isRequestWhole { .body } else { self.inputHasEnded ? .halfClosed : nil }
            } else if self.isYielding {
                nil
            } else {
                self.feed.isEmpty && !self.feed.isInsideHead ? .idle : .head
            }
        // The time for a head begins with its first byte; for all else, with the last sign of life.
        if patience != self.patience || patience != .head {
            self.patienceEnds = patience.map { .now() + $0.time } ?? .distantFuture
        }
        self.patience = patience
        if self.patienceEnds < self.timerFires { self.wake(at: self.patienceEnds) }
    }

    private func wake(at deadline: NIODeadline) {
        self.timer?.cancel()
        self.timerFires = deadline
        self.timer = self.eventLoop.assumeIsolated().scheduleTask(deadline: deadline) {
            self.timerFires = .distantFuture
            guard self.state == .serving, let patience = self.patience else { return }
            if patience == .writing { self.lookAtWriting() }
            if self.patienceEnds > .now() { self.wake(at: self.patienceEnds) } else { self.lost(patience) }
        }
    }

    /// A slow visitor takes its time to make room for more; what counts is that it takes anything at all.
    private func lookAtWriting() {
        let waiting = self.transport.waitingBytes
        if waiting != self.waitingBytes { self.patienceEnds = .now() + VisitorPatience.writing.time }
        self.waitingBytes = waiting
    }

    private func lost(_ patience: VisitorPatience) {
        switch patience {
        case .idle: self.close()
        case .head: self.refuse(MessageRefusal(408, "its head took longer than \(patience.time.nanoseconds / 1_000_000_000) s"))
        case .body:
            self.refuse(MessageRefusal(408, "nothing more of its body came for \(patience.time.nanoseconds / 1_000_000_000) s"))
        case .writing, .halfClosed:
            let exchange = self.exchange
            self.cut()
            exchange?.visitorLeft()
        }
    }
}
