internal import TunnelTransport

/// Where the pre-shared key comes from: a file, or the environment; never an argument, which every user of the machine can
/// read in the list of processes.
package enum KeySource {
    /// - Parameters:
    ///   - file: One trailing newline is not part of the key.
    ///   - variables: Names of environment variables; the first that is not empty counts.
    /// - Returns: `nil` when none of them has a key.
    /// - Throws: `OperatorError` when the file cannot be read or is empty.
    package static func read(
        file: String?, variables: [String], environment: [String: String]
    ) throws -> String? {
        guard let file else {
            return variables.lazy.compactMap { environment[$0] }.first { !$0.isEmpty }
        }
        return try self.read(
            secret: "key", file: file, remedy: "Write the key into it, for example with: openssl rand -hex 32 > \(file)")
    }

    /// Reads a file that holds one secret; one trailing newline is not part of it.
    ///
    /// - Parameter secret: What the file holds, for messages.
    /// - Throws: `OperatorError` when the file cannot be read or is empty.
    package static func read(secret: String, file: String, remedy: String? = nil) throws -> String {
        var text: String
        do {
            text = try readTextFile(file)
        } catch {
            throw OperatorError(
                .badConfiguration, "cannot read the \(secret) file \(file): \(systemMessage(error.number))",
                remedy: "Check the path and its permissions.")
        }
        if text.hasSuffix("\r\n") || text.hasSuffix("\n") { text.removeLast() }
        guard !text.isEmpty else {
            throw OperatorError(.badConfiguration, "the \(secret) file \(file) is empty", remedy: remedy)
        }
        return text
    }
}
