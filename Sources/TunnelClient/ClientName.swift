internal import OpenSSL
internal import TunnelTransport

/// What the client calls itself, so that its next run gets its ports back at once.
///
/// Clients that run side by side need names of their own: each takes the first name of the state folder that no other one holds,
/// and keeps the file locked as long as it lives. Without a usable state folder a client has no name, and nothing else is lost.
final class ClientName: Sendable {
    /// Empty for none.
    let text: String
    private let lock: FileLock?

    /// More clients of one user on one machine are nameless.
    private static let names = 64

    init(_ configuration: ClientConfiguration) {
        if let id = configuration.clientID {
            self.text = id
            self.lock = nil
            return
        }
        for number in 1...Self.names {
            let file = "client-\(number).id"
            do {
                if try configuration.stateFolder.read(file) == nil {
                    let id = Randomness.bytes(16).map { String($0 >> 4, radix: 16) + String($0 & 0xF, radix: 16) }.joined()
                    try configuration.stateFolder.write(id, to: file, isPrivate: true)
                }
            } catch {
                break
            }
            switch FileLock.take(configuration.stateFolder.file(file)) {
            case .taken(let lock):
                self.text = ((try? configuration.stateFolder.read(file)) ?? nil) ?? ""
                self.lock = lock
                return
            case .heldByAnother: continue
            case .failed: break
            }
            break
        }
        self.text = ""
        self.lock = nil
    }
}
