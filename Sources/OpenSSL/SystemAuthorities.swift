internal import COpenSSL
internal import Synchronization

/// The system's authorities in the store of trust of one context (`SSL_CERT_FILE` and `SSL_CERT_DIR` replace them).
///
/// Of the directory libcrypto reads one authority when a chain names it. The file of all of them, 1.2 MB and 15 ms that most clients
/// never need, is read once that was not enough. No store on this machine is no error: a chain fails by itself.
///
/// Connections of several threads use the store meanwhile: libcrypto locks it.
final class SystemAuthorities: Sendable {
    private let fileIsRead = Mutex(false)

    init(in context: OpaquePointer) {
        SSL_CTX_set_default_verify_dir(context)
        // The file's place, which a store in use could not be given safely.
        X509_STORE_add_lookup(SSL_CTX_get_cert_store(context), X509_LOOKUP_file())
    }

    /// Whether a verification that begins now knows all of them.
    var areComplete: Bool { self.fileIsRead.withLock { $0 } }

    /// Adds those of the file to the store of the same context.
    ///
    /// - Returns: Whether they are there.
    func complete(in context: OpaquePointer) -> Bool {
        self.fileIsRead.withLock { isRead in
            if !isRead, let file = X509_STORE_add_lookup(SSL_CTX_get_cert_store(context), X509_LOOKUP_file()) {
                isRead = X509_LOOKUP_ctrl(file, X509_L_FILE_LOAD, nil, Int(X509_FILETYPE_DEFAULT), nil) == 1
            }
            return isRead
        }
    }
}
