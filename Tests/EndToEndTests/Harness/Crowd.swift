import Foundation

/// The visitors of Peers/visitors.py: many at once, each of whom knows what every answer has to be.
struct Crowd {
    private let program: Program

    struct Figures: CustomStringConvertible {
        let members: [String: Any]
        var right: Int { self.members["right"] as? Int ?? 0 }
        var wrong: Int { self.members["wrong"] as? Int ?? -1 }
        var failed: Int { self.members["failed"] as? Int ?? -1 }
        /// Right answers, by the service that gave them.
        var by: [String: Int] { self.members["by"] as? [String: Int] ?? [:] }
        var description: String { "\(self.members)" }
    }

    /// Starts them, and waits until each has an answer of every name.
    ///
    /// - Parameter names: What visitors put into their Host field, and the services that may answer, with bars between them.
    init(_ count: Int, at port: UInt16, asking names: [(host: String, services: String)], on stage: Stage) throws {
        self.program = try stage.start(
            "python3", [Toolchain.peer("visitors.py"), "\(port)", "\(count)"] + names.map { "\($0.host)=\($0.services)" }, opensInput: true)
        try self.program.event("flowing")
    }

    /// Lets them go, each after the answer that it waits for.
    func finish() throws -> Figures {
        self.program.closeInput()
        try self.program.event("figures", within: Patience.long)
        guard let line = self.program.log().first(where: { $0.contains("\"figures\"") }),
            let members = try JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any]
        else { throw Failure("the visitors have no figures") }
        return Figures(members: members)
    }
}
