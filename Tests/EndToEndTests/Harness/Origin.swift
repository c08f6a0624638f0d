import Foundation

/// The HTTP service of Peers/origin.py, which says what it was asked.
final class Origin {
    let program: Program
    let port: UInt16

    /// - Parameter arguments: `name=NAME`, `port=N`, `unix=PATH`, `tls=CERTIFICATE,KEY`.
    init(_ arguments: String..., on stage: Stage) throws {
        self.program = try stage.start("python3", [Toolchain.peer("origin.py")] + arguments, opensInput: true)
        let line = try self.program.line(containing: "port ")
        guard let port = line.split(separator: " ").last.flatMap({ UInt16($0) }) else { throw Failure("origin.py said \(line)") }
        self.port = port
    }

    /// One request as it arrived.
    struct Request {
        let members: [String: Any]
        var head: String { self.members["head"] as? String ?? "" }
        var method: String { self.members["method"] as? String ?? "" }
        var target: String { self.members["target"] as? String ?? "" }
        var text: String { self.members["text"] as? String ?? "" }
        var connection: Int { self.members["connection"] as? Int ?? 0 }
        var bytes: Int { self.members["bytes"] as? Int ?? -1 }
        var isIntact: Bool { self.members["intact"] as? Bool ?? false }
        var trailers: [[String]] { self.members["trailers"] as? [[String]] ?? [] }

        /// All fields of a name, however it is spelled.
        func all(_ name: String) -> [String] {
            let fields = self.members["fields"] as? [[String]] ?? []
            return fields.filter { $0.first?.lowercased() == name.lowercased() }.compactMap(\.last)
        }

        /// The only field of a name; several are joined by a bar, so that no comparison overlooks them.
        subscript(_ name: String) -> String? {
            let values = self.all(name)
            return values.isEmpty ? nil : values.joined(separator: " | ")
        }
    }

    /// What it has been asked so far, in its order.
    func requests(_ event: String = "request", since mark: Program.Mark = 0) throws -> [Request] {
        try self.sayAll()
        return self.program.log(since: mark).compactMap { line in
            guard line.hasPrefix("{"), let object = try? JSONSerialization.jsonObject(with: Data(line.utf8)),
                let members = object as? [String: Any], members["event"] as? String == event
            else { return nil }
            return Request(members: members)
        }
    }

    /// The first request with this target, waited for.
    func request(_ target: String, _ event: String = "request", since mark: Program.Mark = 0) throws -> Request {
        try eventually("the service was not asked for \(target)") {
            try self.requests(event, since: mark).contains { $0.target == target }
        }
        guard let request = try self.requests(event, since: mark).first(where: { $0.target == target }) else {
            throw Failure("the request for \(target) is gone")
        }
        return request
    }

    /// How many connections it has taken.
    func connections() throws -> Int {
        try self.sayAll()
        return self.program.events("connection").count
    }

    /// Waits until all that it has said so far has been read.
    private func sayAll() throws {
        guard self.program.isRunning else { return }
        let mark = self.program.mark
        let number = Int.random(in: 0 ..< .max)
        try self.program.write("say \(number)\n")
        try self.program.event("said", since: mark) { $0.number("number") == number }
    }

    /// Lets one round of waiting answers go on.
    func release() throws { try self.program.write("release\n") }

    /// What `/health` answers from now on.
    func health(_ status: Int) throws { try self.program.write("health \(status)\n") }

    /// - Throws: When something reached it that no good proxy sends.
    func checkNothingOdd() throws {
        try self.sayAll()
        if let odd = self.program.events("odd").first { throw Failure("the service got something odd: \(odd["message"] ?? "")") }
    }
}

/// A server, a client, and an HTTP service behind a name.
struct HTTPTunnel {
    let server: Server
    let client: Program
    let origin: Origin
    /// As the client says it: `http://name.localhost:41159`.
    let url: String
    let stage: Stage

    /// The name in the URL.
    var host: String { String(self.url.components(separatedBy: "://").last?.split(separator: ":").first ?? "") }
    /// What visitors put into their Host field.
    var authority: String { self.url.components(separatedBy: "://").last ?? "" }

    /// - Returns: A visitor at the server's port, without TLS.
    func visitor(receiveBuffer: Int32? = nil) throws -> HTTPVisitor {
        HTTPVisitor(try self.stage.visit(self.server.port, receiveBuffer: receiveBuffer))
    }

    /// Asks on a connection of its own; `fields` end with CRLF each.
    func ask(_ method: String = "GET", _ target: String, _ fields: String = "", body: String = "") throws -> Answer {
        let visitor = try self.visitor()
        try visitor.send("\(method) \(target) HTTP/1.1\r\nHost: \(self.authority)\r\n\(fields)\r\n\(body)")
        return try visitor.answer(to: method)
    }

    /// Runs curl on a path of the tunnel.
    func curl(_ path: String, _ arguments: String...) throws -> Curl {
        try Curl(["\(self.url)\(path)"] + arguments, on: self.stage)
    }
}

extension Stage {
    func origin(_ name: String = "origin") throws -> Origin { try Origin("name=\(name)", on: self) }

    /// A server for visitors without TLS, with names below localhost.
    func httpServer(_ arguments: String...) throws -> Server { try self.server(["--plain"] + arguments) }

    /// A client that exposes one HTTP service.
    ///
    /// - Parameters:
    ///   - options: Behind the address: `,subdomain=web`.
    ///   - arguments: More of the client's.
    func expose(_ origin: Origin, at server: Server, _ options: String = "", arguments: [String] = []) throws -> HTTPTunnel {
        let client = try self.client(
            ["--server", server.url, "--expose", "http://127.0.0.1:\(origin.port)\(options)", "--inspect", "off"] + arguments)
        guard let url = try client.event("tunnel")["url"] else { throw Failure("the event tunnel has no url") }
        return HTTPTunnel(server: server, client: client, origin: origin, url: url, stage: self)
    }

    /// A server, a client and a service, for tests that need no more to be said about them.
    func httpTunnel(_ options: String = "", server: [String] = [], arguments: [String] = []) throws -> HTTPTunnel {
        try self.expose(self.origin(), at: self.server(["--plain"] + server), options, arguments: arguments)
    }
}

/// One run of curl.
struct Curl {
    let answer: Answer
    /// All heads that came, those of 1xx before the last.
    let heads: [Answer]
    /// Connections it had to open.
    let connects: Int
    let exit: Program.Exit

    /// - Throws: When curl gives no answer; a bad ending after that is told by `exit`.
    init(_ arguments: [String], on stage: Stage) throws {
        let (heads, body) = ("\(stage.folder)/curl-\(UInt32.random(in: .min ... .max))", "\(stage.folder)/body-\(UInt32.random(in: .min ... .max))")
        let program = try stage.start(
            "curl", ["-sS", "--max-time", "\(Int(Patience.long))", "-D", heads, "-o", body, "-w", "connects %{num_connects}\n"] + arguments)
        self.exit = try program.ended(within: Patience.long + 5)
        let text = (try? String(contentsOfFile: heads, encoding: .utf8)) ?? ""
        self.heads = try text.components(separatedBy: "\r\n\r\n").filter { !$0.isEmpty }.map { try Answer(head: $0) }
        guard var answer = self.heads.last else {
            throw Failure("curl got no answer, \(self.exit): \(program.log().joined(separator: "\n"))")
        }
        answer.body = (try? Data(contentsOf: URL(fileURLWithPath: body))).map(Array.init) ?? []
        self.answer = answer
        self.connects = program.log().compactMap { $0.hasPrefix("connects ") ? Int($0.dropFirst(9)) : nil }.reduce(0, +)
    }
}
