import Foundation

/// How much of a proof is done. By default a short form that belongs into every run; the whole of it on demand.
enum Extent {
    /// `WS_TUNNEL_CUT_SECONDS=60`: how long streams are cut every two seconds.
    static let cutSeconds = Self.number("WS_TUNNEL_CUT_SECONDS", 10)
    /// `WS_TUNNEL_SILENCE_SECONDS=10`: how long every packet is dropped.
    static let silenceSeconds = Self.number("WS_TUNNEL_SILENCE_SECONDS", 4)
    /// `WS_TUNNEL_FREEZE_SECONDS=20`: how long a program is stopped.
    static let freezeSeconds = Self.number("WS_TUNNEL_FREEZE_SECONDS", 3)
    /// `WS_TUNNEL_RSYNC_MB=200`: what rsync copies while its connection is cut twenty times.
    static let rsyncMegabytes = Self.number("WS_TUNNEL_RSYNC_MB", 20)
    /// `WS_TUNNEL_READERS=200`: how many streams are never read.
    static let stalledReaders = Self.number("WS_TUNNEL_READERS", 50)
    /// `WS_TUNNEL_BALANCER_MB=100`: what each visitor carries each way through a load balancer, in mebibytes.
    static let balancerMebibytes = Self.number("WS_TUNNEL_BALANCER_MB", 8)
    /// `WS_TUNNEL_BALANCER_IDLE_SECONDS=60`: how long nobody says anything behind a load balancer that cuts after ten.
    static let balancerIdleSeconds = Self.number("WS_TUNNEL_BALANCER_IDLE_SECONDS", 12)
    /// `WS_TUNNEL_BODY_MB=10240`: the longest body through an HTTP tunnel, in mebibytes.
    static let bodyMebibytes = Self.number("WS_TUNNEL_BODY_MB", 1_024)
    /// `WS_TUNNEL_MUTATIONS=200000`: how many mutated requests the front door gets.
    static let mutations = Self.number("WS_TUNNEL_MUTATIONS", 2_000)
    /// `WS_TUNNEL_SEED=1`: where their numbers begin; another number, other requests.
    static let seed = Self.number("WS_TUNNEL_SEED", 1)

    private static func number(_ variable: String, _ usual: Int) -> Int {
        ProcessInfo.processInfo.environment[variable].flatMap { Int($0) } ?? usual
    }
}
