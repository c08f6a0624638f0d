import ArgumentParser
import Console
import Logging
import Synchronization
import TunnelClient
import TunnelTransport

/// `ws-tunnel-client doctor`: where on the way a tunnel fails.
struct DoctorCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "doctor",
        abstract: "Checks the way to the server step by step, and says what to do about the first that fails.",
        discussion: """
            Give it the options of the client that does not work. It looks at DNS, TCP, the proxy, TLS, the upgrade, the \
            key, the round trip, throughput (for a few seconds, through a tunnel of its own), silence and the services of --expose.

            The exit code is 0 if nothing failed, else that with which the client would end.
            """)

    @OptionGroup var client: ClientCommand

    @Option(
        help: ArgumentHelp("Be silent for so long, to see whether the way survives it; such as 70s.", valueName: "time"))
    var idle: DurationArgument?

    func run() async throws {
        let output = self.client.output
        let logger = makeLogger(output.logFormat, output.level)
        let events = EventStream(isOn: output.json)
        do {
            let printer = CheckPrinter(events: events, isJSON: output.json)
            let doctor = Doctor(try self.client.makeConfiguration(logger), idle: self.idle?.duration) { printer.print($0) }
            Program.end(try await doctor.run()?.code.rawValue ?? 0)
        } catch {
            Program.fail(error, logger: logger, events: events)
        }
    }
}

/// A line for each check; the remedy under the first that failed.
private final class CheckPrinter: Sendable {
    private let events: EventStream
    private let isJSON: Bool
    private let failures = Atomic<Int>(0)

    /// As long as the longest name, and two spaces.
    private static let column = 16

    init(events: EventStream, isJSON: Bool) {
        self.events = events
        self.isJSON = isJSON
    }

    func print(_ check: DoctorCheck) {
        self.isJSON ? self.printJSON(check) : self.printLine(check)
    }

    private func printJSON(_ check: DoctorCheck) {
        self.events.send("check") {
            $0.set("name", check.name.rawValue)
            $0.set("outcome", check.outcome.name)
            $0.set("detail", check.detail)
            if let duration = check.duration { $0.set("milliseconds", Int(duration.wholeMilliseconds)) }
            if case .failed(let error) = check.outcome {
                $0.set("code", Int(error.code.rawValue))
                if let remedy = error.remedy { $0.set("remedy", remedy) }
            }
        }
    }

    private func printLine(_ check: DoctorCheck) {
        let name = Self.padded(check.name.rawValue)
        let time = check.duration.map { " (\($0.inMilliseconds))" } ?? ""
        OutputSink.standardOutput.write(line: "\(check.outcome.sign) \(name)\(check.detail)\(time)")
        guard case .failed(let error) = check.outcome, let remedy = error.remedy,
            self.failures.add(1, ordering: .relaxed).newValue == 1
        else { return }
        OutputSink.standardOutput.write(line: "  \(Self.padded(""))\(remedy)")
    }

    private static func padded(_ text: String) -> String { text + String(repeating: " ", count: max(0, self.column - text.count)) }
}

extension DoctorCheck.Outcome {
    fileprivate var name: String {
        switch self {
        case .passed: "passed"
        case .failed: "failed"
        case .skipped: "skipped"
        }
    }

    fileprivate var sign: String {
        switch self {
        case .passed: "✓"
        case .failed: "✗"
        case .skipped: "–"
        }
    }
}
