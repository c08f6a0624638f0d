package import Intermediaries
package import TunnelProtocol
package import struct NIOCore.ByteBuffer
internal import OpenSSL

/// Whom a tunnel takes requests from, and how large they may be. The client states it with LISTEN; the server applies it to every
/// request, not only to the first of a connection.
///
/// Passwords never reach the server: a credential is the HMAC-SHA256 of `user:password` under a random salt. It is not a slow hash,
/// because the server has to compute it for every request that strangers send, and would be stopped by a few hundred of them a
/// second. So a password that can be guessed can be guessed from the policy by whoever reads the server's memory; one of 16
/// random characters cannot.
package struct TunnelPolicy: Equatable, Sendable {
    /// What a visitor may do.
    package enum Verdict: Equatable, Sendable {
        case allowed
        /// 403: not from this address.
        case forbidden
        /// 401: without a user and password, or with wrong ones.
        case unauthorized
    }

    private let salt: [UInt8]
    private var credentials: [[UInt8]] = []
    /// When there are any, only visitors from these.
    package private(set) var allow: [CIDR]
    /// Never visitors from these, be they allowed or not.
    package private(set) var deny: [CIDR]
    /// Of one request; `nil`: any.
    package private(set) var maximumBodyBytes: UInt64?

    /// Bytes of salt that a client draws: no two policies share one.
    package static let saltBytes = 16

    /// - Parameters:
    ///   - credentials: `user:password` each; a user has no colon in it (RFC 7617 §2).
    ///   - salt: Random bytes, 1 to 64.
    package init(
        credentials: [String] = [], salt: [UInt8] = [], allow: [CIDR] = [], deny: [CIDR] = [], maximumBodyBytes: UInt64? = nil
    ) {
        self.salt = salt
        self.credentials = credentials.map { OpenSSL.HMAC.sha256(key: salt, message: Array($0.utf8)) }
        self.allow = allow
        self.deny = deny
        self.maximumBodyBytes = maximumBodyBytes.map { min($0, Varint.maximum) }
    }

    /// Whether everything is allowed, so that there is nothing to send.
    package var isEmpty: Bool {
        self.credentials.isEmpty && self.allow.isEmpty && self.deny.isEmpty && self.maximumBodyBytes == nil
    }

    /// Whether Authorization is the tunnel's own, and not for the service.
    package var asksForCredentials: Bool { !self.credentials.isEmpty }

    /// - Parameters:
    ///   - visitor: Where the request comes from, as far as trusted proxies vouch for it.
    ///   - authorization: The values of the request's Authorization fields.
    package func verdict(visitor: Endpoint.Address?, authorization: [String]) -> Verdict {
        guard self.admits(visitor) else { return .forbidden }
        guard self.asksForCredentials else { return .allowed }
        guard authorization.count == 1, let credential = Self.basic(authorization[0]) else { return .unauthorized }
        let hash = OpenSSL.HMAC.sha256(key: self.salt, message: credential)
        // Every one is looked at: the time does not tell which of them it was.
        var isKnown = false
        for known in self.credentials where constantTimeEqual(known, hash) { isKnown = true }
        return isKnown ? .allowed : .unauthorized
    }

    /// Whether visitors from this address are let in at all: what can be known before a request, and for tunnels that carry none.
    ///
    /// - Parameter visitor: `nil` when it is not known for sure; where addresses count, nobody knows then who that is.
    package func admits(_ visitor: Endpoint.Address?) -> Bool {
        guard let visitor else { return self.allow.isEmpty && self.deny.isEmpty }
        guard !self.deny.contains(where: { $0.contains(visitor) }) else { return false }
        return self.allow.isEmpty || self.allow.contains { $0.contains(visitor) }
    }

    /// The user and password of RFC 7617; `nil` for another scheme, or what is not Base64.
    private static func basic(_ authorization: String) -> [UInt8]? {
        let bytes = authorization.utf8
        guard Substring(bytes.prefix(6)).isName("basic ") else { return nil }
        return Base64.decoded(Substring(bytes.dropFirst(6)).trimmedBlanks)
    }
}

// MARK: On the wire

extension TunnelPolicy {
    /// Keys, as for the parameters of frames: key and length as varints, then the value.
    private enum Key {
        static let salt: UInt64 = 1
        static let credential: UInt64 = 2
        static let allow: UInt64 = 3
        static let deny: UInt64 = 4
        static let maximumBodyBytes: UInt64 = 5
    }

    /// The policy as LISTEN carries it, perhaps longer than `Limits.Specification.policyBytes`.
    package func encoded() -> ByteBuffer {
        var bytes = ByteBuffer()
        if !self.credentials.isEmpty {
            bytes.writeEntry(Key.salt, self.salt)
            for credential in self.credentials { bytes.writeEntry(Key.credential, credential) }
        }
        for network in self.allow { bytes.writeEntry(Key.allow, Array(network.description.utf8)) }
        for network in self.deny { bytes.writeEntry(Key.deny, Array(network.description.utf8)) }
        if let limit = self.maximumBodyBytes {
            bytes.writeVarint(Key.maximumBodyBytes)
            bytes.writeVarint(UInt64(Varint.encodedLength(limit)))
            bytes.writeVarint(limit)
        }
        return bytes
    }

    /// - Throws: `MalformedPolicy` for anything that is not understood: a rule that is passed over would let somebody in.
    package init(decoding bytes: ByteBuffer) throws(MalformedPolicy) {
        guard bytes.readableBytes <= Limits.Specification.policyBytes else {
            throw MalformedPolicy("a policy has at most \(Limits.Specification.policyBytes) bytes")
        }
        var bytes = bytes
        var salt: [UInt8]?
        var credentials: [[UInt8]] = []
        var (allow, deny): ([CIDR], [CIDR]) = ([], [])
        var limit: UInt64?
        while bytes.readableBytes > 0 {
            guard let key = bytes.readVarint(), let length = bytes.readVarint(), let count = Int(exactly: length),
                var value = bytes.readSlice(length: count)
            else { throw MalformedPolicy("a policy that is too short") }
            switch key {
            case Key.salt:
                guard salt == nil, 1...64 ~= count else { throw MalformedPolicy("a salt of \(count) bytes, or a second one") }
                salt = Array(value.readableBytesView)
            case Key.credential:
                guard count == 32 else { throw MalformedPolicy("a credential of \(count) bytes") }
                credentials.append(Array(value.readableBytesView))
            case Key.allow: allow.append(try Self.network(value))
            case Key.deny: deny.append(try Self.network(value))
            case Key.maximumBodyBytes:
                guard limit == nil, let bytes = value.readVarint(), value.readableBytes == 0 else {
                    throw MalformedPolicy("a size that is none, or a second one")
                }
                limit = bytes
            default: throw MalformedPolicy("a rule of kind \(key), which this server does not know")
            }
        }
        guard credentials.isEmpty == (salt == nil) else { throw MalformedPolicy("credentials without a salt, or a salt without them") }
        self.salt = salt ?? []
        self.credentials = credentials
        self.allow = allow
        self.deny = deny
        self.maximumBodyBytes = limit
    }

    private static func network(_ bytes: ByteBuffer) throws(MalformedPolicy) -> CIDR {
        do throws(CIDRError) {
            return try CIDR(String(decoding: bytes.readableBytesView, as: UTF8.self))
        } catch {
            throw MalformedPolicy("a network that is none")
        }
    }
}

/// A policy that the server cannot apply. It refuses the tunnel.
package struct MalformedPolicy: Error, Equatable, Sendable {
    package let sentence: String

    init(_ sentence: String) {
        self.sentence = sentence
    }
}

extension ByteBuffer {
    fileprivate mutating func writeEntry(_ key: UInt64, _ value: [UInt8]) {
        self.writeVarint(key)
        self.writeVarint(UInt64(value.count))
        self.writeBytes(value)
    }
}
