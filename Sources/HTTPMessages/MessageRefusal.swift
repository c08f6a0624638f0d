/// Why a message is not passed on, and the status that says so.
///
/// A refused request is answered and its connection closed: where it ends, and what follows it, cannot be told any more. A refused
/// response (502) ends the connection to the service.
package struct MessageRefusal: Error, Equatable, Sendable, CustomStringConvertible {
    /// 400, 411, 413, 417, 431, 501 or 505 for a request; 502 for a response.
    package let status: UInt16
    /// For people: what is wrong with the message, without the name of who sent it.
    package let sentence: String

    package init(_ status: UInt16, _ sentence: String) {
        self.status = status
        self.sentence = sentence
    }

    package var description: String { "\(self.status): \(self.sentence)" }
}
