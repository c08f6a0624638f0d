internal import COpenSSL

/// A PEM text being read, from a file or from memory, and the name it has in messages.
final class PEM {
    /// The path, or words such as "the private key PEM".
    let name: String
    private let text: String
    private let bio: OpaquePointer

    init(text: String, name: String) {
        let bytes = Array(text.utf8)
        guard let bio = BIO_new(BIO_s_mem()) else { preconditionFailure("out of memory") }
        if !bytes.isEmpty { require(BIO_write(bio, bytes, Int32(bytes.count)), "keeping a PEM text") }
        self.text = text
        self.bio = bio
        self.name = name
    }

    /// Reads the whole file first, so that what cannot be read is told from what is no PEM.
    convenience init(file path: String) throws(TLSConfigurationError) {
        self.init(text: try Self.contents(of: path), name: path)
    }

    deinit {
        BIO_free_all(self.bio)
    }

    /// The certificate that comes next, owned by the caller; nil at the end of the text.
    func nextCertificate() throws(TLSConfigurationError) -> OpaquePointer? {
        ERR_clear_error()
        if let certificate = PEM_read_bio_X509(self.bio, nil, refusePassphrase, nil) { return certificate }
        let error = OpenSSLError.drain()
        if error.contains(library: ERR_LIB_PEM, reason: PEM_R_NO_START_LINE) { return nil }
        throw self.unreadable(error, as: "certificate")
    }

    func firstCertificate() throws(TLSConfigurationError) -> OpaquePointer {
        guard let certificate = try self.nextCertificate() else {
            throw TLSConfigurationError("\(self.name) holds no PEM certificate (-----BEGIN CERTIFICATE-----)")
        }
        return certificate
    }

    func withFirstCertificate<Value>(_ body: (OpaquePointer) -> Value) throws(TLSConfigurationError) -> Value {
        let certificate = try self.firstCertificate()
        defer { X509_free(certificate) }
        return body(certificate)
    }

    /// The private key, owned by the caller. An encrypted one is refused: nobody is asked for a passphrase.
    func privateKey() throws(TLSConfigurationError) -> OpaquePointer {
        ERR_clear_error()
        var wasAsked = false
        if let key = PEM_read_bio_PrivateKey(self.bio, nil, refusePassphrase, &wasAsked) { return key }
        let error = OpenSSLError.drain()
        if wasAsked {
            throw TLSConfigurationError("\(self.name) is encrypted: a private key without a passphrase is needed")
        }
        if !self.text.contains("PRIVATE KEY-----") {
            throw TLSConfigurationError("\(self.name) holds no PEM private key (-----BEGIN PRIVATE KEY-----)")
        }
        throw self.unreadable(error, as: "private key")
    }

    private func unreadable(_ error: OpenSSLError, as kind: String) -> TLSConfigurationError {
        TLSConfigurationError("\(self.name) holds a damaged PEM \(kind): \(error)")
    }

    // 16 MiB: the authorities of a whole system are 200 KB. A device or a log given by mistake ends here.
    private static let sizeLimit = 16 << 20

    private static func contents(of path: String) throws(TLSConfigurationError) -> String {
        ERR_clear_error()
        guard let file = BIO_new_file(path, "r") else {
            throw TLSConfigurationError("cannot read \(path): \(OpenSSLError.drain())")
        }
        defer { BIO_free_all(file) }

        var contents: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 65_536)
        while true {
            let count = BIO_read(file, &chunk, Int32(chunk.count))
            if count == 0 { return String(decoding: contents, as: UTF8.self) }
            guard count > 0 else { throw TLSConfigurationError("cannot read \(path): \(OpenSSLError.drain())") }
            contents += chunk.prefix(Int(count))
            guard contents.count <= self.sizeLimit else {
                throw TLSConfigurationError("cannot read \(path): larger than any file of certificates")
            }
        }
    }
}

extension PEM {
    /// What `body` writes.
    static func text(_ body: (OpaquePointer) -> Int32) -> String {
        guard let bio = BIO_new(BIO_s_mem()) else { preconditionFailure("out of memory") }
        defer { BIO_free_all(bio) }
        guard body(bio) >= 0 else { preconditionFailure("OpenSSL cannot encode: \(OpenSSLError.drain())") }
        var data: UnsafeMutablePointer<CChar>?
        let count = shim_BIO_get_mem_data(bio, &data)
        guard let data, count > 0 else { return "" }
        return String(decoding: UnsafeRawBufferPointer(start: data, count: count), as: UTF8.self)
    }
}

/// Without a callback OpenSSL would prompt on the terminal and wait, which a service must never do.
/// `asked`, when given, points to a `Bool` that tells the caller a passphrase was needed.
private func refusePassphrase(
    _: UnsafeMutablePointer<CChar>?, _: Int32, _: Int32, asked: UnsafeMutableRawPointer?
) -> Int32 {
    asked?.assumingMemoryBound(to: Bool.self).pointee = true
    return -1
}
