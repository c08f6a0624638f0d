internal import NIOConcurrencyHelpers
package import NIOCore
package import TunnelProtocol

/// Whoever a stream is for. All calls come on its own event loop, none from within one of the stream's functions.
package protocol StreamUser: AnyObject {
    /// Bytes of the stream, in order; each is to be answered with `taken` once it has left.
    func stream(_ stream: RemoteStream, received bytes: ByteBuffer)
    /// No more bytes come for now: what they led to may be flushed.
    func streamReadComplete(_ stream: RemoteStream)
    /// After `send` had said no: it takes more.
    func streamTakesMore(_ stream: RemoteStream)
    /// The peer sends no more bytes on it.
    func streamFinished(_ stream: RemoteStream)
    /// The stream is gone: reset by the peer, or with its link, or it could not be opened. Not called after `reset` here.
    func stream(_ stream: RemoteStream, ended code: ResetCode)
}

/// A stream opened here for a user who may live on another event loop than the stream's link.
///
///     user ── send, taken, finish, reset ──▶ queue ──▶ far end ──▶ link        one wake-up for all that is queued
///     user ◀── received, finished, ended ── queue ◀── far end ◀── link
///
/// On one loop everything is handed over at once. A user that sends more than the link takes is told so by bytes: what is queued
/// between the loops stays below `TransportLimits.remoteBytes`, and one piece. In the other direction the stream's window is the
/// bound.
package final class RemoteStream {
    fileprivate enum Order: Sendable {
        case send(ByteBuffer)
        case taken(Int)
        case finish
        case reset(ResetCode)
    }

    fileprivate enum News: Sendable {
        case received([ByteBuffer])
        case accepted(Int)
        case finished
        case ended(ResetCode)
    }

    /// Opens the stream where the link lives.
    ///
    /// - Returns: `nil` when there is none to be had.
    package typealias Opening = @Sendable (any StreamEnd) -> (link: LinkDriver, id: StreamID)?

    private let eventLoop: any EventLoop
    /// Whoever it is owns this, and says when it goes (`userIsGone`): weak references would be looked up for every message.
    private unowned var user: (any StreamUser)?
    private let near: Near
    private let orders: Mailbox<Order>
    private let news: Mailbox<News>
    /// Bytes that the link has not taken yet, as far as is known here.
    private var unaccepted = 0
    private var isFull = false
    private var untold = 0
    private var hasEnded = false
    /// Calls of the user's that are under way: nothing is told to it meanwhile.
    private var depth = 0

    /// Called on the user's loop. The user is told if the stream cannot be opened; bytes may be sent at once.
    ///
    /// - Parameters:
    ///   - eventLoop: The user's.
    ///   - home: The link's.
    package init(eventLoop: any EventLoop, home: any EventLoop, user: any StreamUser, open: @escaping Opening) {
        self.eventLoop = eventLoop
        self.user = user
        let itself = Near()
        self.near = itself
        let near = NIOLoopBound(itself, eventLoop: eventLoop)
        let news = Mailbox<News>(
            eventLoop, deliver: { near.value.stream?.learn($0) }, delivered: { near.value.stream?.learned() },
            mayDeliverAtOnce: { near.value.stream?.depth ?? 0 == 0 })
        let bound = NIOLoopBoundBox.makeBoxSendingValue(FarEnd(news: news), as: FarEnd.self, eventLoop: home)
        self.news = news
        self.orders = Mailbox(home, deliver: { bound.value.obey($0) }, delivered: { bound.value.obeyed() }, mayDeliverAtOnce: { true })
        itself.stream = self
        if home.inEventLoop { bound.value.open(open) } else { home.execute { bound.value.open(open) } }
    }

    /// The stream as long as there is one.
    private final class Near {
        unowned var stream: RemoteStream?
    }

    deinit { self.near.stream = nil }

    /// To be called by the user's `deinit`.
    package func userIsGone() { self.user = nil }

    /// - Returns: Whether the stream takes more.
    package func send(_ bytes: ByteBuffer) -> Bool {
        guard !self.hasEnded else { return true }
        self.unaccepted += bytes.readableBytes
        self.give(.send(bytes))
        self.isFull = self.unaccepted >= TransportLimits.remoteBytes
        return !self.isFull
    }

    /// So many of the received bytes have left.
    package func taken(_ count: Int) {
        self.untold += count
        guard !self.hasEnded, self.untold >= TransportLimits.remoteStepBytes else { return }
        self.give(.taken(self.untold))
        self.untold = 0
    }

    /// No more bytes follow.
    package func finish() {
        if !self.hasEnded { self.give(.finish) }
    }

    /// Ends the stream in both directions.
    package func reset(_ code: ResetCode) {
        guard !self.hasEnded else { return }
        self.hasEnded = true
        self.user = nil
        self.give(.reset(code))
    }

    private func give(_ order: Order) {
        self.depth += 1
        self.orders.post(order)
        self.depth -= 1
    }

    private func learn(_ news: News) {
        guard !self.hasEnded, let user = self.user else { return }
        switch news {
        case .received(let pieces):
            for bytes in pieces where !self.hasEnded { user.stream(self, received: bytes) }
        case .accepted(let count):
            self.unaccepted -= count
            assert(self.unaccepted >= 0, "more was taken than was sent")
            guard self.isFull, self.unaccepted < TransportLimits.remoteBytes else { return }
            self.isFull = false
            user.streamTakesMore(self)
        case .finished: user.streamFinished(self)
        case .ended(let code):
            self.hasEnded = true
            self.user = nil
            user.stream(self, ended: code)
        }
    }

    private func learned() {
        if !self.hasEnded { self.user?.streamReadComplete(self) }
    }
}

/// The end of a remote stream where its link lives.
private final class FarEnd: StreamEnd {
    private let news: Mailbox<RemoteStream.News>
    private var link: LinkDriver?
    private var id: StreamID?
    private var received: [ByteBuffer] = []
    /// Bytes given to the link that the user has not been told of.
    private var accepted = 0
    private var isBlocked = false
    private var hasSent = false
    private var hasFinished = false
    private var isFinished = false

    init(news: Mailbox<RemoteStream.News>) {
        self.news = news
    }

    func open(_ open: RemoteStream.Opening) {
        guard let (link, id) = open(self) else { return self.news.post(.ended(.tooManyStreams)) }
        self.link = link
        self.id = id
    }

    func obey(_ order: RemoteStream.Order) {
        guard let link = self.link, let id = self.id else { return }
        switch order {
        case .send(let bytes):
            self.accepted += bytes.readableBytes
            self.hasSent = true
            // A request, or a keystroke.
            if bytes.readableBytes <= TransportLimits.interactiveBytes { link.payAttention() }
            // A stream that takes bytes again says so once: by taking these, if they come first.
            self.isBlocked = !link.send(bytes, on: id)
        case .taken(let count): link.taken(count, from: id, now: .now)
        case .finish:
            self.hasFinished = true
            link.finish(id)
            self.closeIfFinished()
        case .reset(let code):
            self.link = nil
            link.reset(id, code)
        }
    }

    func obeyed() {
        if self.hasSent {
            self.hasSent = false
            self.link?.sent()
        }
        self.tellAccepted()
    }

    private func tellAccepted() {
        guard !self.isBlocked, self.accepted >= TransportLimits.remoteStepBytes else { return }
        // The user may send more from within: what it is told of must not be counted again.
        let accepted = self.accepted
        self.accepted = 0
        self.news.post(.accepted(accepted))
    }

    func write(_ bytes: ByteBuffer) -> Bool {
        self.received.append(bytes.withoutPinning())
        return self.received.count == 1
    }

    func flush(now: Instant) {
        guard !self.received.isEmpty else { return }
        let received = self.received
        self.received = []
        self.news.post(.received(received))
    }

    func resumeSending() {
        self.isBlocked = false
        self.tellAccepted()
    }

    func finish() {
        self.flush(now: .now)
        self.news.post(.finished)
        self.isFinished = true
        self.closeIfFinished()
    }

    /// Bytes that were not taken any more by then need no credit.
    private func closeIfFinished() {
        guard self.hasFinished, self.isFinished, let link = self.link, let id = self.id else { return }
        self.link = nil
        link.closed(id)
    }

    func reset(_ code: ResetCode) {
        self.flush(now: .now)
        self.end(code)
    }

    /// What had been sent may have been read, or not: the other side's own words about that (`goingAway`) are not ours to use.
    func linkEnded() {
        self.end(.connectionReset)
    }

    private func end(_ code: ResetCode) {
        self.link = nil
        self.news.post(.ended(code))
    }
}

/// Messages for an event loop, from any thread: at once when that is this one, else with one wake-up for all that wait.
private final class Mailbox<Message: Sendable>: Sendable {
    private struct State {
        var waiting: [Message] = []
        var isScheduled = false
    }

    private let eventLoop: any EventLoop
    private let state = NIOLockedValueBox(State())
    private let deliver: @Sendable (Message) -> Void
    private let delivered: @Sendable () -> Void
    private let mayDeliverAtOnce: @Sendable () -> Bool

    /// All are called on the event loop.
    ///
    /// - Parameters:
    ///   - deliver: For each message.
    ///   - delivered: After the last of those that waited.
    ///   - mayDeliverAtOnce: Asked for a message that comes from the event loop itself.
    init(
        _ eventLoop: any EventLoop, deliver: @escaping @Sendable (Message) -> Void, delivered: @escaping @Sendable () -> Void,
        mayDeliverAtOnce: @escaping @Sendable () -> Bool
    ) {
        self.eventLoop = eventLoop
        self.deliver = deliver
        self.delivered = delivered
        self.mayDeliverAtOnce = mayDeliverAtOnce
    }

    func post(_ message: Message) {
        let isHere = self.eventLoop.inEventLoop && self.mayDeliverAtOnce()
        let (isFirst, mustSchedule) = self.state.withLockedValue { state in
            let isFirst = isHere && !state.isScheduled
            if !isFirst { state.waiting.append(message) }
            defer { state.isScheduled = true }
            return (isFirst, !isFirst && !state.isScheduled)
        }
        if isFirst {
            // Nothing waits before it, and what comes meanwhile does.
            self.deliver(message)
            self.delivered()
            self.empty()
        } else if mustSchedule {
            self.eventLoop.execute { self.empty() }
        }
    }

    private func empty() {
        while true {
            let waiting = self.state.withLockedValue { state in
                var waiting: [Message] = []
                swap(&waiting, &state.waiting)
                if waiting.isEmpty { state.isScheduled = false }
                return waiting
            }
            if waiting.isEmpty { return }
            for message in waiting { self.deliver(message) }
            self.delivered()
        }
    }
}
