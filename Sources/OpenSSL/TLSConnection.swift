internal import COpenSSL
package import struct NIOCore.ByteBuffer

/// One TLS connection without a socket: ciphertext and plaintext in, plaintext and ciphertext out.
///
///     socket ──▶ receive(ciphertext) ──▶ plaintext
///     socket ◀── outbound  ◀── encrypt(plaintext), start(), close(), and whatever receiving has to answer
///
///                start                handshake done             close_notify from the peer
///     fresh ──▶ handshaking ─────────▶ established ─────────────▶ closed by the peer
///                    │                      │                        (we may still write)
///                    └───── failure ────────┴──▶ failed: every call throws the first failure again
///
/// After each call the owner sends what lies in `outbound`, after a failure too: that is the alert that says why.
/// The end of the socket's stream without a close_notify is the owner's to judge.
///
/// Confined to whoever owns it: it must not be used from two threads at a time.
package final class TLSConnection {
    package enum Role: Sendable {
        case server
        /// The host that is dialled, a name or an address: the certificate must be for exactly this.
        case client(host: String)
    }

    package enum Progress: Equatable, Sendable {
        /// All the ciphertext was consumed.
        case wantsMore
        /// The plaintext reached the limit. More may lie in the rest of the ciphertext and inside the engine: call
        /// again with what is left of the ciphertext, even if that is nothing.
        case limitReached
        /// The peer said that it sends no more. What came after that was discarded.
        case closed
    }

    package struct Parameters: Equatable, Sendable {
        /// "TLSv1.3"
        package let version: String
        /// "TLS_AES_128_GCM_SHA256"
        package let cipher: String
    }

    /// Ciphertext to be sent, in order. The owner takes it away (see `takeOutbound`) whenever it likes.
    package var outbound = ByteBuffer()
    /// Whether both sides have proved themselves, so that `encrypt` may be called.
    package private(set) var isHandshakeComplete = false

    package let isServer: Bool

    /// What `receive` was given and the engine has not read yet.
    var incoming = LentBytes.none
    /// Records after which our sending key is replaced. RFC 8446 §5.5: AES-GCM keeps its margin for 2^24.5 full records
    /// (390 GB), which a busy tunnel reaches; 2^23 is a third of that.
    var recordsPerKey = 1 << 23

    let ssl: OpaquePointer
    private let verifier: PeerVerifier?
    private var failure: TLSFailure?
    private var isClosed = false
    private var recordsWithThisKey = 0
    /// Bytes that libssl answered by itself since the handshake.
    private var answeredBytes = 0

    /// Throws when the host of a client is neither a host name nor an address.
    package init(context: TLSContext, role: Role) throws(TLSConfigurationError) {
        var server: ServerIdentity?
        if case .client(let host) = role { server = try ServerIdentity(host: host) }
        guard let ssl = SSL_new(context.pointer) else { preconditionFailure("libssl: \(OpenSSLError.drain())") }
        self.ssl = ssl

        if let server {
            guard let verifier = context.verifier() else { preconditionFailure("a server's context in a client") }
            self.verifier = verifier
            verifier.attach(to: ssl, expecting: server)
            self.isServer = false
            SSL_set_connect_state(ssl)
        } else {
            precondition(context.certificate != nil, "a client's context in a server")
            self.verifier = context.verifier()
            self.verifier?.attach(to: ssl)
            self.isServer = true
            SSL_set_accept_state(ssl)
        }

        // The one reference is given away for both directions (SSL_set_bio(3)).
        let bio = BufferBIO.make(for: self)
        SSL_set_bio(ssl, bio, bio)
    }

    deinit {
        SSL_free(self.ssl)
    }

    /// Begins the handshake. A client's first message lies in `outbound` afterwards; a server has nothing to say yet.
    package func start() throws(TLSFailure) {
        try self.throwEarlierFailure()
        OpenSSLError.forget()
        let result = SSL_do_handshake(self.ssl)
        if result != 1, let failure = self.failure(after: result) { throw failure }
        self.noteHandshake()
    }

    /// Takes ciphertext in, and appends at most `limit` bytes of what it says to `plaintext`.
    ///
    /// Consumes all of `ciphertext`, unless the limit was reached. Handshake messages are dealt with on the way, and
    /// their answers lie in `outbound`. After a failure the plaintext decrypted before it is still appended.
    package func receive(
        _ ciphertext: inout ByteBuffer, into plaintext: inout ByteBuffer, limit: Int
    ) throws(TLSFailure) -> Progress {
        precondition(limit > 0, "a limit of \(limit) bytes")
        try self.throwEarlierFailure()

        let offered = ciphertext.readableBytes
        let (isEstablished, waiting) = (self.isHandshakeComplete, self.outbound.readableBytes)
        let result = ciphertext.withUnsafeReadableBytes { bytes in
            self.incoming = LentBytes(bytes)
            return self.decrypt(into: &plaintext, limit: limit)
        }
        let unread = self.incoming.count
        self.incoming = .none

        if isEstablished {
            self.answeredBytes += self.outbound.readableBytes - waiting
            guard self.answeredBytes <= Self.answerLimit else { throw self.fail(.other("the other side asks for answers without end")) }
        }
        let progress = try result.get()
        ciphertext.moveReaderIndex(forwardBy: progress == .closed ? offered : offered - unread)
        return progress
    }

    /// Encrypts all of `plaintext` and appends the records to `outbound`. Only after the handshake.
    package func encrypt(_ plaintext: UnsafeRawBufferPointer) throws(TLSFailure) {
        try self.throwEarlierFailure()
        precondition(self.isHandshakeComplete, "application bytes before the handshake was complete")
        guard plaintext.count > 0 else { return }

        let records = (plaintext.count + Self.recordSize - 1) / Self.recordSize
        self.replaceKeyIfWorn(records)
        self.outbound.reserveCapacity(minimumWritableBytes: plaintext.count + records * Self.recordOverhead)

        OpenSSLError.forget()
        var written = 0
        let result = SSL_write_ex(self.ssl, plaintext.baseAddress, plaintext.count, &written)
        guard result == 1 else {
            throw self.failure(after: result) ?? self.fail(.other("the engine did not take everything"))
        }
        precondition(written == plaintext.count, "wrote \(written) of \(plaintext.count) bytes")
    }

    /// Says that we send no more (close_notify). The peer may go on sending, and `receive` goes on working.
    /// Before the handshake is complete, and after a failure, there is nothing to say.
    package func close() {
        guard self.failure == nil, self.isHandshakeComplete, !self.isClosed else { return }
        self.isClosed = true
        ERR_clear_error()
        _ = SSL_shutdown(self.ssl)
        ERR_clear_error()
    }

    /// Gives the ciphertext to be sent, and leaves `recycled`, emptied, to be filled next.
    package func takeOutbound(leaving recycled: consuming ByteBuffer = ByteBuffer()) -> ByteBuffer {
        recycled.clear()
        swap(&self.outbound, &recycled)
        return recycled
    }

    /// What the two sides agreed on; nil before the handshake is complete.
    package var negotiated: Parameters? {
        guard self.isHandshakeComplete, let version = SSL_get_version(self.ssl),
            let cipher = SSL_CIPHER_get_name(SSL_get_current_cipher(self.ssl))
        else { return nil }
        return Parameters(version: String(cString: version), cipher: String(cString: cipher))
    }

    /// The protocol agreed on by ALPN; nil when the other side takes no part in that.
    package var applicationProtocol: String? {
        var name: UnsafePointer<UInt8>?
        var length: UInt32 = 0
        SSL_get0_alpn_selected(self.ssl, &name, &length)
        guard let name, length > 0 else { return nil }
        return String(decoding: UnsafeBufferPointer(start: name, count: Int(length)), as: UTF8.self)
    }

    /// The certificate the peer presented; nil before that, and in a server that asks for none.
    package var peerCertificate: CertificateSummary? {
        SSL_get0_peer_certificate(self.ssl).map { CertificateSummary(certificate: $0) }
    }

    /// In a client: whether the server has asked for a certificate of ours.
    package var isAskedForCertificate: Bool { self.verifier?.isAsked ?? false }

    /// The server name the client asked for (SNI), as it was sent; nil if it sent none.
    package var requestedServerName: String? {
        SSL_get_servername(self.ssl, TLSEXT_NAMETYPE_host_name).map { String(cString: $0) }
    }

    // RFC 8446 §5.1: at most 2^14 bytes of plaintext in a record.
    private static var recordSize: Int { 16_384 }
    // TLS 1.2 with AES-GCM: header 5, explicit nonce 8, tag 16. TLS 1.3: header 5, content type 1, tag 16.
    private static var recordOverhead: Int { 29 }

    /// What the peer may have libssl answer, if it reads that or not: 1 MiB are 39,000 key updates of TLS 1.3, one for each 16 GB of a
    /// connection that has carried 600 TB, or as many renegotiations of TLS 1.2 that were refused.
    private static var answerLimit: Int { 1 << 20 }

    private func decrypt(into plaintext: inout ByteBuffer, limit: Int) -> Result<Progress, TLSFailure> {
        var remaining = limit
        while remaining > 0 {
            var result: Int32 = 1
            // One call decrypts one record at most, straight into the caller's buffer.
            let count = plaintext.writeWithUnsafeMutableBytes(minimumWritableBytes: min(Self.recordSize, remaining)) {
                var count = 0
                OpenSSLError.forget()
                result = SSL_read_ex(self.ssl, $0.baseAddress, min($0.count, remaining), &count)
                return result == 1 ? count : 0
            }
            self.noteHandshake()
            guard result == 1 else {
                if let failure = self.failure(after: result) { return .failure(failure) }
                return .success(self.isClosedByPeer ? .closed : .wantsMore)
            }
            remaining -= count
            // Nothing is left to decrypt: asking once more would only fetch a buffer and give it back.
            if self.incoming.count == 0, SSL_pending(self.ssl) == 0 { return .success(.wantsMore) }
        }
        return .success(.limitReached)
    }

    /// SSL_get_error after a call that did not succeed: nil when it only wants more bytes, or found the end.
    private func failure(after result: Int32) -> TLSFailure? {
        switch SSL_get_error(self.ssl, result) {
        case SSL_ERROR_WANT_READ:
            return nil
        case SSL_ERROR_ZERO_RETURN:
            return self.isHandshakeComplete ? nil : self.fail(.closedDuringHandshake)
        default:
            if let refused = self.verifier?.failure {
                ERR_clear_error()
                return self.fail(.certificate(refused))
            }
            return self.fail(self.judged(.drained(established: self.isHandshakeComplete)))
        }
    }

    /// An alert that answers our certificate, or the lack of one. In TLS 1.3 it comes when the handshake is over for us.
    private func judged(_ failure: TLSFailure) -> TLSFailure {
        guard case .peerAlert(let alert) = failure, !self.isServer, self.isAskedForCertificate,
            alert.concernsCertificate(isPresented: SSL_get_certificate(self.ssl) != nil)
        else { return failure }
        return .ownCertificate(alert)
    }

    private func fail(_ failure: TLSFailure) -> TLSFailure {
        self.failure = failure
        return failure
    }

    private func throwEarlierFailure() throws(TLSFailure) {
        if let failure = self.failure { throw failure }
    }

    private func noteHandshake() {
        if !self.isHandshakeComplete, SSL_is_init_finished(self.ssl) == 1 { self.isHandshakeComplete = true }
    }

    private var isClosedByPeer: Bool {
        SSL_get_shutdown(self.ssl) & SSL_RECEIVED_SHUTDOWN != 0
    }

    /// TLS 1.3 replaces a key by a KeyUpdate message, which leaves with the next record. TLS 1.2 has no such thing.
    private func replaceKeyIfWorn(_ records: Int) {
        self.recordsWithThisKey += records
        guard self.recordsWithThisKey > self.recordsPerKey, SSL_version(self.ssl) == TLS1_3_VERSION else { return }
        self.recordsWithThisKey = records
        SSL_key_update(self.ssl, SSL_KEY_UPDATE_NOT_REQUESTED)
    }
}
