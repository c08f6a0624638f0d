internal import COpenSSL

/// What libssl and libcrypto left in this thread's error queue, oldest first.
///
/// The first entry is the cause; the later ones are the callers reporting that something below them failed.
struct OpenSSLError: Error, Equatable, CustomStringConvertible {
    struct Entry: Equatable {
        /// `ERR_LIB_…`: who raised it.
        let library: Int32
        /// `SSL_R_…`, `PEM_R_…`, …; for the operating system's errors, `errno`.
        let reason: Int32
        /// OpenSSL's words for the reason.
        let text: String
    }

    let entries: [Entry]

    /// Takes everything out of the queue, which is empty afterwards.
    static func drain() -> OpenSSLError {
        var entries: [Entry] = []
        while true {
            let code = ERR_get_error()
            guard code != 0 else { return OpenSSLError(entries: entries) }
            entries.append(Entry(code: code))
        }
    }

    /// Empties the queue, before a call whose failure is to be read from it. Nearly always it is empty, which is quicker to see than to
    /// bring about.
    static func forget() {
        if ERR_peek_error() != 0 { ERR_clear_error() }
    }

    /// The cause, if the queue told one.
    var cause: Entry? { self.entries.first }

    var description: String { self.cause?.text ?? "OpenSSL gave no reason" }

    func contains(library: Int32, reason: Int32) -> Bool {
        self.entries.contains { $0.library == library && $0.reason == reason }
    }
}

extension OpenSSLError.Entry {
    fileprivate init(code: UInt) {
        self.library = ERR_GET_LIB(code)
        self.reason = ERR_GET_REASON(code)
        if self.library == ERR_LIB_SYS {
            self.text = String(cString: shim_strerror(self.reason))
        } else if let words = ERR_reason_error_string(code) {
            self.text = String(cString: words)
        } else {
            self.text = "error \(self.reason) of OpenSSL's library \(self.library)"
        }
    }
}

/// For calls that can only fail for want of memory or by a mistake of ours: failure stops the process, and says where.
func require(_ succeeded: Bool, _ what: @autoclosure () -> String) {
    guard succeeded else { preconditionFailure("OpenSSL failed at \(what()): \(OpenSSLError.drain())") }
}

/// The same for OpenSSL's usual convention, under which a positive result is success.
func require(_ result: Int32, _ what: @autoclosure () -> String) {
    require(result > 0, what())
}
