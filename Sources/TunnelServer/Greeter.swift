internal import Logging
internal import NIOCore
internal import TunnelProtocol
internal import TunnelTransport
internal import WebSocketProtocol

/// Waits for the greeting of a connection whose upgrade was accepted, and takes the connection to the session it belongs to.
///
///     HELLO ──names a session that is here──▶ that session, on its own loop
///       └──anything else──▶ a new session; one of the same client that is dead makes room first
final class Greeter: TunnelConnectionDelegate {
    private let server: ServerContext
    private let eventLoop: any EventLoop
    /// Which of the server's keys the client showed.
    private let key: Int

    /// How long a former session's connection may take to answer before it is taken for dead.
    private static let probeTime = TimeAmount.seconds(1)

    private init(server: ServerContext, eventLoop: any EventLoop, key: Int) {
        self.server = server
        self.eventLoop = eventLoop
        self.key = key
    }

    static func meet(
        _ transport: TransportHandler, compression: PermessageDeflate?, key: Int, eventLoop: any EventLoop, server: ServerContext
    ) {
        _ = TunnelConnection(
            transport: transport, hello: nil, compression: compression,
            keepalive: KeepaliveConfiguration(interval: server.configuration.keepalive),
            eventLoop: eventLoop, delegate: Greeter(server: server, eventLoop: eventLoop, key: key))
    }

    func connection(_ connection: TunnelConnection, greeted hello: Frame.Hello) {
        let key = self.key
        guard let resumption = hello.resumption, let home = self.server.session(resumption.session) else {
            return self.begin(connection, hello)
        }
        guard home.eventLoop !== self.eventLoop else {
            return home.value.take(connection, hello, resumption, key: key)
        }
        connection.move(to: home.eventLoop) { connection in
            home.value.take(connection, hello, resumption, key: key)
        }
    }

    /// A new session, once a former one of the same client is out of the way.
    private func begin(_ connection: TunnelConnection, _ hello: Frame.Hello) {
        guard hello.resumption?.link ?? 0 == 0 else {
            return connection.close(.unknownLink, "the session is not known here")
        }
        let identity = hello.clientID.isEmpty ? nil : ClientIdentity(key: self.key, clientID: hello.clientID)
        guard let identity, let former = self.server.session(of: identity) else {
            return ServerSession.begin(connection, hello, identity, key: self.key, ports: [:], on: self.eventLoop, self.server)
        }
        let (server, eventLoop, key) = (self.server, self.eventLoop, self.key)
        let bound = NIOLoopBound(connection, eventLoop: eventLoop)
        former.eventLoop.execute {
            former.value.yield(within: Self.probeTime) { ports in
                bound.eventLoop.execute {
                    guard bound.value.isOpen else { return }
                    // A client that lives keeps its name; this one goes without.
                    ServerSession.begin(
                        bound.value, hello, ports == nil ? nil : identity, key: key, ports: ports ?? [:], on: eventLoop, server)
                }
            }
        }
    }

    func connection(_ connection: TunnelConnection, welcomed welcome: Frame.Welcome) {
        // A server is never welcomed: the room's state machine refuses the frame.
    }

    func connection(_ connection: TunnelConnection, goesAway goAway: Frame.GoAway) {}

    func connection(_ connection: TunnelConnection, ended end: ConnectionEnd) {
        self.server.logger.log(
            level: end.isFault ? .notice : .info, "a connection ended before its greeting",
            metadata: ["address": "\(connection.transport.remote)", "reason": "\(end.explanation)"])
    }
}

/// Who a client is from one run to the next: its id counts only together with the key it showed.
struct ClientIdentity: Hashable, Sendable {
    /// Which of the server's keys.
    let key: Int
    let clientID: String
}
