/// What a server tells the program it runs in.
public enum ServerEvent: Sendable, Equatable {
    /// Connections are accepted from now on.
    case ready(listen: ListenAddress, fingerprint: String?)
    case clientConnected(session: String, address: String, agent: String)
    case tunnelOpened(id: String, url: String, session: String)
    case tunnelClosed(id: String, url: String, session: String)
    /// A client's connection is lost; its session waits for another.
    case clientPaused(session: String, streams: Int, reason: String)
    /// The session goes on.
    case clientResumed(session: String, streams: Int, repeatedBytes: Int)
    /// The session is over.
    case clientDisconnected(session: String, reason: String)
}
