import Foundation

/// A network of its own for the programs of one test, with nothing in it but loopback, where packets can be dropped.
///
/// It has to be made by root; `isPermitted` says whether it can be.
final class Namespace {
    /// What runs a program inside.
    let entrance: [String]
    private let name: String

    /// Whether this machine lets this user make one: as root, with `ip` and `nft`.
    static let isPermitted: Bool = {
        guard getuid() == 0, let namespace = try? Namespace() else { return false }
        defer { namespace.close() }
        return (try? namespace.drop(tcp: 1)) != nil
    }()

    init() throws {
        self.name = "ws-tunnel-\(ProcessInfo.processInfo.processIdentifier)-\(UInt32.random(in: .min ... .max))"
        self.entrance = [try Toolchain.find("ip"), "netns", "exec", self.name]
        try Self.run("ip", ["netns", "add", self.name])
        try self.run("ip", "link", "set", "lo", "up")
    }

    /// Every packet from and to a TCP port disappears from now on.
    func drop(tcp port: UInt16) throws {
        try self.run("nft", "add table inet loss; add chain inet loss input { type filter hook input priority 0; }")
        try self.run("nft", "add rule inet loss input tcp dport \(port) drop; add rule inet loss input tcp sport \(port) drop")
    }

    /// Packets arrive again.
    func heal() throws { try self.run("nft", "delete table inet loss") }

    func close() { try? Self.run("ip", ["netns", "delete", self.name]) }

    private func run(_ program: String, _ arguments: String...) throws {
        try Self.run(program, arguments, within: self.entrance)
    }

    private static func run(_ program: String, _ arguments: [String], within entrance: [String] = []) throws {
        let program = try Program(program, arguments, within: entrance)
        guard try program.ended() == .code(0) else {
            throw Failure("\(program.name) \(arguments.joined(separator: " ")): \(program.log().joined(separator: "\n"))")
        }
    }
}
