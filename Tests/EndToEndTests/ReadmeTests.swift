import Foundation
import Testing

/// What the README says of the programs is what they say of themselves.
struct ReadmeTests {
    @Test(arguments: ["ws-tunnel-server", "ws-tunnel-client"])
    func `the options in the README are those of --help`(name: String) throws {
        try Stage.run { stage in
            let program = try stage.start("\(Toolchain.programs)/\(name)", ["--help"], environment: ["COLUMNS": "100"])
            #expect(try program.ended() == .code(0))
            let help = String(decoding: try program.output(), as: UTF8.self)
            let readme = try String(contentsOfFile: "\(Toolchain.package)/README.md", encoding: .utf8)
            #expect(readme.contains(help.trimmingCharacters(in: .newlines)), "the README does not hold:\n\(help)")
        }
    }

    @Test func `the README opens with the two commands`() throws {
        let readme = try String(contentsOfFile: "\(Toolchain.package)/README.md", encoding: .utf8)
        let commands = readme.split(separator: "\n").filter { $0.hasPrefix("    ") }.prefix(2)
        #expect(commands.map { $0.contains("bash Fixtures/demo") } == [true, false])
        #expect(commands.map { $0.contains("bash Tests/run") } == [false, true])
    }
}
