import Glibc
import OpenSSL

/// What a comparison stands on: a service, credentials, a folder for the while, and tunnels as they are needed.
final class Stage {
    private let programs: Programs
    private let folder: String
    private let service: ChildProcess
    private let servicePort: Int
    /// Visitors at once, at most.
    private let visitors: Int
    private var tunnels = 0
    private let key: String

    /// Ours by preference. OpenSSL's own first choice, and so HAProxy's, costs more: TLS_AES_256_GCM_SHA384.
    static let suite = "TLS_AES_128_GCM_SHA256"

    private var certificate: String { "\(self.folder)/certificate.pem" }
    private var privateKey: String { "\(self.folder)/key.pem" }

    init(programs: Programs, visitors: Int) throws {
        self.programs = programs
        self.visitors = visitors
        self.folder = try Folder.make()
        self.key = (0..<32).map { _ in String(UInt8.random(in: 0...15), radix: 16) }.joined()
        self.service = try ChildProcess([programs.bench, "load", "backend"], log: "\(self.folder)/service.log")
        self.servicePort = Int(try Readings(line: self.service.line(within: 10))[.port])

        let (certificate, privateKey) = try SelfSignedCertificate.make(names: ["localhost", "127.0.0.1"])
        try TextFile.write(certificate, to: self.certificate)
        try TextFile.write(privateKey, to: self.privateKey)
        // HAProxy wants both in one file.
        try TextFile.write(certificate + privateKey, to: "\(self.folder)/both.pem")
    }

    /// Removes the folder. What was started ends with the values that hold it.
    func clear() {
        self.service.kill()
        Folder.remove(self.folder)
    }

    // MARK: Load

    /// Begins a load; `arguments` are those of one of the `load` subcommands.
    func begin(_ arguments: [String], on tunnel: Tunnel) throws -> ChildProcess {
        try ChildProcess(
            [self.programs.bench, "load"] + arguments + ["--port", "\(tunnel.port)"], log: "\(self.folder)/load.log")
    }

    /// Runs a load to its end.
    func load(_ arguments: [String], on tunnel: Tunnel) throws -> Readings {
        let load = try self.begin(arguments, on: tunnel)
        let readings = try Readings(line: load.line(within: 120))
        load.letGo()
        load.waitForEnd()
        return readings
    }

    // MARK: Tunnels

    /// - Parameter oneWayDelay: Seconds that the connection between the two programs is long.
    func start(_ contender: Contender, oneWayDelay: Double? = nil) throws -> Tunnel {
        self.tunnels += 1
        let folder = "\(self.folder)/\(self.tunnels)"
        guard mkdir(folder, 0o700) == 0 else { throw Failure("cannot make \(folder): \(Socket.lastError)") }
        let (publicPort, innerPort) = (try Socket.freePort(), try Socket.freePort())
        let far = try self.startFarSide(contender, port: innerPort, publicPort: publicPort, folder)
        try far.waitUntilListening(on: innerPort)
        var relay: ChildProcess?
        var nearPort = innerPort
        if let oneWayDelay {
            let process = try ChildProcess(
                [self.programs.bench, "load", "delay", "--target", "\(innerPort)", "--seconds", "\(oneWayDelay)"],
                log: "\(folder)/relay.log")
            nearPort = Int(try Readings(line: process.line(within: 10))[.port])
            relay = process
        }
        let near = try self.startNearSide(contender, port: nearPort, publicPort: publicPort, folder)
        let tunnel = Tunnel(port: publicPort, processes: [far, near], relay: relay)
        try tunnel.waitUntilReady()
        return tunnel
    }

    /// The program that listens for the other one.
    private func startFarSide(_ contender: Contender, port: Int, publicPort: Int, _ folder: String) throws -> ChildProcess {
        switch contender {
        case .ours:
            return try ChildProcess(
                [
                    self.programs.server, "--listen", "127.0.0.1:\(port)", "--bind", "127.0.0.1",
                    "--tls-cert", self.certificate, "--tls-key", self.privateKey, "--state-dir", "\(folder)/server",
                    "--log-level", "warning",
                ], environment: ["SOCKETS_API_KEY": self.key], log: "\(folder)/server.log")
        case .haproxy:
            return try self.startHAProxy(
                """
                  bind 127.0.0.1:\(port) ssl crt \(self.folder)/both.pem ssl-min-ver TLSv1.3 ciphersuites \(Self.suite) backlog 4096
                  server service 127.0.0.1:\(self.servicePort)
                """, "\(folder)/far")
        }
    }

    /// The program that connects to the other one, at `port` or behind it.
    private func startNearSide(_ contender: Contender, port: Int, publicPort: Int, _ folder: String) throws -> ChildProcess {
        switch contender {
        case .ours:
            return try ChildProcess(
                [
                    self.programs.client, "--server", "wss://127.0.0.1:\(port)", "--ca-file", self.certificate,
                    "--expose", "127.0.0.1:\(self.servicePort)", "--remote-port", "\(publicPort)",
                    "--state-dir", "\(folder)/client", "--log-level", "warning",
                ], environment: ["SOCKETS_API_KEY": self.key], log: "\(folder)/client.log")
        case .haproxy:
            return try self.startHAProxy(
                """
                  bind 127.0.0.1:\(publicPort) backlog 4096
                  server far 127.0.0.1:\(port) ssl verify none ssl-min-ver TLSv1.3 ciphersuites \(Self.suite)
                """, "\(folder)/near")
        }
    }

    private func startHAProxy(_ lines: String, _ path: String) throws -> ChildProcess {
        try TextFile.write(
            """
            global
              maxconn \(self.visitors + 1_000)
            defaults
              mode tcp
              timeout connect 5s
              timeout client 1h
              timeout server 1h
            listen tunnel
            \(lines)

            """, to: path + ".cfg")
        return try ChildProcess([self.programs.haproxy, "-db", "-f", path + ".cfg"], log: path + ".log")
    }
}
