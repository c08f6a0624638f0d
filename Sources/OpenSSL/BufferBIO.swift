internal import COpenSSL

/// The BIO between libssl and a connection's buffers: no copy of its own, no allocation, no system call.
///
///     ciphertext being received ──read──▶ SSL ──write──▶ connection.outbound
///
/// It reads what a call to `receive` lends it, and nothing outside of such a call. It takes every write whole, so
/// libssl never has a write to retry.
enum BufferBIO {
    /// Owned by the caller until `SSL_set_bio`. `connection` must outlive it: it is not retained.
    static func make(for connection: TLSConnection) -> OpaquePointer {
        guard let bio = BIO_new(self.method) else { preconditionFailure("out of memory") }
        BIO_set_data(bio, Unmanaged.passUnretained(connection).toOpaque())
        return bio
    }

    /// Made once and never freed; libcrypto only reads it.
    nonisolated(unsafe) private static let method: OpaquePointer = {
        let kind = BIO_get_new_index() | BIO_TYPE_SOURCE_SINK
        guard let method = BIO_meth_new(kind, "ws-tunnel buffers") else { preconditionFailure("out of memory") }
        BIO_meth_set_create(method, create)
        BIO_meth_set_read(method, read)
        BIO_meth_set_write(method, write)
        BIO_meth_set_ctrl(method, control)
        return method
    }()
}

private func create(_ bio: OpaquePointer?) -> Int32 {
    BIO_set_init(bio, 1)
    return 1
}

private func read(_ bio: OpaquePointer?, _ space: UnsafeMutablePointer<CChar>?, _ count: Int32) -> Int32 {
    shim_BIO_clear_retry_flags(bio)
    let connection = Unmanaged<TLSConnection>.fromOpaque(BIO_get_data(bio))
    let taken = connection._withUnsafeGuaranteedRef {
        $0.incoming.copy(to: UnsafeMutableRawBufferPointer(start: space, count: Int(count)))
    }
    if taken > 0 { return Int32(taken) }
    shim_BIO_set_retry_read(bio)
    return -1
}

private func write(_ bio: OpaquePointer?, _ bytes: UnsafePointer<CChar>?, _ count: Int32) -> Int32 {
    shim_BIO_clear_retry_flags(bio)
    let connection = Unmanaged<TLSConnection>.fromOpaque(BIO_get_data(bio))
    connection._withUnsafeGuaranteedRef {
        _ = $0.outbound.writeBytes(UnsafeRawBufferPointer(start: bytes, count: Int(count)))
    }
    return count
}

/// Only a flush succeeds; it has nothing to do. Everything else is answered as unsupported.
private func control(_: OpaquePointer?, _ command: Int32, _: Int, _: UnsafeMutableRawPointer?) -> Int {
    command == BIO_CTRL_FLUSH ? 1 : 0
}

/// Ciphertext lent to the BIO for the length of one call.
struct LentBytes {
    private var remaining: UnsafeRawBufferPointer

    static var none: LentBytes { LentBytes(UnsafeRawBufferPointer(start: nil, count: 0)) }

    init(_ bytes: UnsafeRawBufferPointer) {
        self.remaining = bytes
    }

    var count: Int { self.remaining.count }

    /// As much as fits, and takes it off the front.
    mutating func copy(to space: UnsafeMutableRawBufferPointer) -> Int {
        let count = min(space.count, self.remaining.count)
        guard count > 0 else { return 0 }
        space.copyMemory(from: UnsafeRawBufferPointer(rebasing: self.remaining.prefix(count)))
        self.remaining = UnsafeRawBufferPointer(rebasing: self.remaining.dropFirst(count))
        return count
    }
}
