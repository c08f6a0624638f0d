import Foundation
import Testing

/// Steady traffic in both directions of many streams, made and checked byte for byte by programs of another language.
struct Traffic {
    private let service: Program
    private let visitors: Program
    private let streams: Int
    /// Before it the service spoke of streams that others made.
    private let mark: Program.Mark

    /// The service's half, which takes any number of visitors.
    struct Source {
        let port: UInt16
        fileprivate let program: Program

        init(on stage: Stage) throws {
            self.program = try stage.start("python3", [Toolchain.peer("traffic.py"), "serve"])
            let line = try self.program.line(containing: "port ")
            self.port = try #require(line.split(separator: " ").last.flatMap { UInt16($0) })
        }
    }

    /// Starts the visitors, and waits until bytes have come back to each.
    ///
    /// - Parameters:
    ///   - port: The tunnel's public port.
    ///   - rate: Bytes a second, for each stream and direction.
    init(from source: Source, through port: UInt16, streams: Int, rate: Int, on stage: Stage) throws {
        self.service = source.program
        self.streams = streams
        self.mark = source.program.mark
        self.visitors = try stage.start(
            "python3", [Toolchain.peer("traffic.py"), "visit", "\(port)", "\(streams)", "\(rate)"], opensInput: true)
        try self.visitors.event("flowing")
    }

    /// Waits until each visitor has sent so many bytes more, and received as many.
    func carry(_ bytes: Int) throws { try self.order("carry \(bytes)", until: "carried") }

    /// Lets both directions of every stream fall silent, and waits until nothing is under way.
    func rest() throws { try self.order("rest", until: "resting") }

    /// Goes on after a rest.
    func flow() throws { try self.visitors.write("flow\n") }

    private func order(_ order: String, until event: String) throws {
        let mark = self.visitors.mark
        try self.visitors.write("\(order)\n")
        try self.visitors.event(event, since: mark, within: Patience.long)
    }

    /// What the visitors saw of it.
    struct Figures: Sendable {
        /// By the stream that had the least.
        let sent: Int
        let received: Int
        /// The longest time that a stream heard nothing although it was not resting, in milliseconds.
        let silence: Int
    }

    /// Lets every stream end in order.
    ///
    /// - Throws: When a byte was lost, doubled or damaged anywhere, or a stream was cut off.
    @discardableResult
    func finish() throws -> Figures {
        self.visitors.closeInput()
        for (program, mark) in [(self.visitors, 0), (self.service, self.mark)] {
            try eventually("\(self.streams) streams do not end", within: Patience.long) {
                program.events("stream", since: mark).count == self.streams
            }
            let bad = program.events("stream", since: mark).filter { $0["verdict"] != "intact" }
            guard bad.isEmpty else {
                let side = program === self.service ? "service" : "visitors"
                let words = bad.map { "\($0["verdict"] ?? ""): \($0["detail"] ?? "")" }
                throw Failure("\(bad.count) of \(self.streams) streams at the \(side): \(Set(words).sorted())")
            }
        }
        let ends = self.visitors.events("stream")
        return Figures(
            sent: ends.compactMap { $0.number("sent") }.min() ?? 0, received: ends.compactMap { $0.number("received") }.min() ?? 0,
            silence: ends.compactMap { $0.number("silence") }.max() ?? 0)
    }
}
