import Foundation
import Testing

@testable import Console

/// Outputs that nobody reads for a while.
@Suite struct OutputSinkTests {
    /// An output and whoever reads it.
    private struct Output {
        let sink: OutputSink
        private let reading: Int32

        init(_ form: OutputForm, isBlocking: Bool = true) throws {
            var ends: [Int32] = [0, 0]
            try #require(pipe(&ends) == 0)
            if !isBlocking { _ = fcntl(ends[1], F_SETFL, O_NONBLOCK) }
            self.reading = ends[0]
            self.sink = OutputSink(descriptor: ends[1])
            self.sink.form = form
        }

        /// Reads until all of it has been seen.
        func lines(until isComplete: ([Substring]) -> Bool) throws -> [String] {
            var bytes: [UInt8] = []
            var chunk = [UInt8](repeating: 0, count: 1 << 20)
            while true {
                var question = pollfd(fd: self.reading, events: Int16(POLLIN), revents: 0)
                try #require(poll(&question, 1, 10_000) == 1, "nothing more comes")
                let count = read(self.reading, &chunk, chunk.count)
                try #require(count > 0)
                bytes += chunk[..<count]
                guard bytes.last == UInt8(ascii: "\n") else { continue }
                let lines = String(decoding: bytes, as: UTF8.self).split(separator: "\n")
                if isComplete(lines) { return lines.map(String.init) }
            }
        }
    }

    private static func object(_ line: some StringProtocol) -> [String: Any] {
        (try? JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any]) ?? [:]
    }

    /// - Returns: The line that says that others are missing, and how many those are.
    private func dropped(_ form: OutputForm, count: (Substring) -> Int?) throws -> (line: String, missing: Int, written: Int) {
        let output = try Output(form)
        // More than a pipe holds, and than waits.
        for number in 0..<6_000 { output.sink.write(line: #"{"number":\#(number),"padding":"\#(String(repeating: "a", count: 100))"}"#) }
        let lines = try output.lines { lines in
            lines.count - 1 + (lines.lazy.compactMap(count).first ?? 0) == 6_000
        }
        let line = try #require(lines.first { count($0[...]) != nil })
        return (line, try #require(count(line[...])), lines.count - 1)
    }

    @Test func `among events an event says how many lines were dropped`() throws {
        let result = try self.dropped(.events) { Self.object($0)["lines"] as? Int }
        #expect(result.missing > 0 && result.missing + result.written == 6_000)
        #expect(Self.object(result.line)["event"] as? String == "dropped")
        #expect(Set(Self.object(result.line).keys) == ["event", "time", "lines"])
    }

    @Test func `people read in a sentence how many lines were dropped`() throws {
        let result = try self.dropped(.log(.text)) { $0.hasPrefix("(") ? Int($0.dropFirst().prefix { $0.isNumber }) : nil }
        #expect(result.missing > 0 && result.missing + result.written == 6_000)
        #expect(result.line == "(\(result.missing) lines were dropped: nobody read them)")
    }

    @Test func `in a log that programs read, the missing lines are a line like the others`() {
        let json = Self.object(OutputForm.log(.json).dropped(7, .lines))
        #expect(json["level"] as? String == "warning" && json["lines"] as? Int == 7 && json["time"] != nil)
        #expect(json["message"] as? String == "7 lines were dropped: nobody read them")
        let pairs = OutputForm.log(.logfmt).dropped(7, .requests)
        #expect(pairs.hasPrefix("time=2"))
        #expect(pairs.hasSuffix(#" level=warning msg="7 requests were not listed: there are too many" requests=7"#))
    }

    @Test func `an output that somebody made non-blocking loses nothing`() throws {
        let output = try Output(.log(.text), isBlocking: false)
        let sent = (0..<1_000).map { "\($0) " + String(repeating: "a", count: 1_000) }
        for line in sent { output.sink.write(line: line) }
        // The first of them are whole in the pipe; the others find it full.
        #expect(try output.lines { $0.count == sent.count } == sent)
    }
}
