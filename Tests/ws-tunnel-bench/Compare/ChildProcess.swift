import Glibc

/// A process of this run. The kernel ends it should this process end first.
final class ChildProcess {
    private let name: String
    private let pid: pid_t
    private let log: String
    /// Its standard input and output, from this end.
    private var input: Int32
    private let output: Int32
    private var lines: [UInt8] = []
    private var isEnded = false

    /// - Parameters:
    ///   - command: The program's path, and its arguments.
    ///   - environment: Added to this process's own.
    ///   - log: The file its standard error goes to.
    init(_ command: [String], environment: [String: String] = [:], log: String) throws {
        self.name = String(command[0].split(separator: "/").last ?? "")
        self.log = log
        let (inputs, outputs) = (try Self.pipe(), try Self.pipe())
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_adddup2(&actions, inputs.reading, 0)
        posix_spawn_file_actions_adddup2(&actions, outputs.writing, 1)
        posix_spawn_file_actions_addopen(&actions, 2, log, O_WRONLY | O_CREAT | O_APPEND, 0o600)

        let leash = Programs.find("setpriv").map { [$0, "--pdeathsig", "KILL", "--"] } ?? []
        let command = leash + command
        var variables: [UnsafeMutablePointer<CChar>?] = environment.map { strdup("\($0.key)=\($0.value)") }
        let ownVariables = variables.count
        var next = environ
        while let entry = next.pointee {
            variables.append(entry)
            next += 1
        }
        let arguments = command.map { strdup($0) }
        defer {
            for text in arguments + variables[..<ownVariables] { free(text) }
        }
        var pid: pid_t = 0
        let code = posix_spawn(&pid, command[0], &actions, nil, arguments + [nil], variables + [nil])
        close(inputs.reading)
        close(outputs.writing)
        self.input = inputs.writing
        self.output = outputs.reading
        self.pid = pid
        guard code == 0 else {
            self.isEnded = true
            throw Failure("cannot start \(command[0]): \(String(cString: strerror(code)))")
        }
    }

    deinit {
        self.kill()
        if self.input >= 0 { close(self.input) }
        close(self.output)
    }

    /// The next line it says within so many seconds.
    func line(within seconds: Double) throws -> String {
        let deadline = Clock.now + Clock.span(seconds)
        while true {
            if let end = self.lines.firstIndex(of: 10) {
                defer { self.lines.removeFirst(end + 1) }
                return String(decoding: self.lines[..<end], as: UTF8.self)
            }
            try Interruption.check()
            let now = Clock.now
            guard now < deadline else { throw self.failure("said nothing for \(seconds.brief) s") }
            guard Socket.wait(for: self.output, POLLIN, milliseconds: Int32((deadline - now) / 1_000_000) + 1) else { continue }
            var part = [UInt8](repeating: 0, count: 4_096)
            let count = read(self.output, &part, part.count)
            guard count > 0 else {
                // A terminal interrupts all of them together.
                try Interruption.check()
                throw self.failure("ended")
            }
            self.lines += part[..<count]
        }
    }

    /// All it says until it ends by itself, within so many seconds.
    func output(within seconds: Double) throws -> [String] {
        let deadline = Clock.now + Clock.span(seconds)
        var part = [UInt8](repeating: 0, count: 4_096)
        while true {
            try Interruption.check()
            let now = Clock.now
            guard now < deadline else { throw self.failure("did not end within \(seconds.brief) s") }
            guard Socket.wait(for: self.output, POLLIN, milliseconds: Int32((deadline - now) / 1_000_000) + 1) else { continue }
            let count = read(self.output, &part, part.count)
            guard count > 0 else { break }
            self.lines += part[..<count]
        }
        self.waitForEnd()
        return self.lines.split(separator: 10).map { String(decoding: $0, as: UTF8.self) }
    }

    /// Returns once somebody listens on a port of this machine.
    func waitUntilListening(on port: Int) throws {
        let deadline = Clock.now + Clock.span(10)
        while !Socket.listens(on: port) {
            try Interruption.check()
            try self.checkAlive()
            guard Clock.now < deadline else { throw Failure("nothing listens on port \(port) after 10 s") }
            Clock.sleep(0.02)
        }
    }

    /// Ends its standard input.
    func letGo() {
        guard self.input >= 0 else { return }
        close(self.input)
        self.input = -1
    }

    func waitForEnd() {
        guard !self.isEnded else { return }
        self.isEnded = true
        var status: Int32 = 0
        while waitpid(self.pid, &status, 0) < 0, errno == EINTR {}
    }

    func kill() {
        guard !self.isEnded else { return }
        Glibc.kill(self.pid, SIGKILL)
        self.waitForEnd()
    }

    func checkAlive() throws {
        var status: Int32 = 0
        guard !self.isEnded, waitpid(self.pid, &status, WNOHANG) == 0 else {
            self.isEnded = true
            try Interruption.check()
            throw self.failure("ended")
        }
    }

    /// Seconds of processor time so far, user and system together (proc(5), utime and stime).
    var processorSeconds: Double {
        guard let text = TextFile.read("/proc/\(self.pid)/stat"), let name = text.lastIndex(of: ")") else { return 0 }
        let fields = text[name...].split(separator: " ")
        guard fields.count > 13, let user = Double(fields[12]), let system = Double(fields[13]) else { return 0 }
        return (user + system) / Double(sysconf(Int32(_SC_CLK_TCK)))
    }

    /// Bytes of memory in use; what the kernel holds for its sockets is not among them.
    var residentBytes: Double {
        guard let text = TextFile.read("/proc/\(self.pid)/statm") else { return 0 }
        let fields = text.split(separator: " ")
        guard fields.count > 1, let pages = Double(fields[1]) else { return 0 }
        return pages * Double(sysconf(Int32(_SC_PAGESIZE)))
    }

    /// With the last lines of its log.
    private func failure(_ what: String) -> Failure {
        let tail = (TextFile.read(self.log) ?? "").split(separator: "\n").suffix(8)
        return Failure((["\(self.name) \(what)"] + tail.map { "  \($0)" }).joined(separator: "\n"))
    }

    private static func pipe() throws -> (reading: Int32, writing: Int32) {
        var ends: [Int32] = [0, 0]
        guard Glibc.pipe(&ends) == 0 else { throw Failure("cannot open a pipe: \(Socket.lastError)") }
        // One process's input must not be held open by the next one.
        for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
        return (ends[0], ends[1])
    }
}
