import Glibc

/// What the figures were made on.
struct Machine {
    let processor: String
    let processors: Int
    /// Bytes.
    let memory: Int
    let system: String
    let kernel: String

    init() {
        let cpu = Self.lines("/proc/cpuinfo").first { $0.hasPrefix("model name") }
        self.processor = cpu.map { $0.split(separator: ":").dropFirst().joined(separator: ":") }.map(Self.trimmed) ?? "unknown processor"
        self.processors = sysconf(Int32(_SC_NPROCESSORS_ONLN))
        self.memory = sysconf(Int32(_SC_PHYS_PAGES)) * sysconf(Int32(_SC_PAGESIZE))
        let name = Self.lines("/etc/os-release").first { $0.hasPrefix("PRETTY_NAME=") }
        self.system = name.map { $0.dropFirst("PRETTY_NAME=".count).filter { $0 != "\"" } } ?? "unknown system"
        self.kernel = Self.lines("/proc/sys/kernel/osrelease").first ?? "unknown"
    }

    /// Nil when it was built for speed.
    static var warning: String? {
        #if DEBUG
        "This is a debug build, whose figures mean nothing: swift build -c release --static-swift-stdlib."
        #else
        nil
        #endif
    }

    var sentence: String {
        let cores = self.processors == 1 ? "1 core" : "\(self.processors) cores"
        return "\(self.processor), \(cores), \((Double(self.memory) / Double(1 << 30)).brief) GiB; \(self.system), Linux \(self.kernel)"
    }

    var json: JSON {
        .object([
            ("processor", .text(self.processor)), ("processors", .number(Double(self.processors))),
            ("memoryBytes", .number(Double(self.memory))), ("system", .text(self.system)), ("kernel", .text(self.kernel)),
        ])
    }

    private static func lines(_ path: String) -> [String] {
        guard let text = TextFile.read(path) else { return [] }
        return text.split(separator: "\n").map(String.init)
    }

    private static func trimmed(_ text: String) -> String {
        String(text.drop { $0 == " " })
    }
}

/// Small files, whole.
enum TextFile {
    /// Nil when there is no such file.
    static func read(_ path: String) -> String? {
        guard let file = fopen(path, "r") else { return nil }
        defer { fclose(file) }
        var bytes: [UInt8] = []
        var part = [UInt8](repeating: 0, count: 4_096)
        while true {
            let count = fread(&part, 1, part.count, file)
            guard count > 0 else { return String(decoding: bytes, as: UTF8.self) }
            bytes += part[..<count]
        }
    }

    /// For its owner's eyes only.
    static func write(_ text: String, to path: String) throws {
        let descriptor = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { throw Failure("cannot write \(path): \(Socket.lastError)") }
        defer { close(descriptor) }
        var text = text
        let count = text.withUTF8 { Glibc.write(descriptor, $0.baseAddress, $0.count) }
        guard count == text.utf8.count else { throw Failure("cannot write \(path): \(Socket.lastError)") }
    }
}
