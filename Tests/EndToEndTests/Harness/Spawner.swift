import Foundation

/// Starts child processes from one thread that lives as long as this process: on Linux a child asks to be killed when the
/// thread that started it ends, so no child outlives a test run that crashes.
final class Spawner: @unchecked Sendable {
    static let shared = Spawner()

    struct Child {
        let pid: pid_t
        let input: Int32?
        let output: Int32
        let error: Int32
    }

    private let starting = NSLock()
    private let condition = NSCondition()
    private var requests: [() -> Void] = []

    private init() {
        // A peer that stops reading must not end the tests.
        signal(SIGPIPE, SIG_IGN)
        Thread.detachNewThread {
            while true {
                self.condition.lock()
                while self.requests.isEmpty { self.condition.wait() }
                let request = self.requests.removeFirst()
                self.condition.unlock()
                request()
            }
        }
    }

    func spawn(_ command: [String], environment: [String: String], opensInput: Bool) throws -> Child {
        let done = DispatchSemaphore(value: 0)
        nonisolated(unsafe) var result: Result<Child, any Error>?
        self.condition.withLock {
            self.requests.append {
                result = Result { try self.whileNothingStarts { try Self.spawn(command, environment, opensInput) } }
                done.signal()
            }
            self.condition.signal()
        }
        done.wait()
        guard let result else { throw Failure("no answer from the spawner") }
        return try result.get()
    }

    /// For whoever needs a moment between making a descriptor and keeping it from children.
    func whileNothingStarts<Value>(_ body: () throws -> Value) rethrows -> Value {
        try self.starting.withLock(body)
    }

    private static func spawn(_ command: [String], _ changes: [String: String], _ opensInput: Bool) throws -> Child {
        var environment = ProcessInfo.processInfo.environment.merging(changes) { $1 }
        for (name, value) in changes where value.isEmpty { environment[name] = nil }
        #if os(Linux)
        let command = [try Toolchain.find("setpriv"), "--pdeathsig", "KILL", "--"] + command
        #endif

        let output = try Self.pipe()
        let error = try Self.pipe()
        let input = opensInput ? try Self.pipe() : nil
        #if os(Linux)
        var actions = posix_spawn_file_actions_t()
        var attributes = posix_spawnattr_t()
        #else
        var actions: posix_spawn_file_actions_t?
        var attributes: posix_spawnattr_t?
        #endif
        posix_spawn_file_actions_init(&actions)
        posix_spawnattr_init(&attributes)
        defer {
            posix_spawn_file_actions_destroy(&actions)
            posix_spawnattr_destroy(&attributes)
        }
        if let input {
            posix_spawn_file_actions_adddup2(&actions, input.reading, 0)
        } else {
            posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0)
        }
        posix_spawn_file_actions_adddup2(&actions, output.writing, 1)
        posix_spawn_file_actions_adddup2(&actions, error.writing, 2)
        #if os(Linux)
        // Event loops of this process do not keep their sockets from children; one that a child holds stays open when it is closed
        // here, and nobody hears of its end.
        // The C library's header hides the function from Swift.
        typealias CloseFrom = @convention(c) (UnsafeMutablePointer<posix_spawn_file_actions_t>, Int32) -> Int32
        guard let symbol = dlsym(nil, "posix_spawn_file_actions_addclosefrom_np") else {
            throw Failure("this C library is older than glibc 2.34")
        }
        _ = unsafeBitCast(symbol, to: CloseFrom.self)(&actions, 3)
        #endif
        // The child gets the signals as a shell would give them, whatever this process does with them.
        var defaults = sigset_t()
        sigfillset(&defaults)
        posix_spawnattr_setsigdefault(&attributes, &defaults)
        var mask = sigset_t()
        sigemptyset(&mask)
        posix_spawnattr_setsigmask(&attributes, &mask)
        posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK))

        let arguments = command.map { strdup($0) } + [nil]
        let variables = environment.map { strdup("\($0)=\($1)") } + [nil]
        defer { for text in arguments + variables { free(text) } }
        var pid: pid_t = 0
        let code = posix_spawn(&pid, command[0], &actions, &attributes, arguments, variables)
        for descriptor in [output.writing, error.writing, input?.reading ?? -1] where descriptor >= 0 { close(descriptor) }
        guard code == 0 else {
            for descriptor in [output.reading, error.reading, input?.writing ?? -1] where descriptor >= 0 { close(descriptor) }
            throw Failure("cannot start \(command): \(String(cString: strerror(code)))")
        }
        return Child(pid: pid, input: input?.writing, output: output.reading, error: error.reading)
    }

    /// Closed in children, except where it is handed to them. Made on the one thread that starts children, so none of them
    /// gets it by accident.
    private static func pipe() throws -> (reading: Int32, writing: Int32) {
        var ends: [Int32] = [0, 0]
        let code = Foundation.pipe(&ends)
        for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
        guard code == 0 else { throw Failure("pipe: \(String(cString: strerror(errno)))") }
        return (ends[0], ends[1])
    }
}
