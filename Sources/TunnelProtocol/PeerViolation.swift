/// The peer broke the protocol. The connection it came on is closed with `code`; nobody else notices.
package struct PeerViolation: Error, Equatable, Sendable, CustomStringConvertible {
    package enum Rule: String, Sendable {
        case malformedFrame = "malformed frame"
        case unknownFrame = "unknown frame"
        case unexpectedFrame = "unexpected frame"
        case flowControl = "flow control"
        case streamState = "stream state"
        case limit = "limit"
        case acknowledgement = "acknowledgement"
    }

    package let rule: Rule
    package let explanation: String

    package init(_ rule: Rule, _ explanation: String) {
        self.rule = rule
        self.explanation = explanation
    }

    package var description: String {
        "\(self.rule.rawValue): \(self.explanation)"
    }
}
