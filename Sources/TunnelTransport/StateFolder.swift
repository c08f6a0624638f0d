#if canImport(Glibc)
internal import Glibc
#elseif canImport(Musl)
internal import Musl
#else
internal import Darwin
#endif

/// The folder in which server and client of one user keep what outlives them: made with mode 0700, its private files 0600. Of a folder
/// that was there before, nobody else may have the right to write to it.
public struct StateFolder: Sendable, Hashable {
    public let path: String

    /// - Parameter path: Made, with the folders above it, when something is first written.
    public init(path: String) {
        self.path = path
    }

    /// `$XDG_STATE_HOME/ws-tunnel`, else `$HOME/.local/state/ws-tunnel`; without either (a bare system service) what systemd made for
    /// the service (`StateDirectory=`), or a folder of this user's in the place for temporary files.
    public init(environment: [String: String]) {
        if let state = environment["XDG_STATE_HOME"], state.hasPrefix("/") {
            self.path = state + "/ws-tunnel"
        } else if let home = environment["HOME"], home.hasPrefix("/") {
            self.path = home + "/.local/state/ws-tunnel"
        } else if let made = environment["STATE_DIRECTORY"]?.split(separator: ":").first, made.hasPrefix("/") {
            self.path = String(made)
        } else {
            self.path = Self.temporary
        }
    }

    private static var temporary: String { "/tmp/ws-tunnel-\(getuid())" }

    /// Whether what is kept here may be gone after a restart of the machine.
    package var isTemporary: Bool { self.path == Self.temporary }

    package func file(_ name: String) -> String { "\(self.path)/\(name)" }

    /// - Returns: `nil` when there is no such file, or when somebody else could have put it there.
    package func read(_ name: String) throws(OperatorError) -> String? {
        guard self.owner == .us else { return nil }
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

    private enum Owner {
        case us
        /// It is ours, and others may write to it.
        case usAndOthers
        case notUs
    }

    private var owner: Owner {
        var facts = stat()
        // Where anybody may write, a link can be anybody's; elsewhere it is how systemd gives a service its folder.
        let found = self.isTemporary ? lstat(self.path, &facts) : stat(self.path, &facts)
        guard found == 0, facts.st_uid == getuid(), facts.st_mode & S_IFMT == S_IFDIR else { return .notUs }
        return facts.st_mode & (S_IWGRP | S_IWOTH) == 0 ? .us : .usAndOthers
    }

    private func make() throws(OperatorError) {
        var made = self.path.hasPrefix("/") ? "" : "."
        for part in self.path.split(separator: "/") {
            made += "/" + part
            guard mkdir(made, 0o700) != 0, errno != EEXIST else { continue }
            throw OperatorError(
                .failure, "cannot make the state folder \(self.path): \(systemMessage(errno))",
                remedy: "Choose another one with --state-dir.")
        }
        switch self.owner {
        case .us: return
        case .usAndOthers:
            throw OperatorError(
                .badConfiguration, "others may write to the state folder \(self.path)",
                remedy: "Take that right away (chmod go-w), or choose another folder with --state-dir.")
        case .notUs:
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
