#if canImport(Glibc)
internal import Glibc
#elseif canImport(Musl)
internal import Musl
#else
internal import Darwin
#endif

/// A file that no other process of this machine may lock as long as this value lives. The system takes the lock back when the
/// process ends, however it ends.
package final class FileLock: Sendable {
    package enum Attempt {
        case taken(FileLock)
        case heldByAnother
        case failed
    }

    private let descriptor: CInt

    private init(_ descriptor: CInt) {
        self.descriptor = descriptor
    }

    /// - Parameter path: A file that exists.
    package static func take(_ path: String) -> Attempt {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW)
        guard descriptor >= 0 else { return .failed }
        guard flock(descriptor, LOCK_EX | LOCK_NB) == 0 else {
            let isHeld = errno == EWOULDBLOCK
            close(descriptor)
            return isHeld ? .heldByAnother : .failed
        }
        return .taken(FileLock(descriptor))
    }

    deinit { close(self.descriptor) }
}
