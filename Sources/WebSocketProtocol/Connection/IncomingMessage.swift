/// A message on its way in: what its next frame may be, and what its next part is.
struct IncomingMessage: Sendable {
    let kind: MessageKind
    /// Its payload is DEFLATE data; whether that is text shows once it is inflated.
    let isCompressed: Bool
    private var length = 0
    private var emptyFragments = 0
    private var hasBegun = false
    private var text = UTF8Validator()

    init(kind: MessageKind, isCompressed: Bool) {
        self.kind = kind
        self.isCompressed = isCompressed
    }

    /// A frame of the message begins.
    mutating func begin(_ frame: FrameHeader, limits: WebSocketLimits) throws(WebSocketViolation) {
        if frame.payloadLength > 0 || frame.isFinal {
            self.emptyFragments = 0
        } else {
            guard self.emptyFragments < limits.emptyFragments else {
                throw WebSocketViolation(
                    .policyViolation, "more than \(limits.emptyFragments) frames in a row without payload")
            }
            self.emptyFragments += 1
        }
        if let limit = limits.message {
            // Subtracted, as the sum of two lengths from outside could overflow.
            guard frame.payloadLength <= limit - self.length else {
                throw WebSocketViolation(.messageTooBig, "a message of more than \(limit) bytes")
            }
            self.length += frame.payloadLength
        }
    }

    /// Checks the next bytes of a text, unmasked.
    mutating func check(_ bytes: some Sequence<UInt8>, isLast: Bool) throws(WebSocketViolation) {
        guard self.text.append(bytes), !isLast || self.text.isComplete else {
            throw Self.invalidText
        }
    }

    static let invalidText = WebSocketViolation(.invalidFramePayloadData, "a text message is not valid UTF-8")

    /// True the first time.
    mutating func takeIsFirst() -> Bool {
        defer { self.hasBegun = true }
        return !self.hasBegun
    }
}
