internal import TunnelProtocol

#if canImport(Glibc)
internal import Glibc
#elseif canImport(Musl)
internal import Musl
#else
internal import Darwin
#endif

/// Finds the descriptor of a connected socket. NIO keeps it to itself, and a connection can only go to another event loop with
/// a duplicate of it.
///
/// It is found by its two addresses, which no other TCP connection of this process has. It costs two system calls for each open
/// descriptor, and happens once when a client comes back on another loop than its session's.
enum SocketDescriptor {
    /// - Returns: A duplicate, closed on exec; `nil` when there is no such socket, or no free descriptor.
    static func duplicate(local: Endpoint, remote: Endpoint) -> CInt? {
        guard let folder = opendir("/dev/fd") else { return nil }
        defer { closedir(folder) }
        while let entry = readdir(folder) {
            let name = withUnsafeBytes(of: &entry.pointee.d_name) { raw in
                String(decoding: raw.prefix { $0 != 0 }, as: UTF8.self)
            }
            guard let descriptor = CInt(name), self.address(descriptor, getpeername) == remote,
                self.address(descriptor, getsockname) == local
            else { continue }
            let copy = fcntl(descriptor, F_DUPFD_CLOEXEC, 0)
            return copy >= 0 ? copy : nil
        }
        return nil
    }

    static func close(_ descriptor: CInt) {
        #if canImport(Glibc)
        _ = Glibc.close(descriptor)
        #elseif canImport(Musl)
        _ = Musl.close(descriptor)
        #else
        _ = Darwin.close(descriptor)
        #endif
    }

    private static func address(
        _ descriptor: CInt, _ call: (CInt, UnsafeMutablePointer<sockaddr>, UnsafeMutablePointer<socklen_t>) -> CInt
    ) -> Endpoint? {
        var storage = sockaddr_storage()
        var length = socklen_t(MemoryLayout<sockaddr_storage>.size)
        let result = withUnsafeMutablePointer(to: &storage) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { call(descriptor, $0, &length) }
        }
        guard result == 0 else { return nil }
        return withUnsafeBytes(of: storage) { raw in
            switch CInt(storage.ss_family) {
            case AF_INET:
                return Endpoint(raw.loadUnaligned(as: sockaddr_in.self))
            case AF_INET6:
                return Endpoint(raw.loadUnaligned(as: sockaddr_in6.self))
            default: return nil
            }
        }
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
