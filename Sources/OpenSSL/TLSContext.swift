internal import COpenSSL

package enum TLSVersion: Sendable {
    case tls12
    case tls13

    fileprivate var code: Int32 {
        switch self {
        case .tls12: TLS1_2_VERSION
        case .tls13: TLS1_3_VERSION
        }
    }
}

/// The rules that many connections share: versions, suites, who we are or whom we trust.
///
/// Nothing changes after `init` but the store of trust, which libcrypto locks, so connections on any thread may use it.
package final class TLSContext: Sendable {
    /// A server's own certificate; nil in a client.
    package let certificate: CertificateSummary?
    /// What is asked of the other side's certificate; nil in a server that asks for none.
    let verification: PeerVerification?
    /// Nil where they are not trusted.
    private let system: SystemAuthorities?
    /// SSL_CTX: libssl counts its references atomically, and nobody here alters it once it is stored.
    nonisolated(unsafe) let pointer: OpaquePointer

    /// For a server that presents `identity`.
    ///
    /// `clientAuthorities`: a PEM file; clients must present a certificate of one of its authorities. Without it, they are not
    /// asked for any.
    /// `maximumVersion`: TLS 1.3, unless something in between is known to break it.
    package init(
        server identity: TLSIdentity, clientAuthorities: String? = nil, maximumVersion: TLSVersion = .tls13
    ) throws(TLSConfigurationError) {
        let context = Self.make(TLS_server_method(), maximumVersion)
        let verification = clientAuthorities.map { PeerVerification.onlyAuthorities($0) }
        do throws(TLSConfigurationError) {
            self.certificate = try identity.install(in: context)
            self.system = try verification?.install(in: context)
        } catch {
            SSL_CTX_free(context)
            throw error
        }
        if verification != nil { PeerVerifier.install(in: context) }
        SSL_CTX_set_alpn_select_cb(context, selectProtocol, nil)
        self.verification = verification
        self.pointer = context
    }

    /// For a client that accepts what `verification` says.
    ///
    /// `identity`: what it presents when the server asks.
    package init(
        client verification: PeerVerification, identity: TLSIdentity? = nil, maximumVersion: TLSVersion = .tls13
    ) throws(TLSConfigurationError) {
        let context = Self.make(TLS_client_method(), maximumVersion)
        do throws(TLSConfigurationError) {
            self.system = try verification.install(in: context)
            _ = try identity?.install(in: context)
        } catch {
            SSL_CTX_free(context)
            throw error
        }
        PeerVerifier.install(in: context)
        PeerVerifier.noteRequests(in: context)
        // Unlike its neighbours, this function returns 0 when it succeeds.
        let offer = [UInt8(http11.count)] + http11
        require(SSL_CTX_set_alpn_protos(context, offer, UInt32(offer.count)) == 0, "ALPN")
        self.certificate = nil
        self.verification = verification
        self.pointer = context
    }

    deinit {
        SSL_CTX_free(self.pointer)
    }

    /// Judges the other side of one connection; nil in a server that asks for no certificate.
    func verifier() -> PeerVerifier? { self.verification.map { PeerVerifier($0, self.system) } }

    private static func make(_ method: OpaquePointer?, _ maximumVersion: TLSVersion) -> OpaquePointer {
        guard let context = SSL_CTX_new(method) else { preconditionFailure("libssl: \(OpenSSLError.drain())") }

        // RFC 8996: versions below 1.2 are gone. Set here, so that the system's openssl.cnf neither adds nor removes.
        require(shim_SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION), "TLS 1.2")
        require(shim_SSL_CTX_set_max_proto_version(context, maximumVersion.code), "TLS 1.3")
        // 112 bits: RSA from 2,048 bits, no SHA-1 in signatures; Debian's default too.
        SSL_CTX_set_security_level(context, 2)
        require(SSL_CTX_set_ciphersuites(context, suites13), "TLS 1.3 suites")
        require(SSL_CTX_set_cipher_list(context, suites12), "TLS 1.2 suites")
        // OpenSSL refuses the whole list for a group that it does not have.
        if shim_SSL_CTX_set1_groups_list(context, groups) != 1 {
            ERR_clear_error()
            require(shim_SSL_CTX_set1_groups_list(context, approvedGroups), "groups")
        }

        // No resumption by ticket or cache: a resumed session skips the certificate, and was once carried from one
        // virtual host to another (CVE-2025-23419). A tunnel's connection lives long; a full handshake is nothing.
        SSL_CTX_set_options(
            context,
            shim_SSL_OP_NO_COMPRESSION | shim_SSL_OP_NO_RENEGOTIATION | shim_SSL_OP_NO_TICKET
                | shim_SSL_OP_CIPHER_SERVER_PREFERENCE)
        shim_SSL_CTX_set_session_cache_mode(context, Int(SSL_SESS_CACHE_OFF))
        require(SSL_CTX_set_num_tickets(context, 0), "tickets")

        // An idle connection keeps no record buffers: 34 KB less for each.
        _ = shim_SSL_CTX_set_mode(context, Int(SSL_MODE_RELEASE_BUFFERS))
        return context
    }
}

/// AES-128 first: it costs 4 to 14 % less CPU than AES-256 in bulk, and nobody breaks either.
private let suites13 = "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256"

/// Forward secrecy and authenticated encryption only, for either kind of certificate.
private let suites12 = """
    ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:\
    ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384:\
    ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305
    """

private let groups = "X25519:P-256:P-384"

/// Where only what FIPS 140 approves is there.
private let approvedGroups = "P-256:P-384"

/// RFC 7301 §6. A WebSocket begins as HTTP/1.1 (RFC 6455 §4.1).
private let http11 = Array("http/1.1".utf8)

/// ALPN on a server: "http/1.1" if it is offered; a client that offers only others is refused (RFC 7301 §3.2).
/// A client that offers nothing does not get here, and is served.
///
///     offer: length (1 byte) name, length name, …      libssl has checked that the lengths add up
private func selectProtocol(
    _: OpaquePointer?, selected: UnsafeMutablePointer<UnsafePointer<UInt8>?>?, length: UnsafeMutablePointer<UInt8>?,
    offer: UnsafePointer<UInt8>?, offerLength: UInt32, _: UnsafeMutableRawPointer?
) -> Int32 {
    let bytes = UnsafeBufferPointer(start: offer, count: Int(offerLength))
    var index = 0
    while index < bytes.count {
        let (start, end) = (index + 1, index + 1 + Int(bytes[index]))
        guard end <= bytes.count else { break }
        if bytes[start..<end].elementsEqual(http11) {
            // libssl copies it out of the offer at once.
            selected?.pointee = offer.map { $0 + start }
            length?.pointee = UInt8(http11.count)
            return SSL_TLSEXT_ERR_OK
        }
        index = end
    }
    return SSL_TLSEXT_ERR_ALERT_FATAL
}
