package import struct NIOCore.ByteBuffer
package import TunnelProtocol

/// SOCKS 5 (RFC 1928), with a user's name and password where the proxy wants them (RFC 1929).
///
///     greeting ▶ ◀ method ┬────────────no authentication────────────┬ request ▶ ◀ reply ─▶ established
///                         └ user, password ▶ ◀ status ──────────────┘
///
/// Every answer but the last has two bytes, the last ten for IPv4. Nothing is kept beyond an answer's longest form, 262 bytes.
package struct SOCKSHandshake: ProxyHandshake {
    package enum Destination: Equatable, Sendable {
        case address(Endpoint.Address)
        /// Resolved by the proxy; 1 to 255 bytes.
        case name(String)
    }

    private enum State {
        case awaitingMethod, awaitingStatus, awaitingReply
    }

    /// RFC 1928 §3 and RFC 1929 §2.
    private enum Code {
        static let version: UInt8 = 5
        static let authenticationVersion: UInt8 = 1
        static let noAuthentication: UInt8 = 0
        static let userAndPassword: UInt8 = 2
        static let connect: UInt8 = 1
        static let v4: UInt8 = 1
        static let name: UInt8 = 3
        static let v6: UInt8 = 4
    }

    private let destination: Destination
    private let port: UInt16
    private let credentials: ProxyCredentials?
    private var state = State.awaitingMethod
    private var received: [UInt8] = []
    private var failure: ProxyRefusal?

    /// `nil` when the name is longer than SOCKS can say, or empty.
    package init?(destination: Destination, port: UInt16, credentials: ProxyCredentials?) {
        if case .name(let name) = destination, !(1...255 ~= name.utf8.count) { return nil }
        self.destination = destination
        self.port = port
        self.credentials = credentials
    }

    package mutating func start() -> ByteBuffer {
        // No authentication is always offered: many proxies trust a network rather than a password.
        let methods = [Code.noAuthentication] + (self.credentials == nil ? [] : [Code.userAndPassword])
        return ByteBuffer(bytes: [Code.version, UInt8(truncatingIfNeeded: methods.count)] + methods)
    }

    package mutating func receive(_ bytes: inout ByteBuffer) throws(ProxyRefusal) -> ProxyProgress {
        do throws(ProxyRefusal) {
            if let failure { throw failure }
            while let byte = bytes.readInteger(as: UInt8.self) {
                self.received.append(byte)
                guard let progress = try self.step() else { continue }
                // A proxy that answers what it has not been asked yet is not listened to.
                bytes.moveReaderIndex(to: bytes.writerIndex)
                self.received = []
                return progress
            }
            return .wantsMore
        } catch {
            self.failure = error
            bytes.moveReaderIndex(to: bytes.writerIndex)
            throw error
        }
    }

    /// What the bytes so far come to; `nil` when that takes more of them.
    private mutating func step() throws(ProxyRefusal) -> ProxyProgress? {
        switch self.state {
        case .awaitingMethod:
            guard self.received[0] == Code.version else { throw .notSOCKS }
            guard self.received.count == 2 else { return nil }
            return try self.chosen(method: self.received[1])
        case .awaitingStatus:
            // Some proxies say 5 for the version of the subnegotiation.
            guard self.received.count == 2 else { return nil }
            guard self.received[1] == 0 else { throw .wrongCredentials }
            return self.request()
        case .awaitingReply:
            guard self.received[0] == Code.version else { throw .notSOCKS }
            guard self.received.count >= 2 else { return nil }
            // Some proxies leave out the rest of a reply that refuses.
            guard self.received[1] == 0 else { throw .reply(SOCKSReply(code: self.received[1])) }
            guard let length = try self.replyLength(), self.received.count == length else { return nil }
            return .established
        }
    }

    private mutating func chosen(method: UInt8) throws(ProxyRefusal) -> ProxyProgress {
        switch (method, self.credentials) {
        case (Code.noAuthentication, _):
            return self.request()
        case (Code.userAndPassword, let credentials?):
            self.state = .awaitingStatus
            var bytes = ByteBuffer(bytes: [Code.authenticationVersion])
            for text in [credentials.user, credentials.password] {
                bytes.writeInteger(UInt8(clamping: text.utf8.count))
                bytes.writeBytes(text.utf8.prefix(255))
            }
            return .send(bytes)
        default:
            throw .noAcceptableMethod
        }
    }

    private mutating func request() -> ProxyProgress {
        self.state = .awaitingReply
        var bytes = ByteBuffer(bytes: [Code.version, Code.connect, 0])
        switch self.destination {
        case .address(.v4(let bits)):
            bytes.writeInteger(Code.v4)
            bytes.writeInteger(bits)
        case .address(.v6(let address)):
            bytes.writeInteger(Code.v6)
            bytes.writeInteger(address.high)
            bytes.writeInteger(address.low)
        case .name(let name):
            bytes.writeInteger(Code.name)
            bytes.writeInteger(UInt8(clamping: name.utf8.count))
            bytes.writeString(name)
        }
        bytes.writeInteger(self.port)
        return .send(bytes)
    }

    /// Version, reply, reserved, type, address, port.
    private func replyLength() throws(ProxyRefusal) -> Int? {
        guard self.received.count >= 5 else { return nil }
        switch self.received[3] {
        case Code.v4: return 4 + 4 + 2
        case Code.v6: return 4 + 16 + 2
        case Code.name: return 4 + 1 + Int(self.received[4]) + 2
        default: throw .notSOCKS
        }
    }
}

/// What a SOCKS proxy says of a request (RFC 1928 §6).
package enum SOCKSReply: Equatable, Sendable {
    case generalFailure
    case notAllowed
    case networkUnreachable
    case hostUnreachable
    case connectionRefused
    case timeToLiveExpired
    case commandNotSupported
    case addressTypeNotSupported
    case other(UInt8)

    init(code: UInt8) {
        switch code {
        case 1: self = .generalFailure
        case 2: self = .notAllowed
        case 3: self = .networkUnreachable
        case 4: self = .hostUnreachable
        case 5: self = .connectionRefused
        case 6: self = .timeToLiveExpired
        case 7: self = .commandNotSupported
        case 8: self = .addressTypeNotSupported
        default: self = .other(code)
        }
    }

    /// RFC 1928's own words.
    package var sentence: String {
        switch self {
        case .generalFailure: "general SOCKS server failure"
        case .notAllowed: "connection not allowed by ruleset"
        case .networkUnreachable: "network unreachable"
        case .hostUnreachable: "host unreachable"
        case .connectionRefused: "connection refused"
        case .timeToLiveExpired: "TTL expired"
        case .commandNotSupported: "command not supported"
        case .addressTypeNotSupported: "address type not supported"
        case .other(let code): "reply code \(code)"
        }
    }

    /// Whether the proxy, or the network behind it, may answer otherwise later.
    package var mayPass: Bool {
        switch self {
        case .generalFailure, .networkUnreachable, .hostUnreachable, .connectionRefused, .timeToLiveExpired, .other: true
        case .notAllowed, .commandNotSupported, .addressTypeNotSupported: false
        }
    }
}
