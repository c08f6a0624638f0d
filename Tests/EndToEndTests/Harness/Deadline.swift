import Foundation

/// What a test expected and did not get, with the programs' last words.
struct Failure: Error, CustomStringConvertible {
    let description: String

    init(_ description: String) {
        self.description = description
    }
}

/// How long a test waits for something that should come at once. A wait ends as soon as it has what it waits for, so a
/// generous limit costs time in failing tests only.
enum Patience {
    static let usual = Self.slowness * 15
    /// For gigabytes and for whole programs from outside.
    static let long = Self.slowness * 120

    /// Programs built with a sanitizer run several times slower.
    static let slowness: TimeInterval = Toolchain.isSanitized ? 4 : 1
}

/// Looks again until `condition` holds: for facts that nobody announces, such as a port that is free again.
func eventually(
    _ what: @autoclosure () -> String, within limit: TimeInterval = Patience.usual, _ condition: () throws -> Bool
) throws {
    let end = Date() + limit
    while true {
        if try condition() { return }
        guard Date() < end else { throw Failure("after \(Int(limit)) s: \(what())") }
        usleep(20_000)
    }
}
