import Foundation

/// Inputs kept in the repository: what a target begins from, and what was once found with it.
///
///     = a ping between two fragments
///     00 00                         # settings, cuts
///     "GET / HTTP/1.1" 0d 0a        # text stands for its bytes
///     | {"a": "b"}                  behind a bar all of the line does, without its end
package struct Fixture: Sendable {
    package let title: String
    package let bytes: [UInt8]

    package static func all(for target: FuzzTarget) throws -> [Fixture] {
        try Self.read("Fixtures/Fuzz/\(target.name).hex")
    }

    /// - Parameter path: From the repository's top.
    package static func read(_ path: String) throws -> [Fixture] {
        let top = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
        let text = try String(contentsOf: top.appending(path: path), encoding: .utf8)
        var fixtures: [Fixture] = []
        var title: String?
        var bytes: [UInt8] = []
        for line in text.split(separator: "\n") {
            if line.hasPrefix("= ") {
                if let title { fixtures.append(Fixture(title: title, bytes: bytes)) }
                (title, bytes) = (String(line.dropFirst(2)), [])
            } else if title != nil, line.hasPrefix("| ") {
                bytes += Array(line.dropFirst(2).utf8)
            } else if title != nil {
                bytes += try Self.bytes(of: line)
            }
        }
        if let title { fixtures.append(Fixture(title: title, bytes: bytes)) }
        return fixtures
    }

    private static func bytes(of line: Substring) throws -> [UInt8] {
        var bytes: [UInt8] = []
        for (index, part) in line.split(separator: "\"", omittingEmptySubsequences: false).enumerated() {
            guard index.isMultiple(of: 2) else {
                bytes += Array(part.utf8)
                continue
            }
            for word in part.prefix(while: { $0 != "#" }).split(separator: " ") {
                guard word.count == 2, let byte = UInt8(word, radix: 16) else { throw Broken("\(word) in \(line) is not a byte") }
                bytes.append(byte)
            }
            if part.contains("#") { break }
        }
        return bytes
    }
}
