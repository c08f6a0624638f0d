import Foundation

/// A forward proxy on loopback, and what of this machine it leads to.
struct ForwardProxy {
    /// This machine's own address beyond loopback, which no client reaches through a proxy; `nil`: it has none.
    static let machineAddress: String? = {
        var first: UnsafeMutablePointer<ifaddrs>?
        guard getifaddrs(&first) == 0 else { return nil }
        defer { freeifaddrs(first) }
        var next = first
        while let entry = next?.pointee {
            next = entry.ifa_next
            guard let address = entry.ifa_addr, address.pointee.sa_family == sa_family_t(AF_INET),
                entry.ifa_flags & UInt32(truncatingIfNeeded: IFF_UP) != 0
            else { continue }
            var text = [CChar](repeating: 0, count: Int(NI_MAXHOST))
            let size = socklen_t(MemoryLayout<sockaddr_in>.size)
            guard getnameinfo(address, size, &text, socklen_t(text.count), nil, 0, Int32(NI_NUMERICHOST)) == 0 else { continue }
            let host = String(decoding: text.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
            if !host.hasPrefix("127.") { return host }
        }
        return nil
    }()

    let program: Program
    let port: UInt16

    /// `127.0.0.1:3128`
    var authority: String { "127.0.0.1:\(self.port)" }

    /// - Parameters:
    ///   - fixture: A file of Fixtures/Proxies, to be filled in.
    ///   - target: The one port that it leads to.
    init(
        on stage: Stage, _ fixture: String, _ program: String, _ arguments: (String) -> [String], target: UInt16,
        values: [String: String] = [:]
    ) throws {
        // Where it drops its privileges, it writes as somebody else.
        chmod(stage.folder, 0o777)
        self.port = try stage.freePort()
        var text = try String(contentsOfFile: "\(Toolchain.package)/Fixtures/Proxies/\(fixture)", encoding: .utf8)
        let all = [
            "PORT": "\(self.port)", "TARGET": "\(target)", "FOLDER": stage.folder, "ADDRESS": Self.machineAddress ?? "",
        ].merging(values) { $1 }
        for (name, value) in all { text = text.replacingOccurrences(of: "@\(name)@", with: value) }
        let file = try stage.file("\(self.port)-\(fixture)", text)
        self.program = try stage.start(Toolchain.find(program), arguments(file))
        let (started, port) = (self.program, self.port)
        try eventually("\(program) does not listen: \(started.log())") {
            guard started.isRunning else { throw Failure("\(program) ended: \(started.log())") }
            return !Service.isFree(port)
        }
    }

    /// A proxy of `Peers/proxy.py`.
    ///
    /// - Parameter port: 0 for any.
    init(on stage: Stage, peer arguments: String..., port: UInt16 = 0) throws {
        self.program = try stage.start(
            "python3", [Toolchain.peer("proxy.py"), Self.machineAddress ?? "127.0.0.1"] + arguments,
            environment: ["PORT": "\(port)"])
        let line = try self.program.line(containing: "port ")
        guard let port = line.split(separator: " ").last.flatMap({ UInt16($0) }) else { throw Failure("no port in \(line)") }
        self.port = port
    }

    static let password = "p@ss:w0rd"

    static func squid(on stage: Stage, to target: UInt16) throws -> ForwardProxy {
        try self.writePasswords(on: stage)
        return try ForwardProxy(on: stage, "squid.conf", "squid", { ["-N", "-f", $0] }, target: target)
    }

    static func apache(on stage: Stage, to target: UInt16) throws -> ForwardProxy {
        try self.writePasswords(on: stage)
        // -X: one process, so that nothing of it outlives the test.
        return try ForwardProxy(on: stage, "apache.conf", "apache2", { ["-X", "-f", $0] }, target: target)
    }

    /// Its password has no characters that its configuration could not hold.
    static func tinyproxy(on stage: Stage, to target: UInt16) throws -> ForwardProxy {
        try ForwardProxy(on: stage, "tinyproxy.conf", "tinyproxy", { ["-d", "-c", $0] }, target: target)
    }

    static func dante(on stage: Stage, to target: UInt16) throws -> ForwardProxy {
        try ForwardProxy(on: stage, "danted.conf", "danted", { ["-f", $0] }, target: target, values: ["METHOD": "none"])
    }

    /// Its users are the system's, so it gets a user of its own in a mount namespace, where it sees other files than we do.
    static func danteWithLogin(on stage: Stage, to target: UInt16) throws -> ForwardProxy {
        let hash = try stage.run("openssl", "passwd", "-6", self.password).output()
        let line = String(decoding: hash, as: UTF8.self).trimmingCharacters(in: .newlines)
        let users = try String(contentsOfFile: "/etc/passwd", encoding: .utf8)
        let files = [
            try stage.file("passwd", "\(users)user:x:54321:65534::/nonexistent:/usr/sbin/nologin\n"),
            try stage.file("shadow", "user:\(line):19000:0:99999:7:::\n"),
        ]
        chmod(files[1], 0o600)
        let script = "mount --bind \(files[0]) /etc/passwd && mount --bind \(files[1]) /etc/shadow && exec \"$@\""
        let danted = try Toolchain.find("danted")
        return try ForwardProxy(
            on: stage, "danted.conf", "unshare", { ["--mount", "sh", "-c", script, "sh", danted, "-f", $0] }, target: target,
            values: ["METHOD": "username"])
    }

    /// Whether this user may make a mount namespace, as root mostly may, and in a container mostly not.
    static let mayMount: Bool = {
        guard getuid() == 0, let program = try? Program("unshare", ["--mount", "mount", "--bind", "/etc/passwd", "/etc/passwd"])
        else { return false }
        return (try? program.ended()) == .code(0)
    }()

    /// TLS in front of another proxy.
    func secured(on stage: Stage, _ identity: (certificate: String, key: String)) throws -> ForwardProxy {
        let parts = try [identity.certificate, identity.key].map { try String(contentsOfFile: $0, encoding: .utf8) }
        _ = try stage.file("proxy.pem", parts.joined(separator: "\n"))
        return try ForwardProxy(on: stage, "tls.cfg", "haproxy", { ["-db", "-f", $0] }, target: self.port)
    }

    private static func writePasswords(on stage: Stage) throws {
        let hash = try stage.run("openssl", "passwd", "-apr1", self.password)
        _ = try stage.file("htpasswd", "user:\(String(decoding: try hash.output(), as: UTF8.self))")
    }
}
