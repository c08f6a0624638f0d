internal import Intermediaries
internal import NIOCore
internal import NIOPosix
internal import OpenSSL
internal import TunnelProtocol
public import TunnelTransport

/// One thing the doctor looked at.
public struct DoctorCheck: Sendable {
    /// In the order in which they are looked at.
    public enum Name: String, Sendable {
        case dns, tcp, proxy, tls, upgrade, authentication, ping, throughput, idle, service
    }

    public enum Outcome: Sendable {
        case passed
        case failed(OperatorError)
        /// Not looked at; the check's detail says why.
        case skipped
    }

    public let name: Name
    public let outcome: Outcome
    /// What was found, in half a sentence; empty where the outcome says it.
    public let detail: String
    /// How long it took; `nil` where nothing was done.
    public let duration: Duration?
}

/// Goes the way of a client step by step, and says of each step how it went: to find out where a tunnel fails.
public final class Doctor: Sendable {
    private let configuration: ClientConfiguration
    private let idle: Duration?
    private let report: @Sendable (DoctorCheck) -> Void

    /// Round trips that are measured.
    private static let pings = 5
    /// For the answer to a PING.
    private static let answerTime = TimeAmount.seconds(10)

    /// - Parameters:
    ///   - configuration: As for a client; nothing need be exposed.
    ///   - idle: How long to be silent, to see whether the way survives it; `nil`: not at all.
    ///   - report: Called with each check as it ends, on any thread.
    public init(_ configuration: ClientConfiguration, idle: Duration?, report: @escaping @Sendable (DoctorCheck) -> Void) {
        self.configuration = configuration
        self.idle = idle
        self.report = report
    }

    /// - Returns: What the first check that failed found; `nil` if all is well.
    /// - Throws: `OperatorError` when the configuration cannot work.
    public func run() async throws -> OperatorError? {
        try self.configuration.validate()
        let dialer = try self.configuration.makeDialer()
        let loops = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        let failure = await self.look(dialer, on: loops.next())
        try? await loops.shutdownGracefully()
        return failure
    }

    private func look(_ dialer: Dialer, on eventLoop: any EventLoop) async -> OperatorError? {
        var failure = await self.lookUpName(on: eventLoop)
        var visit: DoctorVisit?
        if failure == nil {
            let made = DoctorVisit(pingInterval: self.idle.map { $0 + .seconds(10) })
            visit = made
            failure = await self.connect(dialer, made, on: eventLoop)
        } else {
            self.skip([.tcp] + self.steps, because: "not reached")
        }
        let steps = [(DoctorCheck.Name.ping, self.measureRoundTrip), (.throughput, self.measureThroughput), (.idle, self.stayIdle)]
        for (name, step) in steps {
            if failure == nil, let visit {
                failure = await step(visit)
            } else {
                self.skip([name], because: "not reached")
            }
        }
        await visit?.leave()
        // The service is on the other side: it is looked at whatever the way to the server is like.
        let serviceFailure = await self.lookAtServices(on: eventLoop)
        return failure ?? serviceFailure
    }

    // MARK: The way to the server

    private func lookUpName(on eventLoop: any EventLoop) async -> OperatorError? {
        let (host, port) = self.configuration.proxy.map { ($0.host, $0.port) }
            ?? (self.configuration.server.host, self.configuration.server.port)
        guard Endpoint.Address(text: host) == nil else {
            self.skip([.dns], because: "\(host) is an address")
            return nil
        }
        let start = Instant.now
        do {
            let endpoint = try await NameLookup.endpoint(host, port: port, on: eventLoop).get()
            self.pass(.dns, "\(host) is \(endpoint.address)", since: start)
            return nil
        } catch {
            return self.fail(.dns, Failures(self.configuration).explain(dialling: error).error, since: start)
        }
    }

    /// What follows the TCP connection, to the greeting.
    private var steps: [DoctorCheck.Name] { [.proxy, .tls, .upgrade, .authentication] }

    private func connect(_ dialer: Dialer, _ visit: DoctorVisit, on eventLoop: any EventLoop) async -> OperatorError? {
        let start = Instant.now
        let (progress, steps) = AsyncStream.makeStream(of: (DialProgress, Instant).self)
        let ended = visit.dial(dialer, on: eventLoop) { steps.yield(($0, .now)) }
        ended.whenComplete { _ in steps.finish() }
        var last = start
        var next = [DoctorCheck.Name.tcp] + self.steps
        func passed(_ name: DoctorCheck.Name, _ detail: String, _ now: Instant) {
            // What is not on this way has not been looked at.
            while let skipped = next.first, skipped != name {
                next.removeFirst()
                self.skip([skipped], because: skipped == .proxy ? "none" : "ws:// is not encrypted")
            }
            next.removeFirst()
            self.report(DoctorCheck(name: name, outcome: .passed, detail: detail, duration: now - last))
            last = now
        }
        for await (step, now) in progress {
            switch step {
            case .connected(let address): passed(.tcp, "connected to \(address)", now)
            case .proxied:
                passed(.proxy, "\(self.configuration.proxy.map { "\($0)" } ?? "it") leads to the server", now)
            case .secured(let parameters, let certificate): passed(.tls, Self.describe(parameters, certificate), now)
            case .upgraded: passed(.upgrade, "a ws-tunnel-server accepts it", now)
            }
        }
        do {
            let welcome = try await ended.get()
            passed(.authentication, "welcomed by \(welcome.agent)", .now)
            return nil
        } catch {
            let failures = Failures(self.configuration)
            let explained = (error as? ConnectionEnd).map(failures.explain) ?? failures.explain(dialling: error).error
            // A server that refuses the key understood the upgrade.
            if explained.code == .keyRefused, next.first != .authentication { passed(.upgrade, "a ws-tunnel-server answers", .now) }
            if self.configuration.proxy == nil, next.first == .proxy {
                next.removeFirst()
                self.skip([.proxy], because: "none")
            }
            if !self.configuration.server.isSecure, next.first == .tls {
                next.removeFirst()
                self.skip([.tls], because: "ws:// is not encrypted")
            }
            let failure = self.fail(next.removeFirst(), explained, since: last)
            self.skip(next, because: "not reached")
            return failure
        }
    }

    private static func describe(_ parameters: TLSConnection.Parameters?, _ certificate: CertificateSummary?) -> String {
        var parts: [String] = []
        if let parameters { parts.append("\(parameters.version), \(parameters.cipher)") }
        if let certificate {
            parts.append("\(certificate.subject), issued by \(certificate.issuer), valid until \(certificate.validUntil)")
        }
        return parts.joined(separator: "; ")
    }

    // MARK: The connection

    private func measureRoundTrip(_ visit: DoctorVisit) async -> OperatorError? {
        let start = Instant.now
        var measured: [Duration] = []
        do {
            for _ in 0..<Self.pings { measured.append(try await visit.ping(within: Self.answerTime).get()) }
        } catch {
            return self.fail(.ping, self.lost(error), since: start)
        }
        measured.sort()
        let (shortest, longest) = (measured[0], measured[measured.count - 1])
        self.pass(.ping, "round trip \(shortest.inMilliseconds), at most \(longest.inMilliseconds)", since: start)
        return nil
    }

    private func stayIdle(_ visit: DoctorVisit) async -> OperatorError? {
        guard let idle else {
            self.skip([.idle], because: "only with --idle 70s")
            return nil
        }
        let start = Instant.now
        let outcome = await visit.stayIdle(for: idle)
        let seconds = "\(idle.wholeMilliseconds / 1_000) s"
        switch outcome {
        case .heard:
            self.report(
                DoctorCheck(
                    name: .idle, outcome: .skipped, detail: "the server is of another version and does not keep silent",
                    duration: Instant.now - start))
            return nil
        case .silent:
            guard (try? await visit.ping(within: Self.answerTime).get()) == nil else {
                self.pass(.idle, "the way survives \(seconds) of silence", since: start)
                return nil
            }
            // Noticed only by asking: nothing had said that the connection was gone.
            return self.judge(cutAfter: idle, "drops a connection that is silent for \(seconds), without a word", since: start)
        case .ended(let after, let end):
            return self.judge(
                cutAfter: after, "cuts a connection that is silent for \(after.wholeMilliseconds / 1_000) s: \(end.explanation)",
                since: start)
        }
    }

    /// A way that cuts what is silent is no trouble if PINGs come sooner.
    private func judge(cutAfter silence: Duration, _ what: String, since start: Instant) -> OperatorError? {
        let interval = self.configuration.keepalive
        let seconds = "\(interval.wholeMilliseconds / 1_000) s"
        guard silence <= interval * 1.1 else {
            self.pass(.idle, "something on the way \(what); a PING every \(seconds) keeps it open", since: start)
            return nil
        }
        return self.fail(
            .idle,
            OperatorError(
                .unreachable, "something on the way \(what)",
                remedy: "Have PINGs sent sooner, with --keepalive \(max(1, silence.wholeMilliseconds / 2_000))s: every \(seconds) is too late."),
            since: start)
    }

    private func measureThroughput(_ visit: DoctorVisit) async -> OperatorError? {
        let start = Instant.now
        do {
            let speed = try await visit.measureThroughput(server: self.configuration.server)
            self.pass(
                .throughput, "\(Self.rate(speed.down)) to a visitor, \(Self.rate(speed.up)) from one, by way of \(speed.address)",
                since: start)
        } catch {
            // A visitor's way is not the client's: nothing is wrong with the client if it is closed to it.
            let why = (error as? ThroughputFailure).map(\.explanation) ?? self.lost(error).message
            self.report(DoctorCheck(name: .throughput, outcome: .skipped, detail: why, duration: Instant.now - start))
        }
        return nil
    }

    private func lost(_ error: any Error) -> OperatorError {
        if let end = error as? ConnectionEnd { return Failures(self.configuration).explain(end) }
        return OperatorError(
            .unreachable, "\(self.configuration.server) did not answer a PING within 10 s",
            remedy: "Something on the way holds messages back; some proxies do until their buffer is full.")
    }

    // MARK: The service

    private func lookAtServices(on eventLoop: any EventLoop) async -> OperatorError? {
        guard !self.configuration.exposures.isEmpty else {
            self.skip([.service], because: "none is named with --expose")
            return nil
        }
        var first: OperatorError?
        for exposure in self.configuration.exposures {
            let start = Instant.now
            do {
                try await ServiceConnector(exposure.service).probe(on: eventLoop).get()
                self.pass(.service, "\(exposure.target) accepts connections", since: start)
            } catch {
                let failure = error as? ServiceFailure ?? ServiceFailure(code: .internalError, explanation: "\(error)")
                let explained = Failures(self.configuration).explain(failure, exposure)
                let error = self.fail(
                    .service, OperatorError(explained.code, explained.message, remedy: "Start it, or correct --expose."), since: start)
                first = first ?? error
            }
        }
        return first
    }

    // MARK: Reports

    private func pass(_ name: DoctorCheck.Name, _ detail: String, since start: Instant) {
        self.report(DoctorCheck(name: name, outcome: .passed, detail: detail, duration: Instant.now - start))
    }

    private func fail(_ name: DoctorCheck.Name, _ error: OperatorError, since start: Instant) -> OperatorError {
        self.report(DoctorCheck(name: name, outcome: .failed(error), detail: error.message, duration: Instant.now - start))
        return error
    }

    private func skip(_ names: [DoctorCheck.Name], because why: String) {
        for name in names { self.report(DoctorCheck(name: name, outcome: .skipped, detail: why, duration: nil)) }
    }

    private static func rate(_ bytesPerSecond: Double) -> String {
        let tenths = Int(bytesPerSecond / 100_000)
        return "\(tenths / 10).\(tenths % 10) MB/s"
    }
}
