import ArgumentParser
import Glibc

/// The other side of a measurement in a process of its own, so that its processor time is nobody else's. Started by
/// `compare`; says what it measured on standard output, in one line.
struct LoadCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "load", abstract: "One kind of visitors, for one measurement.", shouldDisplay: false,
        subcommands: [
            BackendCommand.self, DelayCommand.self, BulkCommand.self, RoundTripsCommand.self, ArrivalsCommand.self,
            CrowdCommand.self, StallCommand.self,
        ])

    /// Says something to whoever started this process, at once.
    static func say(_ readings: Readings) {
        Output.say(readings.line, to: 1)
    }

    /// Until whoever started this process lets it go, or is gone.
    static func waitForEnd() {
        var byte: UInt8 = 0
        while read(0, &byte, 1) > 0 {}
    }
}

extension Direction: ExpressibleByArgument {}

struct BackendCommand: ParsableCommand {
    static let configuration = CommandConfiguration(commandName: "backend", abstract: "The service.")

    func run() throws {
        let backend = try Backend()
        LoadCommand.say([.port: Double(backend.port)])
        try backend.run()
    }
}

struct DelayCommand: ParsableCommand {
    static let configuration = CommandConfiguration(commandName: "delay", abstract: "A long way to a port.")

    @Option(help: "The port to lead to.") var target: Int
    @Option(help: "Seconds, one way.") var seconds: Double

    func run() throws {
        let relay = try DelayRelay(target: self.target, delay: self.seconds)
        LoadCommand.say([.port: Double(relay.port)])
        try relay.run()
    }
}

struct MeasureOptions: ParsableArguments {
    @Option(help: "The public port.") var port: Int
    @Option(help: "Seconds to measure.") var seconds = 1.0
    @Option(help: "Seconds before.") var warmUp = 0.3
}

struct BulkCommand: ParsableCommand {
    static let configuration = CommandConfiguration(commandName: "bulk", abstract: "Bytes one way.")

    @OptionGroup var options: MeasureOptions
    @Option var direction = Direction.down
    @Option var streams = 1

    func run() throws {
        let bulk = try Bulk(port: self.options.port, direction: self.direction, streams: self.streams)
        LoadCommand.say(try bulk.run(warmUp: self.options.warmUp, seconds: self.options.seconds))
    }
}

struct RoundTripsCommand: ParsableCommand {
    static let configuration = CommandConfiguration(commandName: "round-trips", abstract: "64 bytes there and back.")

    @OptionGroup var options: MeasureOptions
    @Option var visitors = 1

    func run() throws {
        let trips = try RoundTrips(port: self.options.port, visitors: self.visitors)
        LoadCommand.say(try trips.run(warmUp: self.options.warmUp, seconds: self.options.seconds))
    }
}

struct ArrivalsCommand: ParsableCommand {
    static let configuration = CommandConfiguration(commandName: "arrivals", abstract: "Visitors who come and leave.")

    @OptionGroup var options: MeasureOptions
    @Option var atOnce = 1

    func run() throws {
        let arrivals = try Arrivals(port: self.options.port, atOnce: self.atOnce)
        LoadCommand.say(try arrivals.run(seconds: self.options.seconds))
    }
}

struct CrowdCommand: ParsableCommand {
    static let configuration = CommandConfiguration(commandName: "crowd", abstract: "Visitors who stay and say nothing.")

    @OptionGroup var options: MeasureOptions
    @Option var visitors: Int

    func run() throws {
        let crowd = try Crowd(port: self.options.port, visitors: self.visitors)
        LoadCommand.say([.count: Double(self.visitors)])
        LoadCommand.waitForEnd()
        withExtendedLifetime(crowd) {}
    }
}

struct StallCommand: ParsableCommand {
    static let configuration = CommandConfiguration(commandName: "stall", abstract: "A stream nobody reads.")

    @OptionGroup var options: MeasureOptions
    @Option var direction = Direction.down

    func run() throws {
        let visitor = try StalledVisitor(port: self.options.port, direction: self.direction)
        LoadCommand.say([.count: 1])
        try visitor.run()
    }
}
