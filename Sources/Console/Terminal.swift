internal import Dispatch
internal import NIOConcurrencyHelpers

#if canImport(Glibc)
internal import Glibc
#elseif canImport(Musl)
internal import Musl
#else
internal import Darwin
#endif

/// The terminal that is both standard output and standard error, and the panel at its bottom.
///
/// Everything that is written to it goes through one queue: a line takes the panel away, and puts it back below itself in the
/// same system call. The panel is looked at four times a second, and written only when it says something else.
final class Terminal: Sendable {
    /// `nil` when one of the two is something else.
    static let shared = Terminal()

    /// Of both outputs.
    let queue = DispatchQueue(label: "terminal")

    private let panel = NIOLockedValueBox<Panel?>(nil)

    private static let interval = DispatchTimeInterval.milliseconds(250)
    private init?() {
        var (output, error) = (stat(), stat())
        guard isatty(STDOUT_FILENO) == 1, isatty(STDERR_FILENO) == 1, fstat(STDOUT_FILENO, &output) == 0,
            fstat(STDERR_FILENO, &error) == 0, output.st_rdev == error.st_rdev
        else { return nil }
    }

    /// Whether it knows how to move its cursor.
    var movesCursor: Bool {
        let type = Program.environment["TERM"] ?? ""
        return !["", "dumb"].contains(type)
    }

    func show(_ lines: @escaping @Sendable () -> [String]) {
        guard self.movesCursor else { return }
        self.panel.withLockedValue { $0 = Panel(lines: lines) }
        self.queue.async { self.look() }
    }

    /// Takes the panel away for good, once everything before is written.
    func hide() {
        self.queue.async {
            self.write(self.panel.withLockedValue { panel in
                defer { panel = nil }
                return panel?.erase() ?? ""
            })
        }
    }

    /// What to write for this text to appear above the panel; `written` is to be called once it is. On the queue only.
    ///
    /// - Parameter isLast: Otherwise more follows at once, and the panel can wait for that.
    func above(_ text: String, isLast: Bool) -> String {
        self.panel.withLockedValue { panel in
            let erasure = panel?.erase() ?? ""
            let drawing = isLast ? panel?.draw() ?? "" : ""
            return erasure + text + drawing
        }
    }

    /// What was to be written is; a terminal that was held for a while (Ctrl-S) is not taken for a program that was stopped.
    func written() {
        self.panel.withLockedValue { $0?.touched = .now }
    }

    private func look() {
        let change = self.panel.withLockedValue { panel in panel?.change() }
        guard let change else { return }
        self.write(change)
        self.queue.asyncAfter(deadline: .now() + Self.interval) { self.look() }
    }

    private func write(_ text: String) {
        if !text.isEmpty { OutputSink.write(text, to: STDERR_FILENO) }
        self.written()
    }

    /// In the background the terminal belongs to somebody else: the shell, and whoever types there.
    fileprivate static var isOurs: Bool { tcgetpgrp(STDERR_FILENO) == getpgrp() }

    fileprivate static var size: PanelArea.Size {
        var size = winsize()
        guard ioctl(STDERR_FILENO, UInt(TIOCGWINSZ), &size) == 0, size.ws_col > 0, size.ws_row > 0 else {
            return PanelArea.Size(columns: 80, rows: 24)
        }
        return PanelArea.Size(columns: Int(size.ws_col), rows: Int(size.ws_row))
    }
}

/// What is shown at the bottom of the terminal, and whether it is still there.
private struct Panel {
    let lines: @Sendable () -> [String]
    private var area = PanelArea()
    /// When it was last looked at.
    var touched = SuspendingClock.now

    /// Nobody has looked for so long: we were stopped, and the shell has written since.
    private static let longestTurn = Duration.seconds(2)

    init(lines: @escaping @Sendable () -> [String]) {
        self.lines = lines
    }

    mutating func erase() -> String {
        self.forgetIfLeft()
        return self.area.erase(on: Terminal.size)
    }

    mutating func draw() -> String {
        Terminal.isOurs ? self.area.draw(self.lines(), on: Terminal.size) : ""
    }

    /// What brings the screen up to date.
    mutating func change() -> String {
        self.forgetIfLeft()
        let (lines, size) = (self.lines(), Terminal.size)
        guard Terminal.isOurs, !self.area.shows(lines, on: size) else { return "" }
        return self.area.erase(on: size) + self.area.draw(lines, on: size)
    }

    /// Where others may have written since, nothing is taken away any more.
    private mutating func forgetIfLeft() {
        if !Terminal.isOurs || SuspendingClock.now - self.touched > Self.longestTurn { self.area.forget() }
    }
}
