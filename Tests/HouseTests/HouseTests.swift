import Foundation
import Testing

/// One Swift file of the package.
struct SourceFile {
    /// From the package's top: `Sources/OpenSSL/HMAC.swift`.
    let path: String
    let lines: [String]

    /// The folder below Sources.
    var room: String { String(self.path.split(separator: "/")[1]) }

    /// Below Sources: `OpenSSL/HMAC.swift`.
    var place: String { String(self.path.dropFirst("Sources/".count)) }

    /// The lines without comments; those within a line go too. Strings stay: a `//` in one hides what follows it, which no
    /// law minds.
    var code: [(number: Int, text: String)] {
        self.lines.enumerated().map { ($0.offset + 1, $0.element.components(separatedBy: "//")[0]) }
    }

    /// What is imported, as written after `import`: a module, or a declaration of one for a scoped import.
    var imports: [(number: Int, name: String)] {
        let kinds: Set<Substring> = ["struct", "class", "enum", "protocol", "func", "var", "let", "typealias", "actor"]
        return self.code.compactMap { number, text in
            let words = text.split(separator: " ")
            guard let position = words.firstIndex(of: "import"), position + 1 < words.count,
                words[..<position].allSatisfy({ $0.hasPrefix("@") || ["public", "package", "internal", "fileprivate", "private"].contains($0) })
            else { return nil }
            let name = kinds.contains(words[position + 1]) && position + 2 < words.count ? words[position + 2] : words[position + 1]
            return (number, String(name))
        }
    }

    static let all: [SourceFile] = Package.files.filter { $0.hasSuffix(".swift") }.compactMap { path in
        guard let text = try? String(contentsOfFile: "\(Package.folder)/\(path)", encoding: .utf8) else { return nil }
        var lines = text.components(separatedBy: "\n")
        if lines.last == "" { lines.removeLast() }
        return SourceFile(path: path, lines: lines)
    }

    static let sources = Self.all.filter { $0.path.hasPrefix("Sources/") }
}

enum Package {
    static let folder = #filePath.components(separatedBy: "/Tests/HouseTests/")[0]

    /// Every file that is or could be committed, from the package's top.
    static let files: [String] = {
        let git = Process()
        let pipe = Pipe()
        git.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        git.arguments = ["git", "-C", Self.folder, "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
        git.standardOutput = pipe
        guard (try? git.run()) != nil else { return [] }
        let output = pipe.fileHandleForReading.readDataToEndOfFile()
        git.waitUntilExit()
        return output.split(separator: 0).map { String(decoding: $0, as: UTF8.self) }
    }()
}

@Suite struct HouseTests {
    @Test func `the house is found and read`() {
        #expect(SourceFile.sources.count > 50)
        #expect(SourceFile.sources.contains { !$0.imports.isEmpty })
        #expect(Set(SourceFile.sources.map(\.room)).isSubset(of: Laws.rooms.keys), "a new room needs its laws")
    }

    @Test func `imports are read in every form`() {
        let file = SourceFile(
            path: "Sources/Example/File.swift",
            lines: [
                "import A", "internal import B", "package import struct C.D", "@preconcurrency public import E // why",
                "// import F", "let text = important", "    import Glibc",
            ])
        #expect(file.imports.map(\.name) == ["A", "B", "C.D", "E", "Glibc"])
    }

    @Test func `a room imports what its law allows`() {
        for file in SourceFile.sources {
            for (number, name) in file.imports {
                let module = String(name.split(separator: ".")[0])
                let isAllowed = Laws.rooms[file.room]?.mayImport.contains(module) == true
                #expect(isAllowed, "\(file.path):\(number) imports \(module)")
                if let allowed = Laws.scoped["\(file.room)/\(module)"] {
                    #expect(allowed.contains(name), "\(file.path):\(number) imports \(name), not only \(allowed.sorted())")
                }
            }
        }
    }

    @Test func `a room does not say what is not its business`() {
        for file in SourceFile.sources {
            let words = (Laws.rooms[file.room]?.neverSays ?? []) + Laws.nowhere
            for (number, text) in file.code {
                for word in words where text.contains(word) {
                    Issue.record("\(file.path):\(number) says \(word)")
                }
            }
            // Work left for later is not hidden in comments either.
            for (offset, text) in file.lines.enumerated() {
                for word in ["TODO", "FIXME"] where text.contains(word) {
                    Issue.record("\(file.path):\(offset + 1) says \(word)")
                }
            }
        }
    }

    @Test func `memory is handled by address only where it must be`() {
        for file in SourceFile.sources where file.room != "OpenSSL" && !Laws.mayPoint.contains(file.place) {
            for (number, text) in file.code {
                for word in Laws.pointers where text.contains(word) {
                    Issue.record("\(file.path):\(number) says \(word)")
                }
            }
        }
    }

    @Test func `a permission to handle addresses is used`() {
        for place in Laws.mayPoint {
            let isUsed = SourceFile.sources.first { $0.place == place }?.code.contains { line in
                Laws.pointers.contains { line.text.contains($0) }
            }
            #expect(isUsed == true, "\(place) no longer needs its permission")
        }
    }

    @Test func `a file stays short enough to be read at once`() {
        for file in SourceFile.all where file.lines.count > Laws.longestFile {
            Issue.record("\(file.path) has \(file.lines.count) lines")
        }
    }

    @Test func `the map of the WebSocket's rules names files that are there`() throws {
        let map = "\(Package.folder)/Sources/WebSocketProtocol/Documentation.docc/Conformance.md"
        let quoted = try String(contentsOfFile: map, encoding: .utf8).components(separatedBy: "`")
            .enumerated().filter { $0.offset % 2 == 1 }.map(\.element)
        let sources = quoted.filter { $0.hasSuffix(".swift") }.map { "Sources/WebSocketProtocol/\($0)" }
        let tests = quoted.filter { $0.hasSuffix("Tests") && !$0.contains("/") }.map { "Tests/WebSocketProtocolTests/\($0).swift" }
        #expect(sources.count > 20 && tests.count > 20)
        for path in Set(sources + tests) { #expect(Package.files.contains(path), "\(path) is not there") }
    }

    @Test func `the top holds what was agreed`() {
        let entries = Set(Package.files.map { String($0.split(separator: "/")[0]) }.filter { !$0.hasPrefix(".") })
        #expect(entries.subtracting(Laws.top).isEmpty)
        #expect(entries.contains("Sources"))
    }
}
