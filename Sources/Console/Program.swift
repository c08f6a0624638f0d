internal import CAllocator
package import Logging
package import TunnelTransport
internal import Synchronization
internal import UnixSignals

#if canImport(Glibc)
internal import Glibc
#elseif canImport(Musl)
internal import Musl
#else
internal import Darwin
#endif

/// What a program does around its product: signals, the last word, the exit code.
package enum Program {
    /// Freed memory that each thread's heap keeps, in bytes. Several streams in bulk free and take a megabyte of buffers in
    /// every turn of the loop; given back and taken from the system each time, that is a system call and page faults a turn.
    private static let keptMemory: Int32 = 8 << 20

    /// Signals that asked for the end so far.
    private static let signals = Atomic<Int>(0)

    /// From the second signal to the end: a client's good-bye frees its visitors, who would wait for its return otherwise.
    private static let lastWord = Duration.milliseconds(200)

    /// The environment as a dictionary.
    package static var environment: [String: String] {
        var result: [String: String] = [:]
        var next = environ
        while let entry = next.pointee {
            let text = String(cString: entry)
            if let equals = text.firstIndex(of: "=") {
                result[String(text[..<equals])] = String(text[text.index(after: equals)...])
            }
            next += 1
        }
        return result
    }

    /// To be called before anything else is opened: descriptors 0 to 2 that whoever started this process has closed would be given to
    /// the next files and sockets, and what is printed would go there.
    package static func holdStandardDescriptors() {
        var descriptor: Int32
        repeat { descriptor = open("/dev/null", O_RDWR) } while 0...STDERR_FILENO ~= descriptor
        if descriptor >= 0 { close(descriptor) }
    }

    /// Runs `body` until it returns, and ends the process.
    ///
    /// The first SIGINT or SIGTERM calls `stop`, the second calls it again, for a last word, and ends the process. SIGHUP calls
    /// `hangUp`; where it says that the terminal of this program is gone, it is one of the others. Ignored from the start, as
    /// nohup has it, it stays so.
    package static func run(
        logger: Logger, events: EventStream, stop: @escaping @Sendable () -> Void,
        hangUp: @escaping @Sendable () -> Void,
        body: @escaping @Sendable () async throws -> Void
    ) async -> Never {
        signal(SIGPIPE, SIG_IGN)
        shim_keep_freed_memory(Self.keptMemory)
        let signals = await UnixSignalsSequence(trapping: [.sigint, .sigterm] + (Self.ignoresHangUp ? [] : [.sighup]))
        // Whichever of them leads there: the others may be files.
        let terminals = [STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO].filter { isatty($0) == 1 }
        let watcher = Task {
            for await signal in signals {
                guard signal != .sighup || terminals.contains(where: { isatty($0) == 0 }) else {
                    hangUp()
                    continue
                }
                let count = Self.signals.add(1, ordering: .relaxed).newValue
                stop()
                guard count > 1 else { continue }
                try? await Task.sleep(for: Self.lastWord)
                self.end(1)
            }
        }
        defer { watcher.cancel() }
        do {
            try await body()
            events.send("stopped")
            // Who asked twice did not get what was under way finished.
            self.end(Self.signals.load(ordering: .relaxed) > 1 ? 1 : 0)
        } catch {
            self.fail(error, logger: logger, events: events)
        }
    }

    /// Whether whoever started this process wants it to live on without its terminal.
    private static var ignoresHangUp: Bool {
        var action = sigaction()
        guard sigaction(SIGHUP, nil, &action) == 0 else { return false }
        #if canImport(Darwin)
        let handler = action.__sigaction_u.__sa_handler
        #else
        let handler = action.__sigaction_handler.sa_handler
        #endif
        // Functions cannot be compared; what these two are made of can.
        return unsafeBitCast(handler, to: Int.self) == unsafeBitCast(SIG_IGN, to: Int.self)
    }

    /// Reports what keeps the program from going on, and ends it.
    package static func fail(_ error: any Error, logger: Logger, events: EventStream) -> Never {
        let error = error as? OperatorError ?? OperatorError(.failure, "\(error)")
        logger.report(error, at: .error)
        events.send("error") {
            $0.set("code", Int(error.code.rawValue))
            $0.set("message", error.message)
        }
        self.end(error.code.rawValue)
    }

    /// Ends the process, once everything that was printed is out.
    package static func end(_ code: Int32) -> Never {
        Terminal.shared?.hide()
        OutputSink.standardOutput.flush()
        OutputSink.standardError.flush()
        // Without the handlers of `exit`: they would take libcrypto apart under the threads that still use it.
        _exit(code)
    }
}

extension Logger {
    /// Logs what happened and what to do about it.
    ///
    /// - Parameter also: Said after the remedy, such as when the next attempt follows.
    package func report(_ error: OperatorError, at level: Logger.Level, also: String? = nil) {
        let remedy = [error.remedy, also].compactMap(\.self).joined(separator: " ")
        self.log(level: level, "\(error.message)", metadata: remedy.isEmpty ? nil : ["remedy": "\(remedy)"])
    }
}
