import Foundation
import HTTPMessages
import Logging
import NIOConcurrencyHelpers
import NIOCore
import NIOPosix
import Testing
import TunnelClient
import TunnelServer
import TunnelTransport

/// Waits for what another thread is about to do.
func eventually(
    within limit: Duration = .seconds(20), sourceLocation: SourceLocation = #_sourceLocation, _ condition: () -> Bool
) async throws {
    let end = ContinuousClock.now + limit
    while !condition() {
        try #require(ContinuousClock.now < end, "\(limit) passed", sourceLocation: sourceLocation)
        try await Task.sleep(for: .milliseconds(5))
    }
}

/// What several threads have noted, in order.
final class Notebook<Note: Sendable>: Sendable {
    private let notes = NIOLockedValueBox<[Note]>([])

    var all: [Note] { self.notes.withLockedValue { $0 } }

    /// - Returns: The notes before it.
    @discardableResult
    func add(_ note: Note) -> Int {
        self.notes.withLockedValue { notes in
            notes.append(note)
            return notes.count - 1
        }
    }
}

/// The exchanges that a client tells of.
final class Notes: ExchangeListener {
    private let notebook = Notebook<Exchange>()

    var all: [Exchange] { self.notebook.all }

    func began(_ exchange: Exchange) -> UInt64 { UInt64(self.notebook.add(exchange)) }

    func ended(_ exchange: Exchange, at place: UInt64) { self.notebook.add(exchange) }
}

/// An HTTP service that answers each request, as a whole and in one read, with what it is told to.
final class ScriptedService: Sendable {
    enum Answer: Sendable {
        case say(String)
        case close
    }

    let requests = Notebook<String>()
    let connections = Notebook<Int>()
    let port: Int
    private let listener: any Channel

    /// - Parameters:
    ///   - answer: For a request, and how many there were before it.
    ///   - held: Told of the connection whose request got no answer.
    init(
        _ answer: @escaping @Sendable (String, Int) -> Answer, held: @escaping @Sendable (any Channel) -> Void = { _ in }
    ) async throws {
        let (requests, connections) = (self.requests, self.connections)
        self.listener = try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .childChannelInitializer { channel in
                connections.add(0)
                return channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(Script(requests, answer, held))
                }
            }
            .bind(host: "127.0.0.1", port: 0).get()
        self.port = self.listener.localAddress?.port ?? 0
    }

    func stop() async throws { try await self.listener.close() }

    private final class Script: ChannelInboundHandler {
        typealias InboundIn = ByteBuffer
        private let requests: Notebook<String>
        private let answer: @Sendable (String, Int) -> Answer
        private let held: @Sendable (any Channel) -> Void
        private var text = ""

        init(_ requests: Notebook<String>, _ answer: @escaping @Sendable (String, Int) -> Answer, _ held: @escaping @Sendable (any Channel) -> Void) {
            self.requests = requests
            self.answer = answer
            self.held = held
        }

        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            self.text += String(buffer: self.unwrapInboundIn(data))
            guard let end = self.text.range(of: "\r\n\r\n") else { return }
            let length = self.text.range(of: "Content-Length: ").map { Int(self.text[$0.upperBound...].prefix { $0.isNumber }) ?? 0 } ?? 0
            guard self.text.distance(from: end.upperBound, to: self.text.endIndex) >= length else { return }
            let request = self.text
            self.text = ""
            switch self.answer(request, self.requests.add(request)) {
            case .say(let answer):
                if answer.isEmpty { self.held(context.channel) }
                context.writeAndFlush(NIOAny(ByteBuffer(string: answer)), promise: nil)
            case .close: context.close(promise: nil)
            }
        }
    }
}

/// Keeps the messages of a log.
private struct NotedLog: LogHandler {
    var metadata: Logger.Metadata = [:]
    var logLevel = Logger.Level.debug
    private let notebook: Notebook<String>

    init(_ notebook: Notebook<String>) { self.notebook = notebook }

    subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { self.metadata[key] }
        set { self.metadata[key] = newValue }
    }

    func log(event: LogEvent) { self.notebook.add(event.message.description) }
}

/// A server and a client with an HTTP tunnel to a service.
struct HTTPPair {
    let server: Server
    let client: Client
    let port: Int
    /// The tunnel's name, as visitors ask for it.
    let host: String
    /// What the client told of requests, and of its service.
    let requests: Notebook<ClientRequest>
    let complaints: Notebook<OperatorError>

    /// - Parameter log: Gets the messages of the server's log.
    static func run(
        _ service: ScriptedService, keys: String = "", log: Notebook<String>? = nil, _ body: (HTTPPair) async throws -> Void
    ) async throws {
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent("ws-tunnel-\(UUID())").path
        defer { try? FileManager.default.removeItem(atPath: folder) }
        let logger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
        let serverLogger = log.map { log in Logger(label: "test") { _ in NotedLog(log) } } ?? logger
        let (ready, announceReady) = AsyncStream<UInt16>.makeStream()
        let server = Server(
            ServerConfiguration(
                keys: ["key"], listen: ListenAddress(host: "127.0.0.1", port: 0), bind: "127.0.0.1", security: .plain,
                stateFolder: StateFolder(path: folder), gracePeriod: .zero), logger: serverLogger
        ) { event in
            if case .ready(let address, _) = event { announceReady.yield(address.port) }
        }
        // Whatever goes wrong, nobody waits for an event of a run that is over.
        let serving = Task {
            defer { announceReady.finish() }
            try await server.run()
        }
        defer { server.stop() }
        var ports = ready.makeAsyncIterator()
        let port = Int(try #require(await ports.next()))

        let (tunnels, announceTunnel) = AsyncStream<String>.makeStream()
        let (requests, complaints) = (Notebook<ClientRequest>(), Notebook<OperatorError>())
        let exposure = try Exposure("http://127.0.0.1:\(service.port)\(keys.isEmpty ? "" : ",\(keys)")")
        let client = Client(
            ClientConfiguration(
                server: try ServerURL("ws://127.0.0.1:\(port)"), key: "key", exposures: [exposure], stateFolder: StateFolder(path: folder)),
            logger: logger
        ) { event in
            switch event {
            case .tunnel(_, let url, _): announceTunnel.yield(url)
            case .request(let request): requests.add(request)
            case .serviceUnavailable(_, let error): complaints.add(error)
            default: break
            }
        }
        let connecting = Task {
            defer { announceTunnel.finish() }
            try await client.run()
        }
        defer { client.stop() }
        var urls = tunnels.makeAsyncIterator()
        let url = try #require(await urls.next())
        let host = String(url.dropFirst("http://".count))

        try await body(HTTPPair(server: server, client: client, port: port, host: host, requests: requests, complaints: complaints))
        client.stop()
        try await connecting.value
        server.stop()
        try await serving.value
    }

    func visit() async throws -> HTTPVisitor { try await HTTPVisitor(port: self.port) }

    /// - Parameter request: With HOST for the tunnel's name.
    func ask(_ request: String) async throws -> String {
        let visitor = try await self.visit()
        defer { visitor.close() }
        return try await visitor.ask(request.replacingOccurrences(of: "HOST", with: self.host))
    }
}

/// Someone who asks for something, and reads the whole of an answer whose length is given.
final class HTTPVisitor: Sendable {
    private let channel: any Channel
    private let received = NIOLockedValueBox("")

    init(port: Int) async throws {
        let received = self.received
        self.channel = try await ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture { try channel.pipeline.syncOperations.addHandler(Reader(received)) }
            }
            .connect(host: "127.0.0.1", port: port).get()
    }

    /// For answers that nobody waits for.
    func send(_ request: String) async throws { try await self.channel.writeAndFlush(ByteBuffer(string: request)).get() }

    func ask(_ request: String) async throws -> String {
        self.received.withLockedValue { $0 = "" }
        try await self.send(request)
        try await eventually { Self.isWhole(self.received.withLockedValue { $0 }) }
        return self.received.withLockedValue { $0 }
    }

    func close() { self.channel.close(promise: nil) }

    private static func isWhole(_ answer: String) -> Bool {
        guard let end = answer.range(of: "\r\n\r\n"), let field = answer.range(of: "Content-Length: ") else { return false }
        return answer[end.upperBound...].utf8.count >= Int(answer[field.upperBound...].prefix { $0.isNumber }) ?? .max
    }

    private final class Reader: ChannelInboundHandler {
        typealias InboundIn = ByteBuffer
        private let received: NIOLockedValueBox<String>

        init(_ received: NIOLockedValueBox<String>) { self.received = received }

        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            let text = String(buffer: self.unwrapInboundIn(data))
            self.received.withLockedValue { $0 += text }
        }
    }
}
