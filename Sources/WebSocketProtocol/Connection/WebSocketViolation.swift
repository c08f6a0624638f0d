/// A rule the peer broke, and the code with which the connection is closed for it.
package struct WebSocketViolation: Error, Equatable, Sendable {
    package let closeCode: CloseCode
    /// Says precisely what was wrong; short enough for a Close frame's reason.
    package let sentence: String

    package init(_ closeCode: CloseCode, _ sentence: String) {
        self.closeCode = closeCode
        self.sentence = sentence
    }

    static func protocolError(_ sentence: String) -> WebSocketViolation {
        WebSocketViolation(.protocolError, sentence)
    }
}
