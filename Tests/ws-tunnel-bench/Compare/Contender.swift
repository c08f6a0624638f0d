/// What is compared.
enum Contender: String, CaseIterable {
    case ours = "ws-tunnel"
    /// Two HAProxy processes: plain TCP, then TLS, then plain TCP. The same way for every byte, in mature C; but no reverse
    /// tunnel: one TLS connection for each visitor's, and nothing that outlives it.
    case haproxy = "HAProxy"
}

/// Two running programs, and the public port whose visitors they lead to the service.
final class Tunnel {
    let port: Int
    private let processes: [ChildProcess]
    /// Between the two; runs as long as this value is there.
    private let relay: ChildProcess?

    init(port: Int, processes: [ChildProcess], relay: ChildProcess?) {
        self.port = port
        self.processes = processes
        self.relay = relay
    }

    /// Of both programs.
    var processorSeconds: Double { self.processes.map(\.processorSeconds).reduce(0, +) }

    /// Of both programs.
    var residentBytes: Double { self.processes.map(\.residentBytes).reduce(0, +) }

    /// Returns once a byte comes back from the service.
    func waitUntilReady() throws {
        let deadline = Clock.now + Clock.span(20)
        while true {
            try Interruption.check()
            for process in self.processes { try process.checkAlive() }
            do {
                _ = try Crowd(port: self.port, visitors: 1)
                return
            } catch {
                guard Clock.now < deadline else { throw Failure("nothing comes back from port \(self.port): \(error)") }
                Clock.sleep(0.05)
            }
        }
    }
}
