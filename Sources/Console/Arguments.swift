internal import ArgumentParser
package import Logging
internal import TunnelTransport

/// A span of time as people write it: `500ms`, `20s`, `5m`, `1h`; a bare number means seconds.
package struct DurationArgument: ExpressibleByArgument, Sendable, CustomStringConvertible {
    package let duration: Duration
    package let description: String

    package init?(argument: String) {
        guard let duration = Duration(text: argument) else { return nil }
        self.duration = duration
        self.description = argument
    }

    package var defaultValueDescription: String { self.description }
}

/// A span of time, or `off`.
package struct OptionalDurationArgument: ExpressibleByArgument, Sendable, CustomStringConvertible {
    package static let off = OptionalDurationArgument(duration: nil, description: "off")

    package let duration: Duration?
    package let description: String

    private init(duration: Duration?, description: String) {
        self.duration = duration
        self.description = description
    }

    /// Shorter than a second, a connection would hardly be there before it is replaced.
    package init?(argument: String) {
        guard argument != "off" else {
            self = .off
            return
        }
        guard let time = DurationArgument(argument: argument), time.duration >= .seconds(1) else { return nil }
        self.init(duration: time.duration, description: argument)
    }

    package var defaultValueDescription: String { self.description }
}

/// A number of bytes as people write it: `256MiB`, `1GiB`, `64M`; a bare number means bytes, and so does every unit a power of 1,024.
package struct SizeArgument: ExpressibleByArgument, Sendable, CustomStringConvertible {
    package let bytes: Int
    package let description: String

    package init?(argument: String) {
        let units = [("KiB", 10), ("MiB", 20), ("GiB", 30), ("K", 10), ("M", 20), ("G", 30)]
        let unit = units.first { argument.hasSuffix($0.0) } ?? ("", 0)
        // 1 << 30 of the largest unit is beyond any memory, and within 63 bits.
        guard let count = Int(argument.dropLast(unit.0.count)), (0...1 << 30).contains(count) else { return nil }
        self.bytes = count << unit.1
        self.description = argument
    }

    package var defaultValueDescription: String { self.description }
}

/// A listener that this version does not have yet: it can only be off, so that scripts may already say so.
package enum OffArgument: String, ExpressibleByArgument, CaseIterable, Sendable {
    case off
}

/// Something that is on or off.
package enum SwitchArgument: String, ExpressibleByArgument, CaseIterable, Sendable {
    case on, off
}

/// What both programs have in common on their command lines.
package struct OutputOptions: ParsableArguments {
    @Flag(help: "Write one JSON object per event to standard output.")
    package var json = false

    @Option(help: ArgumentHelp("How log lines look: text, logfmt or json.", valueName: "format"))
    package var logFormat = LogFormat.text

    @Option(help: ArgumentHelp("The least important lines to log.", valueName: "level"))
    package var logLevel = LogLevelArgument.info

    package init() {}

    package var level: Logger.Level { Logger.Level(rawValue: self.logLevel.rawValue) ?? .info }
}

package enum LogLevelArgument: String, ExpressibleByArgument, CaseIterable, Sendable {
    case trace, debug, info, notice, warning, error, critical
}
