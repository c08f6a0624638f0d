import ArgumentParser

@main
struct BenchCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "ws-tunnel-bench", abstract: "How fast ws-tunnel is on this machine.",
        subcommands: [CompareCommand.self, HTTPCommand.self, MicroCommand.self, LoadCommand.self], defaultSubcommand: CompareCommand.self)
}
