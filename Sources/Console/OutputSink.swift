internal import Dispatch
internal import NIOConcurrencyHelpers
internal import Synchronization

#if canImport(Glibc)
internal import Glibc
#elseif canImport(Musl)
internal import Musl
#else
internal import Darwin
#endif

/// Writes lines to standard output or standard error from a thread of its own: whoever reads them slowly, or not at all,
/// does not stop the tunnel.
///
/// Where both are the same terminal, lines come there in the order they were written, above the panel if there is one.
/// At most `capacity` lines wait; further ones are dropped, and a line of the output's form says how many when there is room again.
package final class OutputSink: Sendable {
    package static let standardOutput = OutputSink(descriptor: STDOUT_FILENO)
    package static let standardError = OutputSink(descriptor: STDERR_FILENO)

    /// A second of a very talkative log.
    private static let capacity = 4_096

    private let descriptor: Int32
    private let queue: DispatchQueue
    private let waiting = Atomic<Int>(0)
    private let dropped = Atomic<Int>(0)
    private let lineForm = NIOLockedValueBox(OutputForm.log(.text))

    /// Whether a person reads it.
    package let isTerminal: Bool

    /// What its lines look like.
    package var form: OutputForm {
        get { self.lineForm.withLockedValue { $0 } }
        set { self.lineForm.withLockedValue { $0 = newValue } }
    }

    init(descriptor: Int32) {
        self.descriptor = descriptor
        self.queue = Terminal.shared?.queue ?? DispatchQueue(label: "output \(descriptor)")
        self.isTerminal = isatty(descriptor) == 1
    }

    package func write(line: String) { self.write(lines: Array(line.utf8)) }

    /// Written at once, and counted as one.
    ///
    /// - Parameter lines: In UTF-8, without the end of the last.
    package func write(lines: [UInt8]) {
        guard self.waiting.load(ordering: .relaxed) < Self.capacity else {
            self.dropped.add(1, ordering: .relaxed)
            return
        }
        self.waiting.add(1, ordering: .relaxed)
        self.queue.async {
            let dropped = self.dropped.exchange(0, ordering: .relaxed)
            var bytes = lines
            bytes.append(UInt8(ascii: "\n"))
            if dropped > 0 { bytes.insert(contentsOf: "\(self.form.dropped(dropped, .lines))\n".utf8, at: 0) }
            self.writeNow(bytes, isLast: self.waiting.load(ordering: .relaxed) == 1)
            self.waiting.subtract(1, ordering: .relaxed)
        }
    }

    /// Waits until everything is written, a second at most: a reader who has stopped reading does not keep us from ending.
    package func flush() {
        let written = DispatchSemaphore(value: 0)
        self.queue.async { written.signal() }
        _ = written.wait(timeout: .now() + 1)
    }

    private func writeNow(_ bytes: [UInt8], isLast: Bool) {
        guard let terminal = Terminal.shared else { return Self.write(bytes, to: self.descriptor) }
        Self.write(terminal.above(String(decoding: bytes, as: UTF8.self), isLast: isLast), to: self.descriptor)
        terminal.written()
    }

    static func write(_ text: String, to descriptor: Int32) { Self.write(Array(text.utf8), to: descriptor) }

    private static func write(_ all: [UInt8], to descriptor: Int32) {
        var bytes = all[...]
        while !bytes.isEmpty {
            let count = bytes.withUnsafeBytes { Self.system(write: descriptor, $0.baseAddress, $0.count) }
            if count < 0, errno == EINTR { continue }
            // Whoever shares a terminal or a pipe with us may have made it non-blocking for all: waiting is for us to do then.
            if count < 0, errno == EAGAIN, Self.waitForRoom(descriptor) { continue }
            // A closed terminal or a full disk: there is nobody left to tell.
            guard count > 0 else { return }
            bytes = bytes.dropFirst(count)
        }
    }

    /// - Returns: `false` when there is no way to wait.
    private static func waitForRoom(_ descriptor: Int32) -> Bool {
        var question = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
        // Once nobody is left to read, the next attempt says so.
        return poll(&question, 1, -1) > 0 || errno == EINTR
    }

    private static func system(write descriptor: Int32, _ bytes: UnsafeRawPointer?, _ count: Int) -> Int {
        guard let bytes else { return 0 }
        #if canImport(Glibc)
        return Glibc.write(descriptor, bytes, count)
        #elseif canImport(Musl)
        return Musl.write(descriptor, bytes, count)
        #else
        return Darwin.write(descriptor, bytes, count)
        #endif
    }
}
