import Foundation

/// The programs under test and the tools around them.
enum Toolchain {
    /// The folder of `ws-tunnel-server` and `ws-tunnel-client`: `WS_TUNNEL_BIN`, else this package's debug build.
    static let programs = ProcessInfo.processInfo.environment["WS_TUNNEL_BIN"] ?? "\(Self.package)/.build/debug"

    /// Whether the programs under test were built with a sanitizer, which changes speed and memory.
    static let isSanitized = ProcessInfo.processInfo.environment["WS_TUNNEL_SANITIZED"] == "1"

    static let package = #filePath.components(separatedBy: "/Tests/EndToEndTests/")[0]

    static func peer(_ name: String) -> String { "\(Self.package)/Tests/EndToEndTests/Peers/\(name)" }

    /// Which Debian package has the programs that tests start.
    private static let packages = [
        "apache2": "apache2-bin", "caddy": "caddy", "chromium-headless-shell": "chromium-headless-shell", "curl": "curl", "danted": "dante-server", "haproxy": "haproxy", "ip": "iproute2",
        "nc.openbsd": "netcat-openbsd", "ncat": "ncat", "nft": "nftables", "nginx": "nginx-light", "openssl": "openssl", "python3": "python3",
        "rsync": "rsync", "squid": "squid", "ssh": "openssh-client", "ssh-keygen": "openssh-client", "sshd": "openssh-server",
        "telnet": "telnet", "testssl": "testssl.sh", "tinyproxy": "tinyproxy-bin", "unshare": "util-linux",
    ]

    /// - Returns: The program's path.
    /// - Throws: With the command that installs it: a test that silently does nothing would be taken for one that passed.
    static func find(_ program: String) throws -> String {
        guard !program.hasPrefix("/") else {
            guard access(program, X_OK) == 0 else { throw Failure("there is no \(program); build the programs first, or set WS_TUNNEL_BIN") }
            return program
        }
        let path = ProcessInfo.processInfo.environment["PATH"] ?? "/usr/bin:/bin"
        for folder in path.split(separator: ":").map(String.init) + ["/usr/sbin", "/sbin"]
        where access("\(folder)/\(program)", X_OK) == 0 {
            return "\(folder)/\(program)"
        }
        let package = Self.packages[program].map { "; install it with: sudo apt-get install \($0)" } ?? ""
        throw Failure("\(program) is missing\(package)")
    }
}
