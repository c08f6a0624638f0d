/// Something the person who runs the program has to know and can mend: a sentence with the name they typed, and a remedy.
public struct OperatorError: Error, Sendable, Equatable, CustomStringConvertible {
    /// What went wrong, for scripts: also the exit code of the programs (sysexits.h where it has one).
    public enum Code: Int32, Sendable {
        case failure = 1
        /// The server, or a proxy on the way to it, cannot be reached (EX_UNAVAILABLE).
        case unreachable = 69
        /// The wanted port or name belongs to somebody else (EX_CANTCREAT).
        case taken = 73
        /// The server does not accept the key (EX_NOPERM).
        case keyRefused = 77
        /// The configuration cannot work (EX_CONFIG).
        case badConfiguration = 78
    }

    public let code: Code
    public let message: String
    public let remedy: String?

    public init(_ code: Code, _ message: String, remedy: String? = nil) {
        self.code = code
        self.message = message
        self.remedy = remedy
    }

    public var description: String {
        self.remedy.map { "\(self.message)\n  \($0)" } ?? self.message
    }
}
