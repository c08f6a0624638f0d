internal import OpenSSL
internal import TunnelTransport

#if canImport(Glibc)
internal import Glibc
#elseif canImport(Musl)
internal import Musl
#else
internal import Darwin
#endif

/// What the client calls itself, so that its next run gets its ports back at once.
///
/// Clients that run side by side need names of their own: each takes the first name of the state folder that no other one holds,
/// and keeps the file locked as long as it lives. Without a usable state folder a client has no name, and nothing else is lost.
final class ClientName: Sendable {
    /// Empty for none.
    let text: String
    private let descriptor: CInt?

    /// More clients of one user on one machine are nameless.
    private static let names = 64

    init(_ configuration: ClientConfiguration) {
        if let id = configuration.clientID {
            self.text = id
            self.descriptor = nil
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
            let descriptor = open(configuration.stateFolder.file(file), O_RDONLY | O_CLOEXEC | O_NOFOLLOW)
            guard descriptor >= 0 else { break }
            guard flock(descriptor, LOCK_EX | LOCK_NB) == 0 else {
                close(descriptor)
                continue
            }
            self.text = ((try? configuration.stateFolder.read(file)) ?? nil) ?? ""
            self.descriptor = descriptor
            return
        }
        self.text = ""
        self.descriptor = nil
    }

    deinit {
        if let descriptor = self.descriptor { close(descriptor) }
    }
}
