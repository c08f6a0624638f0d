import Glibc
import OpenSSL

/// Two running programs, and where their visitors come in.
final class HTTPPair {
    /// For wrk.
    let url: String
    private let processes: [ChildProcess]

    init(url: String, processes: [ChildProcess]) {
        self.url = url
        self.processes = processes
    }

    /// Of both programs.
    var processorSeconds: Double { self.processes.map(\.processorSeconds).reduce(0, +) }
}

/// What the comparison of HTTP stands on: nginx with its page, credentials, and pairs in front of it.
final class HTTPStage {
    enum Ground: String, CaseIterable {
        /// HTTPS toward visitors, and TLS between the two programs.
        case secure = "HTTPS"
        /// No TLS anywhere.
        case plain = "HTTP"
    }

    /// The name of our tunnel, for which every visitor asks.
    static let host = "bench.localhost"

    private let programs: Programs
    private let folder: String
    private let nginx: ChildProcess
    private let servicePort: Int
    private let key: String
    private let isBare: Bool
    private var count = 0

    private var certificate: String { "\(self.folder)/certificate.pem" }
    private var privateKey: String { "\(self.folder)/key.pem" }

    /// - Parameter isBare: Whether our client does without its request log and its inspector.
    init(programs: Programs, isBare: Bool) throws {
        self.programs = programs
        self.isBare = isBare
        let path = try Programs.find("nginx", in: "nginx-light")
        let (folder, port) = (try Folder.make(), try Socket.freePort())
        self.folder = folder
        self.servicePort = port
        self.key = (0..<32).map { _ in String(UInt8.random(in: 0...15), radix: 16) }.joined()
        guard mkdir("\(folder)/page", 0o755) == 0 else { throw Failure("cannot make \(folder)/page: \(Socket.lastError)") }
        try TextFile.write(String(repeating: "0123456789abcde\n", count: 64), to: "\(folder)/page/1k.txt")
        try TextFile.write(
            """
            daemon off;
            master_process off;
            pid \(folder)/nginx.pid;
            error_log stderr;
            events { worker_connections 4096; }
            http {
              access_log off;
              open_file_cache max=10;
              keepalive_requests 1000000000;
              client_body_temp_path \(folder)/body;
              proxy_temp_path \(folder)/proxy;
              fastcgi_temp_path \(folder)/fastcgi;
              uwsgi_temp_path \(folder)/uwsgi;
              scgi_temp_path \(folder)/scgi;
              server { listen 127.0.0.1:\(port) backlog=4096; root \(folder)/page; }
            }

            """, to: "\(folder)/nginx.conf")
        self.nginx = try ChildProcess([path, "-e", "stderr", "-c", "\(folder)/nginx.conf"], log: "\(folder)/nginx.log")
        try self.nginx.waitUntilListening(on: port)
        let (certificate, privateKey) = try SelfSignedCertificate.make(names: ["localhost", "127.0.0.1"])
        try TextFile.write(certificate, to: self.certificate)
        try TextFile.write(privateKey, to: self.privateKey)
        try TextFile.write(certificate + privateKey, to: "\(folder)/both.pem")
    }

    func clear() {
        self.nginx.kill()
        Folder.remove(self.folder)
    }

    func start(_ contender: Contender, _ ground: Ground) throws -> HTTPPair {
        self.count += 1
        let folder = "\(self.folder)/\(self.count)"
        guard mkdir(folder, 0o700) == 0 else { throw Failure("cannot make \(folder): \(Socket.lastError)") }
        let port = try Socket.freePort()
        let processes = try contender == .ours ? self.ours(ground, port, folder) : self.haproxy(ground, port, folder)
        return HTTPPair(url: "\(ground == .secure ? "https" : "http")://127.0.0.1:\(port)/1k.txt", processes: processes)
    }

    private func ours(_ ground: Ground, _ port: Int, _ folder: String) throws -> [ChildProcess] {
        let security = ground == .secure ? ["--tls-cert", self.certificate, "--tls-key", self.privateKey] : ["--plain"]
        let server = try ChildProcess(
            [
                self.programs.server, "--listen", "127.0.0.1:\(port)", "--bind", "127.0.0.1", "--state-dir", "\(folder)/server",
                "--log-level", "warning",
            ] + security, environment: ["SOCKETS_API_KEY": self.key], log: "\(folder)/server.log")
        try server.waitUntilListening(on: port)
        let trust = ground == .secure ? ["--server", "wss://127.0.0.1:\(port)", "--ca-file", self.certificate] : ["--server", "ws://127.0.0.1:\(port)"]
        let bare = self.isBare ? ["--inspect", "off", "--log-requests", "off"] : []
        let client = try ChildProcess(
            [
                self.programs.client, "--expose", "http://127.0.0.1:\(self.servicePort)", "--subdomain", "bench", "--state-dir", "\(folder)/client",
                "--log-level", "warning",
            ] + trust + bare, environment: ["SOCKETS_API_KEY": self.key], log: "\(folder)/client.log")
        while !(try client.line(within: 20)).contains(Self.host) {}
        return [server, client]
    }

    private func haproxy(_ ground: Ground, _ port: Int, _ folder: String) throws -> [ChildProcess] {
        let inner = try Socket.freePort()
        let listens = ground == .secure ? " ssl crt \(self.folder)/both.pem ssl-min-ver TLSv1.3 ciphersuites \(Stage.suite)" : ""
        let connects = ground == .secure ? " ssl verify none ssl-min-ver TLSv1.3 ciphersuites \(Stage.suite)" : ""
        let far = try self.haproxy(
            """
              bind 127.0.0.1:\(inner)\(listens) backlog 4096
              server service 127.0.0.1:\(self.servicePort)
            """, "\(folder)/far")
        try far.waitUntilListening(on: inner)
        let near = try self.haproxy(
            """
              bind 127.0.0.1:\(port)\(listens) backlog 4096
              option forwardfor
              server far 127.0.0.1:\(inner)\(connects)
            """, "\(folder)/near")
        try near.waitUntilListening(on: port)
        return [far, near]
    }

    private func haproxy(_ lines: String, _ path: String) throws -> ChildProcess {
        try TextFile.write(
            """
            global
              maxconn 4000
            defaults
              mode http
              timeout connect 5s
              timeout client 1h
              timeout server 1h
              http-reuse always
            listen tunnel
            \(lines)

            """, to: path + ".cfg")
        return try ChildProcess([self.programs.haproxy, "-db", "-f", path + ".cfg"], log: path + ".log")
    }
}
