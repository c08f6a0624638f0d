/// Why a stream ended before both its directions finished (RESET).
package struct ResetCode: RawRepresentable, Hashable, Sendable, CustomStringConvertible {
    package let rawValue: UInt64

    package init(rawValue: UInt64) {
        self.rawValue = rawValue
    }

    /// The socket beyond was reset, or closed while bytes for it were still on their way.
    package static let connectionReset = ResetCode(rawValue: 0)
    /// Nothing listens where the service should be.
    package static let refused = ResetCode(rawValue: 1)
    /// The service's host or network cannot be reached, or its name does not resolve.
    package static let unreachable = ResetCode(rawValue: 2)
    /// The service did not accept the connection in time.
    package static let timedOut = ResetCode(rawValue: 3)
    /// OPEN named a tunnel the receiver does not have (any more).
    package static let noSuchTunnel = ResetCode(rawValue: 4)
    /// The receiver of OPEN holds as many streams as it wants to.
    package static let tooManyStreams = ResetCode(rawValue: 5)
    /// The receiver is shutting down.
    package static let goingAway = ResetCode(rawValue: 6)
    /// The receiver failed for a reason of its own, such as running out of descriptors.
    package static let internalError = ResetCode(rawValue: 7)
    /// A rule of the receiver forbids this stream.
    package static let policy = ResetCode(rawValue: 8)

    package var description: String {
        switch self {
        case .connectionReset: "connection reset"
        case .refused: "connection refused"
        case .unreachable: "unreachable"
        case .timedOut: "timed out"
        case .noSuchTunnel: "no such tunnel"
        case .tooManyStreams: "too many streams"
        case .goingAway: "going away"
        case .internalError: "internal error"
        case .policy: "not allowed"
        default: "reset code \(self.rawValue)"
        }
    }
}

/// Why the server does not open a tunnel (REFUSED).
package struct RefusalCode: RawRepresentable, Hashable, Sendable {
    package let rawValue: UInt64

    package init(rawValue: UInt64) {
        self.rawValue = rawValue
    }

    /// The port or name belongs to somebody else.
    package static let taken = RefusalCode(rawValue: 0)
    /// The server's rules do not allow this port, name or kind.
    package static let notAllowed = RefusalCode(rawValue: 1)
    /// No port of the server's range is free, or the session has as many tunnels as it may.
    package static let exhausted = RefusalCode(rawValue: 2)
    /// The server does not know this kind of tunnel.
    package static let unknownKind = RefusalCode(rawValue: 3)
    /// The server failed for a reason of its own.
    package static let internalError = RefusalCode(rawValue: 4)
}

/// Why one side will soon close a connection (GOAWAY).
package struct GoAwayReason: RawRepresentable, Hashable, Sendable, CustomStringConvertible {
    package let rawValue: UInt64

    package init(rawValue: UInt64) {
        self.rawValue = rawValue
    }

    /// The sender is shutting down.
    package static let shutdown = GoAwayReason(rawValue: 0)
    /// This connection reached its age; a new one may be opened at once.
    package static let connectionAge = GoAwayReason(rawValue: 1)
    /// A newer connection took this one's place.
    package static let replaced = GoAwayReason(rawValue: 2)

    package var description: String {
        switch self {
        case .shutdown: "shutting down"
        case .connectionAge: "the connection reached its age"
        case .replaced: "a newer connection took its place"
        default: "reason \(self.rawValue)"
        }
    }
}
