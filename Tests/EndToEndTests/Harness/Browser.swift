import Foundation

/// A headless Chromium with one page, driven over DevTools by Peers/browser.py.
///
/// Names below `localhost` and `test` lead to this machine; certificates are not looked at.
final class Browser {
    /// How a page is looked at.
    struct Look {
        var width = 1_200
        var height = 800
        var isDark = false

        fileprivate var members: [String: Any] { ["width": self.width, "height": self.height, "dark": self.isDark] }
    }

    private let program: Program

    init(_ stage: Stage) throws {
        self.program = try stage.startFamily(
            "python3", [Toolchain.peer("browser.py"), try Toolchain.find("chromium-headless-shell"), "\(stage.folder)/browser"],
            opensInput: true)
        // Starting takes seconds where other tests run too.
        try self.program.line(containing: "\"ready\"", within: Patience.long)
    }

    /// Opens a page in place of the one before, and waits until it is loaded with all it asks for.
    func open(_ url: String, _ look: Look = Look()) throws {
        try self.obey(["open": url].merging(look.members) { $1 })
    }

    func look(_ look: Look) throws { try self.obey(["look": look.members]) }

    /// The value of a JavaScript expression: a promise's, once it has one.
    @discardableResult
    func evaluate(_ script: String) throws -> Any? { try self.obey(["evaluate": script]) }

    func text(_ script: String) throws -> String {
        guard let text = try self.evaluate(script) as? String else { throw Failure("\(script) is no text") }
        return text
    }

    /// Waits until an expression is true; one that throws is not true yet.
    func awaits(_ script: String, within limit: TimeInterval = Patience.usual) throws {
        try self.obey(["until": script, "seconds": limit], within: limit + Patience.usual)
    }

    /// One key: a letter, or its name (`Enter`, `Escape`, `ArrowDown`).
    func press(_ keys: String...) throws {
        for key in keys { try self.obey(["press": key]) }
    }

    /// Where the focus is.
    func type(_ text: String) throws { try self.obey(["type": text]) }

    func picture(to path: String) throws { try self.obey(["picture": path]) }

    /// Errors of scripts, violations of policies, and what could not be loaded, so far.
    func complaints() throws -> [String] { try self.obey(["complaints": true]) as? [String] ?? [] }

    @discardableResult
    private func obey(_ command: [String: Any], within limit: TimeInterval = Patience.long) throws -> Any? {
        let mark = self.program.mark
        let line = String(decoding: try JSONSerialization.data(withJSONObject: command), as: UTF8.self)
        try self.program.write(line + "\n")
        let answer = try self.program.line(containing: "{", since: mark, within: limit)
        guard let members = try JSONSerialization.jsonObject(with: Data(answer.utf8)) as? [String: Any] else {
            throw Failure("the browser said \(answer)")
        }
        if let error = members["error"] { throw Failure("the browser, told \(line): \(error)") }
        return members["value"]
    }
}
