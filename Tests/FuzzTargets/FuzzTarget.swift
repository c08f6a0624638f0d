/// A decoder under attack: bytes of a stranger's in, and what must hold whatever they are.
///
/// A target is one file that extends this type, its name in `all`, and `Fixtures/Fuzz/NAME.hex` with what to begin from.
/// The same function serves the fuzzer (`Tests/fuzz NAME`) and the tests, which try every fixture in every run.
package struct FuzzTarget: Sendable {
    package let name: String
    /// The longest input worth making, in bytes: past every bound of the decoder that an input can reach.
    package let longest: Int
    package let attack: @Sendable (inout FuzzInput) throws -> Void

    package static let all: [FuzzTarget] = [
        .webSocketFrames, .openingHandshake, .inflate, .tunnelFrames, .resumption, .connectAnswer, .socksAnswer, .proxyHeader,
        .forwarded, .httpRequest, .httpResponse, .httpRecords, .clientHello, .tunnelPolicy,
        .inspectorJSON,
    ]

    /// - Throws: `Broken`, when something does not hold. A trap is a find as well.
    package func attack(with bytes: [UInt8]) throws {
        var input = FuzzInput(bytes)
        try self.attack(&input)
    }
}

/// A property that does not hold, in a sentence.
package struct Broken: Error, CustomStringConvertible {
    package let description: String

    init(_ description: String) {
        self.description = description
    }
}

func require(_ condition: Bool, _ what: @autoclosure () -> String) throws(Broken) {
    if !condition { throw Broken(what()) }
}

func requireEqual<Value: Equatable>(_ one: Value, _ other: Value, _ what: @autoclosure () -> String) throws(Broken) {
    if one != other { throw Broken("\(what()):\n  \(one)\n  \(other)") }
}
