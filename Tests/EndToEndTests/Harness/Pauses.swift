import Foundation
import Testing

/// What a client said about one loss of its connection.
struct Pause {
    /// `paused`, once for the loss and once for each attempt that failed.
    var announcements: [Event]
    var resumed: Event?

    var milliseconds: Int { self.resumed?.number("pausedMilliseconds") ?? .max }
}

extension Program {
    /// A client's pauses so far, in their order.
    ///
    /// - Throws: When one of them ended the session instead, or a resumption came without a pause.
    func pauses(since mark: Mark = 0) throws -> [Pause] {
        var pauses: [Pause] = []
        for event in self.events("paused", "resumed", "lost", since: mark) {
            switch event.name {
            case "paused" where pauses.last.map { $0.resumed == nil } == true:
                pauses[pauses.count - 1].announcements.append(event)
            case "paused":
                pauses.append(Pause(announcements: [event]))
            case "resumed" where pauses.last.map { $0.resumed == nil } == true:
                pauses[pauses.count - 1].resumed = event
            default:
                throw Failure("\(self.name) said \(event.name) after \(pauses.count) pauses: \(event["message"] ?? "")")
            }
        }
        return pauses
    }

    /// Waits for the end of so many pauses.
    @discardableResult
    func pausesEnded(_ count: Int, since mark: Mark = 0, within limit: TimeInterval = Patience.usual) throws -> [Pause] {
        func mended() throws -> Int { try self.pauses(since: mark).count { $0.resumed != nil } }
        try eventually("\(self.name) resumed \((try? mended()) ?? 0) of \(count) times", within: limit) { try mended() >= count }
        return try self.pauses(since: mark)
    }
}
