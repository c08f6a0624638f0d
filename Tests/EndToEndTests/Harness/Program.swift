import Foundation

/// A child process whose output is read as it comes.
///
/// It dies with this process at the latest, however that ends.
final class Program: @unchecked Sendable {
    enum Stream { case output, error }

    struct Line {
        let stream: Stream
        let text: String
    }

    /// A point in the output: what came before is not looked at again.
    typealias Mark = Int

    enum Exit: Equatable, CustomStringConvertible {
        case code(Int32)
        case signal(Int32)

        var description: String {
            switch self {
            case .code(let code): "exit code \(code)"
            case .signal(let number): "signal \(number)"
            }
        }
    }

    let name: String
    let pid: pid_t
    private let condition = NSCondition()
    private var lines: [Line] = []
    private var partial: [Stream: [UInt8]] = [.output: [], .error: []]
    private var raw: [UInt8] = []
    private var openStreams = 2
    private var exited: Exit?
    private var input: Int32?
    /// What `end` ends it with. One that has processes of its own is asked, so that it takes them along.
    var lastSignal = SIGKILL

    /// - Parameters:
    ///   - entrance: A command that runs the program, such as `ip netns exec NAME`.
    ///   - environment: Added to this process's own; an empty value removes a variable.
    ///   - opensInput: Whether `write` is going to be used; otherwise standard input is at its end from the start.
    init(
        _ executable: String, _ arguments: [String] = [], within entrance: [String] = [],
        environment: [String: String] = [:], opensInput: Bool = false
    ) throws {
        self.name = executable.split(separator: "/").last.map(String.init) ?? executable
        let path = try Toolchain.find(executable)
        let child = try Spawner.shared.spawn(entrance + [path] + arguments, environment: environment, opensInput: opensInput)
        self.pid = child.pid
        self.input = child.input
        self.follow(child.output, .output)
        self.follow(child.error, .error)
        Thread.detachNewThread { self.awaitExit() }
    }

    // MARK: What it says

    var mark: Mark { self.condition.withLock { self.lines.count } }

    /// All lines so far, for a failure's report and for searches.
    func log(since mark: Mark = 0) -> [String] {
        self.condition.withLock { self.lines[min(mark, self.lines.count)...].map(\.text) }
    }

    /// Standard output as it is, once the program has ended.
    func output() throws -> [UInt8] {
        try self.wait("the end of its output", Patience.usual) { self.openStreams == 0 ? self.raw : nil }
    }

    /// - Parameter words: All of them, in one line.
    @discardableResult
    func line(
        containing words: String..., since mark: Mark = 0, within limit: TimeInterval = Patience.usual
    ) throws -> String {
        try self.wait("a line with \(words)", limit) {
            self.lines[mark...].first { line in words.allSatisfy { line.text.contains($0) } }?.text
        }
    }

    /// One object of the programs' `--json` output.
    @discardableResult
    func event(
        _ name: String, since mark: Mark = 0, within limit: TimeInterval = Patience.usual,
        where isWanted: (Event) -> Bool = { _ in true }
    ) throws -> Event {
        try self.wait("the event \(name)", limit) {
            for line in self.lines[mark...] where line.stream == .output {
                if let event = Event(line.text), event.name == name, isWanted(event) { return event }
            }
            return nil
        }
    }

    /// All events of these names so far, in their order.
    func events(_ names: String..., since mark: Mark = 0) -> [Event] {
        self.condition.withLock {
            self.lines[min(mark, self.lines.count)...].filter { $0.stream == .output }.compactMap { Event($0.text) }
                .filter { names.contains($0.name) }
        }
    }

    func count(ofLinesContaining text: String, since mark: Mark = 0) -> Int {
        self.log(since: mark).filter { $0.contains(text) }.count
    }

    // MARK: What it is told

    func write(_ text: String) throws {
        guard let input = self.input else { throw Failure("\(self.name) has no standard input") }
        try writeAll(Array(text.utf8), to: input)
    }

    func closeInput() {
        if let input = self.input { close(input) }
        self.input = nil
    }

    /// Does nothing once the program has ended.
    func signal(_ number: Int32) {
        self.condition.withLock { if self.exited == nil { _ = kill(self.pid, number) } }
    }

    // MARK: How it ends

    var isRunning: Bool { self.condition.withLock { self.exited == nil } }

    /// `nil` while it runs.
    var exit: Exit? { self.condition.withLock { self.exited } }

    /// With its output complete.
    @discardableResult
    func ended(within limit: TimeInterval = Patience.usual) throws -> Exit {
        try self.wait("its end", limit) { self.openStreams == 0 ? self.exited : nil }
    }

    /// Ends it now, and waits for that.
    func end() {
        self.closeInput()
        if self.lastSignal != SIGKILL {
            self.signal(self.lastSignal)
            _ = try? self.wait("its end", Patience.usual) { self.exited }
        }
        self.signal(SIGKILL)
        _ = try? self.wait("its end", Patience.usual) { self.exited }
    }

    // MARK: What it costs

    /// Resident memory in bytes.
    func residentBytes() throws -> Int { try self.memory("VmRSS:") }

    /// The most that was ever resident, in bytes.
    func peakResidentBytes() throws -> Int { try self.memory("VmHWM:") }

    private func memory(_ name: String) throws -> Int {
        let status = try String(contentsOfFile: "/proc/\(self.pid)/status", encoding: .utf8)
        guard let line = status.split(separator: "\n").first(where: { $0.hasPrefix(name) }),
            let kibibytes = line.split(whereSeparator: { !$0.isNumber }).first.flatMap({ Int($0) })
        else { throw Failure("/proc/\(self.pid)/status has no \(name)") }
        return kibibytes * 1024
    }

    /// Processor time so far.
    func processorSeconds() throws -> Double {
        let fields = try String(contentsOfFile: "/proc/\(self.pid)/stat", encoding: .utf8)
            .components(separatedBy: ") ").last?.split(separator: " ") ?? []
        // proc(5): utime and stime, the 14th and 15th field, in ticks.
        guard fields.count > 13, let user = Double(fields[11]), let system = Double(fields[12]) else {
            throw Failure("/proc/\(self.pid)/stat has no processor time")
        }
        return (user + system) / Double(sysconf(Int32(_SC_CLK_TCK)))
    }

    func descriptors() throws -> Int {
        try FileManager.default.contentsOfDirectory(atPath: "/proc/\(self.pid)/fd").count
    }

    // MARK: Inside

    private func wait<Value>(_ what: String, _ limit: TimeInterval, _ look: () -> Value?) throws -> Value {
        let end = Date() + limit
        self.condition.lock()
        defer { self.condition.unlock() }
        while true {
            if let value = look() { return value }
            let isOver = self.exited != nil && self.openStreams == 0
            if isOver || !self.condition.wait(until: end) {
                if let value = look() { return value }
                let tail = self.lines.suffix(25).map { "    " + $0.text }.joined(separator: "\n")
                let why = isOver ? "it ended (\(self.exited.map(String.init(describing:)) ?? ""))" : "\(Int(limit)) s passed"
                throw Failure("\(self.name): waited for \(what), but \(why). Its last lines:\n\(tail)")
            }
        }
    }

    private func follow(_ descriptor: Int32, _ stream: Stream) {
        Thread.detachNewThread {
            var chunk = [UInt8](repeating: 0, count: 65_536)
            while true {
                let count = read(descriptor, &chunk, chunk.count)
                if count < 0, errno == EINTR { continue }
                guard count > 0 else { break }
                self.condition.withLock { self.take(chunk[..<count], stream) }
            }
            close(descriptor)
            self.condition.withLock {
                if let rest = self.partial[stream], !rest.isEmpty { self.addLine(rest, stream) }
                self.openStreams -= 1
                self.condition.broadcast()
            }
        }
    }

    private func take(_ bytes: ArraySlice<UInt8>, _ stream: Stream) {
        if stream == .output { self.raw += bytes }
        for byte in bytes {
            if byte == UInt8(ascii: "\n") {
                self.addLine(self.partial[stream] ?? [], stream)
                self.partial[stream] = []
            } else {
                self.partial[stream]?.append(byte)
            }
        }
        self.condition.broadcast()
    }

    private func addLine(_ bytes: [UInt8], _ stream: Stream) {
        let text = String(decoding: bytes, as: UTF8.self)
        self.lines.append(Line(stream: stream, text: text.hasSuffix("\r") ? String(text.dropLast()) : text))
    }

    private func awaitExit() {
        var facts = siginfo_t()
        // Not reaped before the lock is held: until then no other process can get this id, and `signal` is safe.
        while waitid(P_PID, id_t(self.pid), &facts, WEXITED | WNOWAIT) < 0, errno == EINTR {}
        self.condition.withLock {
            var status: Int32 = 0
            waitpid(self.pid, &status, 0)
            self.exited = status & 0x7F == 0 ? .code(status >> 8 & 0xFF) : .signal(status & 0x7F)
            self.condition.broadcast()
        }
    }
}

/// One line of `--json`.
struct Event: @unchecked Sendable {
    private let members: [String: Any]

    init?(_ line: String) {
        guard let members = try? JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any] else { return nil }
        self.members = members
    }

    var name: String { self["event"] ?? "" }

    subscript(_ member: String) -> String? { self.members[member] as? String }

    func number(_ member: String) -> Int? { self.members[member] as? Int }

    func list(_ member: String) -> [String] { self.members[member] as? [String] ?? [] }

    /// The port at the end of a member such as `localhost:41159`.
    func port(_ member: String) throws -> UInt16 {
        guard let text = self[member], let port = text.split(separator: ":").last.flatMap({ UInt16($0) }) else {
            throw Failure("the event \(self.name) has no port in \(member)")
        }
        return port
    }
}

/// Writes all of it to a descriptor.
private func writeAll(_ bytes: [UInt8], to descriptor: Int32) throws {
    var rest = bytes[...]
    while !rest.isEmpty {
        let count = rest.withUnsafeBytes { Foundation.write(descriptor, $0.baseAddress, $0.count) }
        if count < 0, errno == EINTR { continue }
        guard count > 0 else { throw Failure("write: \(String(cString: strerror(errno)))") }
        rest = rest.dropFirst(count)
    }
}
