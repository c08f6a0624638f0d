import Glibc

/// What is to be read at once, past the buffers of `print`.
enum Output {
    /// Writes one line.
    ///
    /// - Parameter descriptor: 1 for standard output, 2 for standard error.
    static func say(_ text: String, to descriptor: Int32) {
        var line = text + "\n"
        line.withUTF8 { _ = write(descriptor, $0.baseAddress, $0.count) }
    }
}
