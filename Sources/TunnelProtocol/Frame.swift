package import struct NIOCore.ByteBuffer

/// One frame: one binary message of the WebSocket.
///
///     0x00 ... 0x0F   the connection's own: neither numbered nor replayed
///     0x10 ... 0x1F   tunnels of the session      numbered, in order, each exactly once
///     0x20 ... 0x3F   streams of the link         likewise
///     0x40 ...        frames of later versions that must not be ignored
///
/// DATA is not here: its payload is delivered in parts and never held as a whole (`FrameDecoder`, `DataHeader`). The larger
/// frames are rare and `indirect`: values of this type are moved about with every DATA too.
package enum Frame: Equatable, Sendable {
    indirect case hello(Hello)
    indirect case welcome(Welcome)
    case acknowledgement(count: UInt64)
    case ping(UInt64)
    case pong(UInt64)
    case goAway(GoAway)

    indirect case listen(Listen)
    indirect case listening(Listening)
    indirect case refused(Refused)
    case unlisten(TunnelNumber)
    /// Whether a tunnel's service is well, as far as its client knows.
    case health(TunnelNumber, isWell: Bool)

    indirect case open(Open)
    case opened(StreamID)
    case finish(StreamID)
    case reset(StreamID, ResetCode)
    case credit(StreamID, bytes: UInt64)

    /// A connection's first frame, from the client.
    package struct Hello: Equatable, Sendable {
        package var agent: String
        package var terms: Terms
        /// The session to continue; `nil` for a new one.
        package var resumption: Resumption?
        /// What the client calls itself from one run to the next; empty when it does not say.
        package var clientID: String
        /// How often it would like the server's PINGs at most, in milliseconds; `nil`: as often as the server does by itself.
        package var pingIntervalMilliseconds: UInt64?

        package init(
            agent: String, terms: Terms, resumption: Resumption? = nil, clientID: String = "", pingIntervalMilliseconds: UInt64? = nil
        ) {
            self.agent = agent
            self.terms = terms
            self.resumption = resumption
            self.clientID = clientID
            self.pingIntervalMilliseconds = pingIntervalMilliseconds
        }
    }

    /// What a client says to continue a session.
    package struct Resumption: Equatable, Sendable {
        package var session: SessionID
        package var token: ResumeToken
        /// Frames of the link received so far.
        package var received: UInt64
        /// Which of the session's links; one that the session does not have yet joins it.
        package var link: UInt64
        /// Higher with each HELLO for this link, so that one that arrives late is known for what it is.
        package var attempt: UInt64

        package init(session: SessionID, token: ResumeToken, received: UInt64, link: UInt64 = 0, attempt: UInt64 = 0) {
            self.session = session
            self.token = token
            self.received = received
            self.link = link
            self.attempt = attempt
        }
    }

    /// The server's answer to HELLO.
    package struct Welcome: Equatable, Sendable {
        package var agent: String
        package var terms: Terms
        package var session: SessionID
        /// What the next HELLO must show to continue this session.
        package var token: ResumeToken
        /// Frames of the link received so far; 0 in a new session.
        package var received: UInt64
        /// How long the session outlives its connection, in milliseconds; 0: not at all.
        package var resumeWindowMilliseconds: UInt64

        package init(
            agent: String, terms: Terms, session: SessionID, token: ResumeToken, received: UInt64 = 0,
            resumeWindowMilliseconds: UInt64 = 0
        ) {
            self.agent = agent
            self.terms = terms
            self.session = session
            self.token = token
            self.received = received
            self.resumeWindowMilliseconds = resumeWindowMilliseconds
        }
    }

    /// What a side allows its peer on every link of the session.
    package struct Terms: Equatable, Sendable {
        /// Bytes the peer may send on a new stream before it gets its first CREDIT.
        package var initialWindow: UInt64
        /// Streams the peer may have open at once.
        package var streams: UInt64

        package init(
            initialWindow: UInt64 = UInt64(Limits.Implementation.initialWindowBytes),
            streams: UInt64 = UInt64(Limits.Implementation.streams)
        ) {
            self.initialWindow = initialWindow
            self.streams = streams
        }
    }

    package struct GoAway: Equatable, Sendable {
        package var reason: GoAwayReason
        /// How long the sender still keeps the connection, in milliseconds.
        package var graceMilliseconds: UInt64

        package init(reason: GoAwayReason, graceMilliseconds: UInt64) {
            self.reason = reason
            self.graceMilliseconds = graceMilliseconds
        }
    }

    /// The client asks for a tunnel.
    package struct Listen: Equatable, Sendable {
        package var tunnel: TunnelNumber
        package var kind: TunnelKind
        /// The port it would like; `nil` for any.
        package var port: UInt16?
        /// Whether any other port will do when that one is not free.
        package var portIsRequired: Bool
        /// What the user calls it; for logs.
        package var label: String
        /// For a tunnel with a name: a label below the server's domain, or with dots a whole host name; empty for any.
        package var hostname: String
        /// Whether any other name will do when that one is not free.
        package var hostnameIsRequired: Bool
        /// Clients that give the same group share one name; empty: it is this client's alone.
        package var group: String
        /// Whom the server lets pass, in the encoding of the room that knows HTTP; `nil`: everybody.
        package var policy: ByteBuffer?

        package init(
            tunnel: TunnelNumber, kind: TunnelKind, port: UInt16? = nil, portIsRequired: Bool = false,
            label: String = "", hostname: String = "", hostnameIsRequired: Bool = false, group: String = "",
            policy: ByteBuffer? = nil
        ) {
            self.tunnel = tunnel
            self.kind = kind
            self.port = port
            self.portIsRequired = portIsRequired
            self.label = label
            self.hostname = hostname
            self.hostnameIsRequired = hostnameIsRequired
            self.group = group
            self.policy = policy
        }
    }

    /// What arrives at a tunnel's public address.
    package struct TunnelKind: RawRepresentable, Hashable, Sendable {
        package let rawValue: UInt64

        package init(rawValue: UInt64) {
            self.rawValue = rawValue
        }

        /// TCP connections to a port of the tunnel's own.
        package static let tcp = TunnelKind(rawValue: 0)
        /// HTTP requests for a host name; its streams carry messages instead of a visitor's bytes.
        package static let http = TunnelKind(rawValue: 1)
        /// TLS connections whose ClientHello asks for a host name; they pass through as they are.
        package static let tls = TunnelKind(rawValue: 2)
    }

    /// The server opened the tunnel.
    package struct Listening: Equatable, Sendable {
        package var tunnel: TunnelNumber
        package var id: TunnelID
        package var url: String
        package var port: UInt16?

        package init(tunnel: TunnelNumber, id: TunnelID, url: String, port: UInt16?) {
            self.tunnel = tunnel
            self.id = id
            self.url = url
            self.port = port
        }
    }

    /// The server does not open the tunnel.
    package struct Refused: Equatable, Sendable {
        package var tunnel: TunnelNumber
        package var code: RefusalCode
        package var message: String

        package init(tunnel: TunnelNumber, code: RefusalCode, message: String) {
            self.tunnel = tunnel
            self.code = code
            self.message = message
        }
    }

    /// A visitor arrived. Data may follow at once, up to the receiver's initial window.
    package struct Open: Equatable, Sendable {
        package var stream: StreamID
        package var tunnel: TunnelNumber
        /// Where the visitor comes from.
        package var visitor: Endpoint?
        /// The public address the visitor connected to.
        package var destination: Endpoint?

        package init(stream: StreamID, tunnel: TunnelNumber, visitor: Endpoint?, destination: Endpoint? = nil) {
            self.stream = stream
            self.tunnel = tunnel
            self.visitor = visitor
            self.destination = destination
        }
    }
}

/// The first byte of each frame.
enum FrameType {
    static let hello: UInt8 = 0x01
    static let welcome: UInt8 = 0x02
    static let acknowledgement: UInt8 = 0x03
    static let ping: UInt8 = 0x04
    static let pong: UInt8 = 0x05
    static let goAway: UInt8 = 0x06

    static let listen: UInt8 = 0x10
    static let listening: UInt8 = 0x11
    static let refused: UInt8 = 0x12
    static let unlisten: UInt8 = 0x13
    static let health: UInt8 = 0x14

    static let open: UInt8 = 0x20
    static let opened: UInt8 = 0x21
    static let data: UInt8 = 0x22
    static let finish: UInt8 = 0x23
    static let reset: UInt8 = 0x24
    static let credit: UInt8 = 0x25
}
