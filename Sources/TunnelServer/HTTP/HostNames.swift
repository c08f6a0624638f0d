internal import HTTPMessages
internal import NIOConcurrencyHelpers
internal import NIOCore
internal import TunnelProtocol
internal import TunnelTransport

/// Which tunnel a host name leads to. Shared by all event loops.
///
///     free ──claim──▶ owned, by one tunnel or by the members of a group ──the last one is released──▶ away ──10 min──▶ free
///                                          ▲                                                         │
///                                          └───────────────────────────claim─────────────────────────┘
///
/// A name has one owner: a key and, where several share it, the group they named. Sessions give their names back when they end, so
/// a name is kept for a client that may still come back.
final class HostNames: Sendable {
    /// What a host name leads to.
    enum Destination {
        case tunnel(NamedTunnel)
        /// It led to a tunnel a while ago.
        case away
        case unknown
    }

    private struct Name {
        let key: Int
        let group: String
        let kind: Frame.TunnelKind
        var members: [NamedTunnel]
        /// With whom the next search begins.
        var turn = 0
    }

    private struct State {
        var names: [String: Name] = [:]
        /// When each name was given back, oldest first.
        var released: [(name: String, at: NIODeadline)] = []
        var away: Set<String> = []
        /// Tunnels of kind TLS.
        var tlsTunnels = 0
    }

    /// How long visitors hear that a tunnel's client is away, rather than that there is no such tunnel: a deployment that went wrong
    /// is noticed within that.
    private static let memory = TimeAmount.minutes(10)
    /// Names that are remembered: whoever opens and closes tunnels all day pushes out only other names that are gone.
    private static let remembered = 1_024

    private let state = NIOLockedValueBox(State())

    /// - Parameters:
    ///   - key: Whose the tunnel's name will be.
    ///   - group: Others of the same key that give the same one share the name; empty: nobody.
    /// - Returns: Whether the name is the tunnel's now; if not, it belongs to somebody else.
    func claim(for tunnel: NamedTunnel, key: Int, group: String) -> Bool {
        let name = tunnel.name
        return self.state.withLockedValue { state in
            if let owner = state.names[name] {
                guard !group.isEmpty, owner.group == group, owner.key == key, owner.kind == tunnel.kind else { return false }
                state.names[name]?.members.append(tunnel)
            } else {
                state.names[name] = Name(key: key, group: group, kind: tunnel.kind, members: [tunnel])
                state.away.remove(name)
            }
            if tunnel.kind == .tls { state.tlsTunnels += 1 }
            return true
        }
    }

    /// The tunnel is no more.
    func release(_ tunnel: NamedTunnel, now: NIODeadline = .now()) {
        let name = tunnel.name
        self.state.withLockedValue { state in
            guard let index = state.names[name]?.members.firstIndex(where: { $0 === tunnel }) else { return }
            state.names[name]?.members.remove(at: index)
            if tunnel.kind == .tls { state.tlsTunnels -= 1 }
            guard state.names[name]?.members.isEmpty == true else { return }
            state.names[name] = nil
            state.released.removeAll { $0.name == name }
            state.released.append((name, now))
            state.away.insert(name)
            if state.released.count > Self.remembered { state.away.remove(state.released.removeFirst().name) }
        }
    }

    /// Whether a host is or was a tunnel's.
    func knows(_ host: String) -> Bool {
        self.state.withLockedValue { $0.names[host] != nil || $0.away.contains(host) }
    }

    /// The tunnel for the next request to a host: of a group's members the one that is well and has the fewest requests under way.
    /// It is counted there until `NamedTunnel.requestEnded()`.
    ///
    /// - Parameter tried: Those that could not answer it. Another is given while there is one.
    func destination(of host: String, tried: [NamedTunnel] = [], now: NIODeadline = .now()) -> Destination {
        self.state.withLockedValue { state in
            if let name = state.names[host], name.kind == .http {
                let choice = name.members.count == 1 && tried.isEmpty ? 0 : Self.choice(name, tried)
                guard let choice else { return .unknown }
                if name.members.count > 1 { state.names[host]?.turn = (choice + 1) % name.members.count }
                name.members[choice].requestBegan()
                return .tunnel(name.members[choice])
            }
            guard state.away.contains(host), let released = state.released.last(where: { $0.name == host }) else { return .unknown }
            return released.at + Self.memory > now ? .away : .unknown
        }
    }

    /// The event loop of the tunnel that `destination(of:)` would give now. Nothing is counted.
    func home(of host: String) -> (any EventLoop)? {
        self.state.withLockedValue { state in
            guard let name = state.names[host], name.kind == .http else { return nil }
            return Self.choice(name, []).map { name.members[$0].home }
        }
    }

    /// Whether any connection may ask for a tunnel by the name in its ClientHello.
    var hasTLSTunnels: Bool { self.state.withLockedValue { $0.tlsTunnels > 0 } }

    /// The tunnel for the next TLS connection that asks for a host.
    func tlsTunnel(of host: String) -> NamedTunnel? {
        self.state.withLockedValue { state in
            guard let name = state.names[host], name.kind == .tls, let choice = Self.choice(name, []) else { return nil }
            state.names[host]?.turn = (choice + 1) % name.members.count
            return name.members[choice]
        }
    }

    private static func choice(_ name: Name, _ tried: [NamedTunnel]) -> Int? {
        let count = name.members.count
        return (0..<count).lazy.map { ($0 + name.turn) % count }
            .filter { index in !tried.contains { $0 === name.members[index] } }
            .min { name.members[$0].reluctance < name.members[$1].reluctance }
    }
}
