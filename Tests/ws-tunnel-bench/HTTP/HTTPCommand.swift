import ArgumentParser

/// Requests of HTTP, through ours and through a pair of HAProxy processes.
struct HTTPCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "http", abstract: "Compares HTTP tunnels with a pair of HAProxy processes in mode http.",
        discussion: """
            wrk asks nginx for a page of 1 KiB over 64 connections: through ws-tunnel, and through HAProxy, TLS 1.3, HAProxy. \
            First with HTTPS toward the visitors and TLS between the two programs; then with no TLS anywhere. Our client logs \
            every request and keeps it for the inspector, as it does for people. They are measured \
            in turn within each round; the table shows medians over the rounds. Needs HAProxy, nginx and wrk (apt-get install \
            haproxy nginx-light wrk), and a machine that does nothing else meanwhile.
            """)

    @Option(help: ArgumentHelp("The folder of ws-tunnel-server and -client. (default: this program's)", valueName: "folder"))
    var programs: String?

    @Option(help: ArgumentHelp("How often everything is measured.", valueName: "n"))
    var rounds = 5

    @Option(help: ArgumentHelp("How long each measurement takes, in whole seconds.", valueName: "time"))
    var seconds = 5

    @Option(help: ArgumentHelp("wrk's connections.", valueName: "n"))
    var connections = 64

    @Flag(help: "Without the second half, in which there is no TLS.")
    var onlyTLS = false

    @Flag(help: "Without our client's request log and inspector.")
    var bare = false

    @Option(help: ArgumentHelp("Write the figures to a file too.", valueName: "file"))
    var json: String?

    func validate() throws {
        guard self.rounds >= 1 else { throw ValidationError("--rounds is 1 or more.") }
        guard 1...60 ~= self.seconds else { throw ValidationError("--seconds is 1 to 60.") }
        guard 1...1_000 ~= self.connections else { throw ValidationError("--connections is 1 to 1000.") }
    }

    func run() throws {
        let programs = try Programs(folder: self.programs)
        let wrk = try Wrk()
        Interruption.trap()
        do {
            try self.compare(programs, wrk)
        } catch Interruption.signal(let number) {
            throw ExitCode(128 + number)
        }
    }

    private func compare(_ programs: Programs, _ wrk: Wrk) throws {
        if let warning = Machine.warning { Output.say("warning: \(warning)", to: 2) }
        let machine = Machine()
        let stage = try HTTPStage(programs: programs, isBare: self.bare)
        defer { stage.clear() }
        let grounds = self.onlyTLS ? [HTTPStage.Ground.secure] : HTTPStage.Ground.allCases
        var pairs: [HTTPStage.Ground: [Contender: HTTPPair]] = [:]
        for ground in grounds {
            for contender in Contender.allCases {
                let pair = try stage.start(contender, ground)
                pairs[ground, default: [:]][contender] = pair
                // Connections, caches and allocators are warm before anything counts.
                _ = try wrk.run(pair, connections: self.connections, seconds: 1)
            }
        }
        var results = Results()
        for round in 1...self.rounds {
            let start = Clock.now
            let order = round % 2 == 1 ? Contender.allCases : Contender.allCases.reversed()
            for ground in grounds {
                for contender in order {
                    guard let pair = pairs[ground]?[contender] else { continue }
                    do {
                        let before = pair.processorSeconds
                        let figures = try wrk.run(pair, connections: self.connections, seconds: self.seconds)
                        let processor = (pair.processorSeconds - before) / figures.requests
                        results.add(
                            ground == .secure
                                ? [
                                    .httpRequests: figures.perSecond, .httpMedian: figures.median,
                                    .httpPercentile99: figures.percentile99, .httpProcessor: processor,
                                ]
                                : [
                                    .plainRequests: figures.perSecond, .plainMedian: figures.median,
                                    .plainPercentile99: figures.percentile99, .plainProcessor: processor,
                                ],
                            of: contender)
                    } catch let failure as Failure {
                        throw Failure("\(contender.rawValue), \(ground.rawValue): \(failure)")
                    }
                }
            }
            Output.say("round \(round) of \(self.rounds): \(Clock.seconds(from: start, to: Clock.now).brief) s", to: 2)
        }
        print("\(machine.sentence)")
        print("\(programs.haproxyVersion); medians of \(self.rounds) rounds, \(self.seconds) s for each measurement\n")
        print(results.table(idle: 0))
        if let path = self.json {
            try JSON.object([
                ("machine", machine.json), ("haproxy", .text(programs.haproxyVersion)), ("rounds", .number(Double(self.rounds))),
                ("seconds", .number(Double(self.seconds))), ("connections", .number(Double(self.connections))),
                ("bare", .number(self.bare ? 1 : 0)),
                ("figures", results.json(idle: 0)),
            ]).write(to: path)
        }
    }
}
