internal import NIOCore

#if canImport(Glibc)
internal import struct Glibc.linger
#elseif canImport(Musl)
internal import struct Musl.linger
#else
internal import struct Darwin.linger
#endif

extension Channel {
    /// Makes a reset of its close: the other side does not take that for a proper end, and what is unsent is dropped.
    func resetOnClose() {
        guard let socket = self as? any SocketOptionProvider else { return }
        _ = socket.setSoLinger(linger(l_onoff: 1, l_linger: 0))
    }
}
