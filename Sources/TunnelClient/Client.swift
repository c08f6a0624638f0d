package import HTTPMessages
internal import Intermediaries
public import Logging
internal import NIOConcurrencyHelpers
package import NIOCore
internal import NIOPosix
internal import OpenSSL
package import TunnelProtocol
internal import TunnelTransport

/// A tunnel client: keeps a session with a server and exposes services through it.
public final class Client: Sendable {
    private let configuration: ClientConfiguration
    private let logger: Logger
    private let emit: @Sendable (ClientEvent) -> Void
    private let state = NIOLockedValueBox(State())
    private let counted = NIOLockedValueBox(ClientStatistics())

    private struct State {
        var isStopping = false
        var session: NIOLoopBound<ClientSession>?
        var listener: (any ExchangeListener)?
    }

    /// - Parameter onEvent: Called on any thread; must not block.
    public init(
        _ configuration: ClientConfiguration, logger: Logger, onEvent: @escaping @Sendable (ClientEvent) -> Void = { _ in }
    ) {
        self.configuration = configuration
        self.logger = logger
        self.emit = onEvent
    }

    /// As of now; may be asked from any thread, at any time.
    public var statistics: ClientStatistics { self.counted.withLockedValue { $0 } }

    /// Runs until `stop()`, through as many connections as it takes.
    ///
    /// - Throws: `OperatorError` when going on would not help.
    public func run() async throws {
        try self.configuration.validate()
        guard !self.configuration.exposures.isEmpty else {
            throw OperatorError(.badConfiguration, "nothing is exposed", remedy: "Say what with --expose 127.0.0.1:8000.")
        }
        if self.configuration.server.isSecure, self.configuration.trust == .anything {
            self.emit(
                .warning(
                    OperatorError(
                        .badConfiguration, "the certificate of \(self.configuration.server) is not verified (--insecure)",
                        remedy: "Whoever stands in between reads everything, the API key too. Use --fingerprint instead.")))
        }
        let certificate = OwnCertificate(self.configuration, logger: self.logger)
        let dialer = try self.configuration.makeDialer()
        var prepared = self.configuration
        for index in prepared.exposures.indices { try prepared.exposures[index].prepare() }
        let contexts = try ServiceContexts(prepared.exposures)
        let name = ClientName(self.configuration)
        if let failure = name.failure { self.emit(.warning(failure)) }
        let inspector = await self.startInspector()
        // Links and services' sockets share one loop.
        let loops = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        let eventLoop = loops.next()
        let ended = eventLoop.makePromise(of: OperatorError?.self)
        let (configuration, logger, emit, counted) = (prepared, self.logger, self.emit, self.counted)
        eventLoop.execute {
            let session = ClientSession(
                configuration: configuration, contexts: contexts, dialer: dialer, certificate: certificate, clientID: name.text,
                logger: logger, listener: self.state.withLockedValue { $0.listener }, emit: emit, counted: counted,
                eventLoop: eventLoop, ended: ended)
            let isStopping = self.state.withLockedValue { state in
                state.session = NIOLoopBound(session, eventLoop: eventLoop)
                return state.isStopping
            }
            guard !isStopping else { return ended.succeed(nil) }
            session.start()
        }
        let error = (try? await ended.futureResult.get()) ?? nil
        self.state.withLockedValue { $0.session = nil }
        withExtendedLifetime(name) {}
        await inspector?.stop()
        // The last connection may still be on its way out of memory: the program must not end around it.
        try? await loops.shutdownGracefully()
        if let error { throw error }
    }

    /// Shows the requests of HTTP tunnels; without any there is nothing to show. The client goes on without it if need be.
    private func startInspector() async -> InspectorServer? {
        guard let address = self.configuration.inspector, self.configuration.exposures.contains(where: { $0.http != nil }) else {
            return nil
        }
        let api = InspectorAPI(store: InspectorStore()) { [weak self] in self?.replay($0, body: $1, tunnel: $2, of: $3) }
        do {
            let server = try await InspectorServer.start(api, at: address)
            self.follow(api)
            self.emit(.inspector(url: server.url))
            return server
        } catch {
            self.emit(.warning(error as? OperatorError ?? OperatorError(.failure, "there is no inspector: \(error)")))
            return nil
        }
    }

    /// Lets what is under way finish, says good-bye, and ends `run()`.
    public func stop() {
        let session = self.state.withLockedValue { state in
            state.isStopping = true
            return state.session
        }
        if let session { session.eventLoop.execute { session.value.stop() } }
    }

    /// Has somebody follow the requests of HTTP tunnels, from now on; `nil` for nobody: then nothing of them is kept.
    package func follow(_ listener: (any ExchangeListener)?) {
        let session = self.state.withLockedValue { state in
            state.listener = listener
            return state.session
        }
        if let session { session.eventLoop.execute { session.value.listen(listener) } }
    }

    /// Sends a request to the service of an HTTP tunnel as if it had come through the tunnel, with an id of its own; whoever follows
    /// hears of it. Nothing happens while the client does not run.
    ///
    /// - Parameters:
    ///   - body: The whole of it.
    ///   - of: The id of the exchange whose request it is, changed or not.
    package func replay(_ request: RequestMessage, body: ByteBuffer, tunnel: TunnelNumber, of id: String) {
        guard let session = self.state.withLockedValue({ $0.session }) else { return }
        var request = request
        request.id = Randomness.bytes(8).map { String($0 >> 4, radix: 16) + String($0 & 0xF, radix: 16) }.joined()
        request.fields.replaceOrAdd(name: "X-Request-Id", value: request.id)
        request.body = body.readableBytes > 0 || request.body != .none ? .bytes(UInt64(body.readableBytes)) : .none
        request.asksForUpgrade = false
        session.eventLoop.execute { [request] in session.value.replay(request, body: body, tunnel: tunnel, of: id) }
    }

    /// Dials at once where it waits for its next attempt to connect; otherwise nothing happens.
    public func reconnect() {
        let session = self.state.withLockedValue { $0.session }
        if let session { session.eventLoop.execute { session.value.reconnect() } }
    }
}

extension ClientConfiguration {
    func makeDialer() throws -> Dialer {
        Dialer(
            url: self.server, tls: try self.makeContext(), key: self.key, compresses: self.compression,
            proxy: try self.proxy.map(self.makeRoute))
    }

    /// An `https` proxy is believed by its authorities alone: neither a fingerprint nor `--insecure` is about it.
    private func makeRoute(_ proxy: ProxyURL) throws -> ProxyRoute {
        guard proxy.scheme == .https else { return ProxyRoute(proxy, tls: nil) }
        var files: [String] = []
        if case .authorities(let given) = self.trust { files = given }
        do {
            return ProxyRoute(proxy, tls: try TLSContext(client: .authorities(extra: files)))
        } catch {
            throw OperatorError(.badConfiguration, "\(error)", remedy: "Check --ca-file.")
        }
    }

    /// What connections to the server are secured with; `nil` without TLS.
    ///
    /// - Throws: `OperatorError` naming the file that cannot be used.
    func makeContext() throws -> TLSContext? {
        guard self.server.isSecure else { return nil }
        do {
            return try TLSContext(
                client: try self.verification(),
                identity: self.certificate.map { .files(certificateChain: $0.chainFile, privateKey: $0.keyFile) })
        } catch let error as OperatorError {
            throw error
        } catch {
            throw OperatorError(
                .badConfiguration, "\(error)",
                remedy: self.certificate == nil ? "Check --ca-file." : "Check --ca-file, --client-cert and --client-key.")
        }
    }

    /// What OpenSSL is to accept.
    private func verification() throws -> PeerVerification {
        switch self.trust {
        case .anything: return .unverified
        case .fingerprint(let text):
            guard let fingerprint = CertificateFingerprint(text) else {
                throw OperatorError(
                    .badConfiguration, "\(text) is not a fingerprint",
                    remedy: "Write it as the server prints it: sha256: and 64 hexadecimal digits.")
            }
            return .fingerprint(fingerprint)
        case .authorities(let files):
            guard self.server.isLoopback, let own = try self.stateFolder.read(StateFiles.serverCertificate) else {
                return .authorities(extra: files)
            }
            do {
                return .authoritiesOr(fingerprint: try CertificateFingerprint(pem: own), extra: files)
            } catch {
                let file = self.stateFolder.file(StateFiles.serverCertificate)
                throw OperatorError(
                    .badConfiguration, "the certificate of this user's own server in \(file) cannot be used: \(error)",
                    remedy: "Remove it: the server makes a new one when it starts without it.")
            }
        }
    }
}
