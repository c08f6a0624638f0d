extension WebSocketConnection {
    /// Which end of the connection we are.
    package enum Role: Sendable {
        case client
        case server

        /// RFC 6455 §5.1: a client masks every frame it sends, a server none.
        package var masks: Bool { self == .client }
    }
}
