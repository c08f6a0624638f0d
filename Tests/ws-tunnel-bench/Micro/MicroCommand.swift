import ArgumentParser
import Glibc

/// The parts by themselves, in this process and on one core.
struct MicroCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "micro", abstract: "Measures masking, frames, the multiplexer, TLS and HTTP's rules by themselves.")

    @Option(help: ArgumentHelp("How long each measurement takes.", valueName: "time"))
    var seconds = 1.0

    @Option(help: ArgumentHelp("Write the figures to a file too.", valueName: "file"))
    var json: String?

    func validate() throws {
        guard 0.01...60 ~= self.seconds else { throw ValidationError("--seconds is 0.01 to 60.") }
    }

    func run() throws {
        if let warning = Machine.warning { Output.say("warning: \(warning)", to: 2) }
        let machine = Machine()
        let meter = Meter(seconds: self.seconds / Double(Meter.rounds))
        let figures = try MaskingBenchmark.figures(meter) + FrameBenchmark.figures(meter)
            + MultiplexerBenchmark.figures(meter) + TLSBenchmark.figures(meter) + HTTPBenchmark.figures(meter)

        var table = Table(["", "unit", "measured", "needed"], firstFigure: 2)
        for figure in figures {
            table.add([figure.label, figure.unit, figure.value.brief, figure.needed.map(\.brief) ?? ""])
        }
        print("\(machine.sentence); one core\n")
        print(table.text)
        if let path = self.json {
            let list = figures.map {
                JSON.object([("name", .text($0.name)), ("unit", .text($0.unit)), ("value", .number($0.value))])
            }
            try JSON.object([("machine", machine.json), ("seconds", .number(self.seconds)), ("figures", .list(list))])
                .write(to: path)
        }
    }
}

/// One line of the table. More is better throughout.
struct MicroFigure {
    /// In the JSON.
    let name: String
    let label: String
    let unit: String
    let value: Double
    /// What it has to be at least, so that it is never what a tunnel waits for.
    var needed: Double?

    /// - Parameter bytesPerSecond: Shown in GB/s.
    static func speed(_ name: String, _ label: String, _ bytesPerSecond: Double, needed: Double? = nil) -> Self {
        Self(name: name, label: label, unit: "GB/s", value: bytesPerSecond / 1e9, needed: needed)
    }

    /// - Parameter perSecond: Shown in millions.
    static func rate(_ name: String, _ label: String, _ perSecond: Double) -> Self {
        Self(name: name, label: label, unit: "million/s", value: perSecond / 1e6)
    }
}
