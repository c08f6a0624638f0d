/// What a server has done since it started, and what it keeps now.
public struct ServerStatistics: Sendable, Equatable {
    // MARK: Since the start

    /// How often a link lost its connection, and waited for its client with what it carried.
    public internal(set) var pauses = 0
    /// Connections that carried a link on, after a pause or, in a planned move, without one.
    public internal(set) var resumptions = 0
    /// Bytes sent once more because the connection before may not have delivered them.
    public internal(set) var repeatedBytes = 0
    /// Sessions that ended though neither side had announced it: their streams were cut off.
    public internal(set) var lostSessions = 0

    // MARK: Now

    public internal(set) var sessions = 0
    /// Sessions with a link that waits for its next connection.
    public internal(set) var pausedSessions = 0

    public init() {}
}
