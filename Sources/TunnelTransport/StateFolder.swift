#if canImport(Glibc)
internal import Glibc
#elseif canImport(Musl)
internal import Musl
#else
internal import Darwin
#endif

/// The folder in which server and client of one user keep what outlives them: mode 0700, private files 0600.
public struct StateFolder: Sendable, Hashable {
    public let path: String

    /// - Parameter path: Made, with the folders above it, when something is first written.
    public init(path: String) {
        self.path = path
    }

    /// `$XDG_STATE_HOME/ws-tunnel`, else `$HOME/.local/state/ws-tunnel`; without either (a bare system service) a
    /// folder of this user's in the place for temporary files.
    public init(environment: [String: String]) {
        if let state = environment["XDG_STATE_HOME"], state.hasPrefix("/") {
            self.path = state + "/ws-tunnel"
        } else if let home = environment["HOME"], home.hasPrefix("/") {
            self.path = home + "/.local/state/ws-tunnel"
        } else {
            self.path = "/tmp/ws-tunnel-\(getuid())"
        }
    }

    package func file(_ name: String) -> String { "\(self.path)/\(name)" }

    /// - Returns: `nil` when there is no such file, or when somebody else could have put it there.
    package func read(_ name: String) throws(OperatorError) -> String? {
        guard self.isOurs else { return nil }
        do {
            return try readTextFile(self.file(name))
        } catch {
            guard error.number == ENOENT else {
                throw OperatorError(.badConfiguration, "cannot read \(self.file(name)): \(systemMessage(error.number))")
            }
            return nil
        }
    }

    /// Writes beside the file and renames, so that a full disk or a crash leaves the old one whole.
    ///
    /// - Parameter isPrivate: Whether only the user may read it.
    package func write(_ text: String, to name: String, isPrivate: Bool) throws(OperatorError) {
        try self.make()
        let target = self.file(name)
        let draft = "\(target).\(getpid()).new"
        func fail(_ doing: String) -> OperatorError {
            let why = systemMessage(errno)
            unlink(draft)
            return OperatorError(
                .failure, "cannot \(doing) \(target): \(why)",
                remedy: "Free some space or make the folder writable, or choose another one with --state-dir.")
        }
        let descriptor = open(draft, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, isPrivate ? 0o600 : 0o644)
        guard descriptor >= 0 else { throw fail("create") }
        let bytes = Array(text.utf8)
        var written = 0
        while written < bytes.count {
            let count = bytes.withUnsafeBytes { Self.write(descriptor, $0, from: written) }
            guard count > 0 else {
                let error = fail("write")
                close(descriptor)
                throw error
            }
            written += count
        }
        // Some file systems report a full disk only now.
        guard fsync(descriptor) == 0, close(descriptor) == 0 else { throw fail("write") }
        guard rename(draft, target) == 0 else { throw fail("put in place") }
    }

    private static func write(_ descriptor: Int32, _ bytes: UnsafeRawBufferPointer, from offset: Int) -> Int {
        guard let start = bytes.baseAddress else { return 0 }
        #if canImport(Glibc)
        return Glibc.write(descriptor, start + offset, bytes.count - offset)
        #elseif canImport(Musl)
        return Musl.write(descriptor, start + offset, bytes.count - offset)
        #else
        return Darwin.write(descriptor, start + offset, bytes.count - offset)
        #endif
    }

    private var isOurs: Bool {
        var facts = stat()
        return lstat(self.path, &facts) == 0 && facts.st_uid == getuid() && facts.st_mode & S_IFMT == S_IFDIR
    }

    private func make() throws(OperatorError) {
        var made = ""
        for part in self.path.split(separator: "/") {
            made += "/" + part
            guard mkdir(made, 0o700) != 0, errno != EEXIST else { continue }
            throw OperatorError(
                .failure, "cannot make the state folder \(self.path): \(systemMessage(errno))",
                remedy: "Choose another one with --state-dir.")
        }
        // It may have been made by hand, or lie where others can write: it must be this user's alone.
        guard self.isOurs, chmod(self.path, 0o700) == 0 else {
            throw OperatorError(
                .badConfiguration, "the state folder \(self.path) is not a folder of this user's",
                remedy: "Choose another one with --state-dir.")
        }
    }
}

/// The C library's number for why a file could not be read.
package struct FileError: Error, Equatable {
    package let number: Int32
}

/// Reads a small text file: a key, a certificate.
///
/// - Throws: Also for more than 1 MiB, which none of them has, or what is not UTF-8.
package func readTextFile(_ path: String) throws(FileError) -> String {
    let descriptor = open(path, O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else { throw FileError(number: errno) }
    defer { close(descriptor) }
    var bytes: [UInt8] = []
    var chunk = [UInt8](repeating: 0, count: 16_384)
    while true {
        let count = read(descriptor, &chunk, chunk.count)
        guard count >= 0 else { throw FileError(number: errno) }
        guard count > 0 else { break }
        bytes += chunk[..<count]
        guard bytes.count <= 1 << 20 else { throw FileError(number: EFBIG) }
    }
    guard let text = String(validating: bytes, as: UTF8.self) else { throw FileError(number: EILSEQ) }
    return text
}
