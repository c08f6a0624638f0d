internal import NIOCore
internal import TunnelProtocol

#if canImport(Glibc)
internal import Glibc
#elseif canImport(Musl)
internal import Musl
#else
internal import Darwin
#endif

/// The descriptor of a connected socket, with which a connection can go to another event loop.
enum SocketDescriptor {
    /// - Returns: A duplicate, closed on exec; `nil` when the channel has no socket any more, or no descriptor is free.
    static func duplicate(_ channel: any Channel) -> CInt? {
        let copy = try? channel.pipeline.syncOperations.withUnsafeTransportIfAvailable(of: NIOBSDSocket.Handle.self) { descriptor in
            fcntl(descriptor, F_DUPFD_CLOEXEC, 0)
        }
        return copy.flatMap { $0 >= 0 ? $0 : nil }
    }
}

extension Endpoint {
    init(_ address: sockaddr_in) {
        self.init(.v4(UInt32(bigEndian: address.sin_addr.s_addr)), port: UInt16(bigEndian: address.sin_port))
    }

    /// An IPv4 address mapped into IPv6 is given as what it is.
    init(_ address: sockaddr_in6) {
        let bytes = withUnsafeBytes(of: address.sin6_addr) { raw in
            Opaque16(
                high: UInt64(bigEndian: raw.loadUnaligned(fromByteOffset: 0, as: UInt64.self)),
                low: UInt64(bigEndian: raw.loadUnaligned(fromByteOffset: 8, as: UInt64.self)))
        }
        let port = UInt16(bigEndian: address.sin6_port)
        if bytes.high == 0, bytes.low >> 32 == 0xFFFF {
            self.init(.v4(UInt32(truncatingIfNeeded: bytes.low)), port: port)
        } else {
            self.init(.v6(bytes), port: port)
        }
    }
}
