import Glibc

/// Where the programs lie that are started.
struct Programs {
    let server: String
    let client: String
    let haproxy: String
    /// This one.
    let bench: String

    /// - Parameter folder: Where `ws-tunnel-server` and `ws-tunnel-client` are; by default beside this program.
    init(folder: String?) throws {
        var path = [CChar](repeating: 0, count: Int(PATH_MAX) + 1)
        guard readlink("/proc/self/exe", &path, Int(PATH_MAX)) > 0 else { throw Failure("/proc is not mounted") }
        self.bench = String(decoding: path.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
        let folder = folder ?? String(self.bench[..<(self.bench.lastIndex(of: "/") ?? self.bench.endIndex)])
        self.server = "\(folder)/ws-tunnel-server"
        self.client = "\(folder)/ws-tunnel-client"
        for program in [self.server, self.client] where access(program, X_OK) != 0 {
            throw Failure(
                """
                there is no \(program)
                  Build it with swift build -c release --static-swift-stdlib, or pass --programs FOLDER.
                """)
        }
        self.haproxy = try Self.find("haproxy", in: "haproxy")
    }

    /// - Parameter package: What brings it on Debian.
    static func find(_ name: String, in package: String) throws -> String {
        guard let path = Self.find(name) else {
            throw Failure(
                """
                \(name) is missing, with which this compares
                  Install it: apt-get install \(package)
                """)
        }
        return path
    }

    /// In PATH, or where Debian has the programs that only root finds there; nil when it is in neither.
    static func find(_ name: String) -> String? {
        let path = getenv("PATH").map { String(cString: $0) } ?? "/usr/bin:/bin"
        return (path.split(separator: ":").map(String.init) + ["/usr/sbin", "/sbin"])
            .map { "\($0)/\(name)" }.first { access($0, X_OK) == 0 }
    }
}

extension Programs {
    /// As it names itself.
    var haproxyVersion: String {
        let process = try? ChildProcess([self.haproxy, "-v"], log: "/dev/null")
        let line = (try? process?.line(within: 5)) ?? "HAProxy"
        return line.split(separator: " ").prefix(3).joined(separator: " ")
    }
}
