internal import HTTPMessages
internal import NIOConcurrencyHelpers
internal import NIOCore
internal import TunnelProtocol
internal import TunnelTransport

/// A tunnel that has a name: what visitors need to know of it, on whatever event loop they are.
final class NamedTunnel: Sendable {
    /// The whole host name, in lower case.
    let name: String
    let id: TunnelID
    let kind: Frame.TunnelKind
    let policy: TunnelPolicy?
    /// Where its session lives.
    let home: any EventLoop
    /// Opens a stream to its client, for a visitor who came to this address. Called at home; `nil` when the tunnel is gone, or no
    /// stream is to be had.
    let open: Opening

    typealias Opening = @Sendable (
        _ end: any StreamEnd, _ visitor: Endpoint?, _ destination: Endpoint?
    ) -> (link: LinkDriver, id: StreamID)?

    private struct State {
        var isWell = true
        /// Whether any of its session's links has a connection.
        var isCarried = true
        var isOpen = true
        var requests = 0
        /// Who waits for a connection.
        var waiting: [Int: EventLoopPromise<Bool>] = [:]
        var nextNumber = 0
        /// Who wants to know when the tunnel closes.
        var closing: [Int: @Sendable () -> Void] = [:]
    }

    private let state = NIOLockedValueBox(State())

    init(
        _ name: String, id: TunnelID, kind: Frame.TunnelKind, policy: TunnelPolicy?, home: any EventLoop, open: @escaping Opening
    ) {
        self.name = name
        self.id = id
        self.kind = kind
        self.policy = policy
        self.home = home
        self.open = open
    }

    /// How gladly the next request is given to another one.
    var reluctance: (Int, Int) {
        self.state.withLockedValue { (($0.isWell ? 0 : 1) + ($0.isCarried ? 0 : 2), $0.requests) }
    }

    func requestBegan() { self.state.withLockedValue { $0.requests += 1 } }

    func requestEnded() { self.state.withLockedValue { $0.requests -= 1 } }

    /// As its client says.
    var isWell: Bool {
        get { self.state.withLockedValue { $0.isWell } }
        set { self.state.withLockedValue { $0.isWell = newValue } }
    }

    // MARK: Its connection

    var isCarried: Bool { self.state.withLockedValue { $0.isCarried } }

    func set(isCarried: Bool) {
        let waiting = self.state.withLockedValue { state -> [EventLoopPromise<Bool>] in
            state.isCarried = isCarried
            guard isCarried else { return [] }
            defer { state.waiting = [:] }
            return Array(state.waiting.values)
        }
        for promise in waiting { promise.succeed(true) }
    }

    /// - Returns: On the event loop: whether a connection carries the tunnel before the time is over.
    func whenCarried(within time: TimeAmount, on eventLoop: any EventLoop) -> EventLoopFuture<Bool> {
        let promise = eventLoop.makePromise(of: Bool.self)
        let number = self.state.withLockedValue { state -> Int? in
            guard state.isOpen, !state.isCarried else {
                promise.succeed(state.isOpen)
                return nil
            }
            state.nextNumber += 1
            state.waiting[state.nextNumber] = promise
            return state.nextNumber
        }
        if let number {
            eventLoop.scheduleTask(in: time) {
                self.state.withLockedValue { $0.waiting.removeValue(forKey: number) }?.succeed(false)
            }
        }
        return promise.futureResult
    }

    // MARK: Its end

    /// - Parameter act: Called on any thread, once, when the tunnel closes; soon, if it has.
    /// - Returns: For `forget(_:)`.
    func whenClosed(_ act: @escaping @Sendable () -> Void) -> Int {
        let (number, isOpen) = self.state.withLockedValue { state in
            state.nextNumber += 1
            if state.isOpen { state.closing[state.nextNumber] = act }
            return (state.nextNumber, state.isOpen)
        }
        if !isOpen { act() }
        return number
    }

    func forget(_ number: Int) {
        self.state.withLockedValue { $0.closing[number] = nil }
    }

    func close() {
        let (waiting, closing) = self.state.withLockedValue { state in
            state.isOpen = false
            defer {
                state.waiting = [:]
                state.closing = [:]
            }
            return (Array(state.waiting.values), Array(state.closing.values))
        }
        for promise in waiting { promise.succeed(false) }
        for act in closing { act() }
    }
}
