/// Why a WebSocket is closed (RFC 6455 §7.4, and the IANA registry of close codes for 1012 to 1014).
package struct CloseCode: RawRepresentable, Hashable, Sendable, CustomStringConvertible {
    package static let normalClosure = CloseCode(rawValue: 1000)
    package static let goingAway = CloseCode(rawValue: 1001)
    package static let protocolError = CloseCode(rawValue: 1002)
    package static let unsupportedData = CloseCode(rawValue: 1003)
    /// Never on the wire: a Close frame came without a code.
    package static let noStatusReceived = CloseCode(rawValue: 1005)
    /// Never on the wire: the connection ended without a Close frame.
    package static let abnormalClosure = CloseCode(rawValue: 1006)
    package static let invalidFramePayloadData = CloseCode(rawValue: 1007)
    package static let policyViolation = CloseCode(rawValue: 1008)
    package static let messageTooBig = CloseCode(rawValue: 1009)
    package static let mandatoryExtension = CloseCode(rawValue: 1010)
    package static let internalServerError = CloseCode(rawValue: 1011)
    package static let serviceRestart = CloseCode(rawValue: 1012)
    package static let tryAgainLater = CloseCode(rawValue: 1013)
    package static let badGateway = CloseCode(rawValue: 1014)
    /// Never on the wire: TLS failed.
    package static let tlsHandshake = CloseCode(rawValue: 1015)

    package let rawValue: UInt16

    package init(rawValue: UInt16) {
        self.rawValue = rawValue
    }

    /// True for a code that a Close frame may carry: those defined for it, and the ranges for libraries (3000 to 3999)
    /// and for private use (4000 to 4999), RFC 6455 §7.4.2.
    package var mayTravel: Bool {
        switch self.rawValue {
        case 1000...1003, 1007...1014, 3000...4999: true
        default: false
        }
    }

    package var description: String { String(self.rawValue) }
}
