import CLinux
import Glibc

/// Level-triggered epoll. Each descriptor is known by a token of the owner's.
final class Poller {
    /// What a descriptor is watched for. Errors and the end of both directions are always reported.
    struct Interest: OptionSet {
        static let read = Interest(rawValue: EPOLLIN.rawValue)
        static let write = Interest(rawValue: EPOLLOUT.rawValue)
        /// The peer sends no more.
        static let end = Interest(rawValue: EPOLLRDHUP.rawValue)
        /// Reported, never asked for: the connection is dead.
        static let failure = Interest(rawValue: EPOLLERR.rawValue | EPOLLHUP.rawValue)

        let rawValue: UInt32
    }

    private let descriptor: Int32
    private let events = UnsafeMutablePointer<epoll_event>.allocate(capacity: Poller.capacity)
    /// Events taken from the kernel in one call.
    private static let capacity = 256

    init() throws {
        self.descriptor = epoll_create1(Int32(EPOLL_CLOEXEC))
        guard self.descriptor >= 0 else { throw Failure("cannot open an epoll instance: \(Socket.lastError)") }
    }

    deinit {
        close(self.descriptor)
        self.events.deallocate()
    }

    /// - Throws: Also when `descriptor` is a file, which epoll does not take.
    func add(_ descriptor: Int32, _ interest: Interest, token: Int) throws {
        guard self.control(EPOLL_CTL_ADD, descriptor, interest, token) else {
            throw Failure("cannot watch a descriptor: \(Socket.lastError)")
        }
    }

    func change(_ descriptor: Int32, _ interest: Interest, token: Int) {
        _ = self.control(EPOLL_CTL_MOD, descriptor, interest, token)
    }

    func remove(_ descriptor: Int32) {
        _ = self.control(EPOLL_CTL_DEL, descriptor, [], 0)
    }

    /// Waits for events, at most until `deadline` on `Clock`.
    ///
    /// - Returns: How many there are.
    func wait(until deadline: UInt64? = nil) -> Int {
        var timeout = timespec()
        if let deadline {
            let now = Clock.now
            let rest = deadline > now ? deadline - now : 0
            timeout = timespec(tv_sec: Int(rest / 1_000_000_000), tv_nsec: Int(rest % 1_000_000_000))
        }
        return max(0, Int(withUnsafePointer(to: &timeout) {
            epoll_pwait2(self.descriptor, self.events, Int32(Self.capacity), deadline == nil ? nil : $0, nil)
        }))
    }

    /// One of the events that the last `wait` found.
    subscript(index: Int) -> (token: Int, ready: Interest) {
        let event = self.events[index]
        return (Int(truncatingIfNeeded: event.data.u64), Interest(rawValue: event.events))
    }

    private func control(_ operation: Int32, _ descriptor: Int32, _ interest: Interest, _ token: Int) -> Bool {
        var event = epoll_event(events: interest.rawValue, data: epoll_data_t(u64: UInt64(bitPattern: Int64(token))))
        return epoll_ctl(self.descriptor, operation, descriptor, &event) == 0
    }
}
