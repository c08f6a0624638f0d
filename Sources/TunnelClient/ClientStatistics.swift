/// What a client has done since it started, and what it carries now.
public struct ClientStatistics: Sendable, Equatable {
    // MARK: Since the start

    /// Connections on which a server welcomed this client.
    public package(set) var connections = 0
    /// How often a link lost its connection, and waited for the next with what it carried.
    public package(set) var pauses = 0
    /// Pauses after which the link went on where it stopped.
    public package(set) var resumptions = 0
    /// Bytes sent once more because the connection before may not have delivered them; planned moves count, too.
    public package(set) var repeatedBytes = 0
    /// Sessions that ended though nobody asked for it: their streams were cut off.
    public package(set) var lostSessions = 0
    /// Visitors that arrived, whether or not their service accepted.
    public package(set) var streams = 0
    /// Requests of HTTP tunnels that are over.
    public package(set) var requests = 0

    // MARK: Now

    /// Links of the session, carried by a connection or waiting for one.
    public package(set) var links = 0
    public package(set) var openStreams = 0
    /// Open streams on links that wait for their next connection.
    public package(set) var waitingStreams = 0
    /// Links that wait for their next connection.
    public package(set) var pausedLinks = 0

    public init() {}
}
