import Glibc

/// A folder for the while of a run.
enum Folder {
    static func make() throws -> String {
        var template = Array("\(getenv("TMPDIR").map { String(cString: $0) } ?? "/tmp")/ws-tunnel-bench.XXXXXX".utf8CString)
        guard mkdtemp(&template) != nil else { throw Failure("cannot make a folder for the while: \(Socket.lastError)") }
        return String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    static func remove(_ folder: String) {
        guard let remove = Programs.find("rm") else { return }
        try? ChildProcess([remove, "-rf", folder], log: "/dev/null").waitForEnd()
    }
}

enum Descriptors {
    /// For this process and those it starts.
    static func raise(to count: Int) throws {
        var limit = rlimit()
        getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
        guard limit.rlim_max >= rlim_t(count) else {
            throw Failure(
                """
                \(count) open files are needed, and \(limit.rlim_max) are allowed
                  Raise the limit as root: ulimit -Hn \(count), or ask for fewer streams: --idle N.
                """)
        }
        limit.rlim_cur = limit.rlim_max
        setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
    }
}
