import ArgumentParser
import Glibc

/// Ours and a pair of HAProxy processes, in turn, on this machine.
struct CompareCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "compare", abstract: "Compares ws-tunnel with a pair of HAProxy processes, end to end.",
        discussion: """
            Both carry visitors of a port over TLS 1.3, with the same certificate and cipher suite, to a service on this \
            machine. They are measured in turn within each round; the table shows medians over the rounds. Needs HAProxy \
            (apt-get install haproxy), and a machine that does nothing else meanwhile.
            """)

    @Option(help: ArgumentHelp("The folder of ws-tunnel-server and -client. (default: this program's)", valueName: "folder"))
    var programs: String?

    @Option(help: ArgumentHelp("How often everything is measured.", valueName: "n"))
    var rounds = 5

    @Option(help: ArgumentHelp("How long each measurement takes.", valueName: "time"))
    var seconds = 1.0

    @Option(help: ArgumentHelp("Idle streams to hold open.", valueName: "n"))
    var idle = 5_000

    @Option(help: ArgumentHelp("Measure this alone; repeatable.", valueName: "topic"))
    var only: [Topic] = []

    @Option(help: ArgumentHelp("Write the figures to a file too.", valueName: "file"))
    var json: String?

    func validate() throws {
        guard self.rounds >= 1 else { throw ValidationError("--rounds is 1 or more.") }
        guard 0.1...60 ~= self.seconds else { throw ValidationError("--seconds is 0.1 to 60.") }
        // A ws-tunnel client takes 16,384 streams.
        guard 1...16_000 ~= self.idle else { throw ValidationError("--idle is 1 to 16000.") }
    }

    func run() throws {
        let programs = try Programs(folder: self.programs)
        try Descriptors.raise(to: 2 * self.idle + 3_000)
        Interruption.trap()
        do {
            try self.compare(programs)
        } catch Interruption.signal(let number) {
            throw ExitCode(128 + number)
        }
    }

    private func compare(_ programs: Programs) throws {
        if let warning = Machine.warning { Output.say("warning: \(warning)", to: 2) }
        let machine = Machine()
        let stage = try Stage(programs: programs, visitors: self.idle)
        defer { stage.clear() }
        let measurements = Measurement.all(seconds: self.seconds, idle: self.idle)
            .filter { self.only.isEmpty || self.only.contains($0.topic) }
        var results = Results()
        var standing: [Contender: Tunnel] = [:]
        var distant: [Contender: Tunnel] = [:]
        for contender in Contender.allCases {
            if measurements.contains(where: { $0.ground == .standing }) { standing[contender] = try stage.start(contender) }
            if measurements.contains(where: { $0.ground == .distant }) {
                distant[contender] = try stage.start(contender, oneWayDelay: 0.05)
            }
        }
        for round in 1...self.rounds {
            let start = Clock.now
            // Neither is always the one that finds the caches as the other left them.
            let order = round % 2 == 1 ? Contender.allCases : Contender.allCases.reversed()
            for measurement in measurements {
                for contender in order {
                    do {
                        let tunnel = switch measurement.ground {
                        case .standing: standing[contender]
                        case .distant: distant[contender]
                        case .fresh: try stage.start(contender)
                        }
                        guard let tunnel else { continue }
                        results.add(try measurement.run(stage, tunnel), of: contender)
                    } catch let failure as Failure {
                        throw Failure("\(contender.rawValue), \(measurement.topic.rawValue): \(failure)")
                    }
                }
            }
            let took = Clock.seconds(from: start, to: Clock.now)
            Output.say("round \(round) of \(self.rounds): \(took.brief) s", to: 2)
        }

        print("\(machine.sentence)")
        print("\(programs.haproxyVersion); medians of \(self.rounds) rounds, \(self.seconds.brief) s for each measurement\n")
        print(results.table(idle: self.idle))
        if let path = self.json {
            try JSON.object([
                ("machine", machine.json), ("haproxy", .text(programs.haproxyVersion)), ("rounds", .number(Double(self.rounds))),
                ("seconds", .number(self.seconds)), ("idleStreams", .number(Double(self.idle))),
                ("figures", results.json(idle: self.idle)),
            ]).write(to: path)
        }
    }
}
