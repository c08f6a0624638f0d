import Glibc
import Synchronization

/// SIGINT and SIGTERM: the run ends at its next step, so that what it started and wrote is cleared away.
enum Interruption: Error {
    case signal(Int32)

    private static let received = Atomic<Int32>(0)

    static func trap() {
        var action = sigaction()
        action.__sigaction_handler.sa_handler = { Interruption.received.store($0, ordering: .relaxed) }
        // Without SA_RESTART: whoever waits is to look.
        sigaction(SIGINT, &action, nil)
        sigaction(SIGTERM, &action, nil)
    }

    static func check() throws {
        let number = Self.received.load(ordering: .relaxed)
        if number != 0 { throw Self.signal(number) }
    }
}
