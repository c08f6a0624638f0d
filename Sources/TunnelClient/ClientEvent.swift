public import TunnelTransport

/// What a client tells the program it runs in.
public enum ClientEvent: Sendable {
    /// The server welcomed us.
    case connected(server: String)
    case tunnel(id: String, url: String, exposure: Exposure)
    /// The connection is lost, or could not be had again yet; so many open streams wait for the next attempt.
    case paused(OperatorError, streams: Int, retryIn: Duration, attempt: Int)
    /// The session goes on where it stopped, after so long a pause.
    case resumed(streams: Int, repeatedBytes: Int, after: Duration)
    /// There is no session, or no more: what streams it had are ended. Another attempt follows; the number of this one is 0 when
    /// none has failed, but the time for it is over.
    case lost(OperatorError, retryIn: Duration, attempt: Int)
    /// A visitor came, and the service did not accept. Told once, until it does again.
    case serviceUnavailable(Exposure, OperatorError)
    case serviceAvailable(Exposure)
    /// A tunnel cannot be opened for now; the others go on, and it is tried again.
    case tunnelRefused(Exposure, OperatorError)
    case warning(OperatorError)
    /// The requests of HTTP tunnels can be looked at there.
    case inspector(url: String)
    /// A request of an HTTP tunnel is over. There may be tens of thousands a second.
    indirect case request(ClientRequest)
}
