internal import OpenSSL
internal import TunnelTransport

/// What the client calls itself, so that its next run gets its ports and names back at once.
///
/// Clients that run side by side need names of their own: each takes the first name of the state folder that no other one holds,
/// and keeps the file locked as long as it lives. Without a usable state folder a client has no name, and nothing else is lost.
final class ClientName: Sendable {
    /// Empty for none.
    let text: String
    /// Why there is none, for whoever wonders at the next start.
    let failure: OperatorError?
    private let lock: FileLock?

    /// More clients of one user on one machine are nameless.
    private static let names = 64

    init(_ configuration: ClientConfiguration) {
        if let id = configuration.clientID {
            (self.text, self.lock, self.failure) = (id, nil, nil)
            return
        }
        do {
            let (text, lock) = try Self.take(from: configuration.stateFolder)
            (self.text, self.lock, self.failure) = (text, lock, nil)
        } catch {
            (self.text, self.lock) = ("", nil)
            self.failure = OperatorError(
                error.code, "\(error.message): ports and public names may be others at the next start",
                remedy: "To keep them, pass --client-id or --state-dir.")
        }
    }

    private static func take(from folder: StateFolder) throws(OperatorError) -> (text: String, lock: FileLock) {
        for number in 1...Self.names {
            let file = "client-\(number).id"
            if try folder.read(file) == nil {
                let id = Randomness.bytes(16).map { String($0 >> 4, radix: 16) + String($0 & 0xF, radix: 16) }.joined()
                try folder.write(id, to: file, isPrivate: true)
            }
            switch FileLock.take(folder.file(file)) {
            case .taken(let lock):
                // Somebody may have removed it meanwhile.
                if let text = try folder.read(file) { return (text, lock) }
            case .heldByAnother: break
            case .failed: throw OperatorError(.failure, "cannot lock \(folder.file(file))")
            }
        }
        throw OperatorError(.failure, "the state folder \(folder.path) has no name left for one more client")
    }
}
