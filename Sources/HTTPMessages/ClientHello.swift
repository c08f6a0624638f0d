package import struct NIOCore.ByteBuffer

/// The name that a TLS client asks for, read from the first bytes of its connection (RFC 8446 §4.1.2, RFC 6066 §3). Nothing is
/// answered, and the bytes go on as they came.
///
///     record     type 22, version, length        one or more of them
///     handshake  type 1, length (3 bytes)        over as many records as it likes
///     hello      version, random, session, ciphers, compression, extensions
///     server_name extension: a list, in it one host_name
package struct ClientHello: Sendable {
    package enum Progress: Equatable, Sendable {
        case wantsMore
        /// In small letters and without a dot at its end.
        case name(String)
        /// A ClientHello without a name that could be one.
        case noName
        /// Not TLS, or not as it has to be.
        case notTLS
    }

    /// Bytes of the ClientHello itself. Browsers send 500 to 2,000, with post-quantum keys; a resumption ticket may take some
    /// kilobytes.
    package static let bytes = 16_384

    /// Bytes of the connection that may have to be held until the name is known: the above in records of one byte would be six
    /// times as long, and nobody does it.
    package static let heldBytes = 2 * bytes

    private var handshake: [UInt8] = []
    /// Of the record's five bytes of header, and then what is left of its payload.
    private var header: [UInt8] = []
    private var left = 0
    private var received = 0
    private var outcome: Progress?

    package init() {}

    /// Takes the next bytes of the connection; the answer stays once it is not `wantsMore`.
    package mutating func receive(_ bytes: ByteBuffer) -> Progress {
        if let outcome = self.outcome { return outcome }
        let progress = self.read(bytes)
        if progress != .wantsMore {
            self.outcome = progress
            self.handshake = []
        }
        return progress
    }

    private mutating func read(_ bytes: ByteBuffer) -> Progress {
        var bytes = bytes
        self.received += bytes.readableBytes
        while bytes.readableBytes > 0 {
            if self.left == 0 {
                guard let byte = bytes.readInteger(as: UInt8.self) else { break }
                self.header.append(byte)
                guard self.isHeaderSoFar else { return .notTLS }
                guard self.header.count == 5 else { continue }
                self.left = Int(self.header[3]) << 8 | Int(self.header[4])
                self.header = []
                // RFC 8446 §5.1: no empty ones of handshakes, at most 2^14 bytes each.
                guard 1...16_384 ~= self.left else { return .notTLS }
                continue
            }
            guard let part = bytes.readBytes(length: min(self.left, bytes.readableBytes)) else { break }
            self.left -= part.count
            self.handshake += part
            guard self.handshake.count < 4 || self.isClientHello else { return .notTLS }
            guard self.handshake.first == 1 else { return .notTLS }
            if self.handshake.count >= 4, self.handshake.count >= 4 + self.length { return Self.name(in: self.handshake[4..<(4 + self.length)]) }
        }
        return self.received < Self.heldBytes ? .wantsMore : .notTLS
    }

    private var isHeaderSoFar: Bool {
        switch self.header.count {
        case 1: self.header[0] == 22
        // SSL 3.0's number is what TLS 1.0 to 1.3 write there, with a second part from 0 to 4.
        case 2: self.header[1] == 3
        case 3: self.header[2] <= 4
        default: true
        }
    }

    private var length: Int { Int(self.handshake[1]) << 16 | Int(self.handshake[2]) << 8 | Int(self.handshake[3]) }
    private var isClientHello: Bool { self.handshake[0] == 1 && self.length <= Self.bytes }

    private static func name(in hello: ArraySlice<UInt8>) -> Progress {
        var hello = Bytes(hello)
        guard let version = hello.short(), version >> 8 == 3, hello.skip(32), hello.vector8() != nil, let ciphers = hello.vector16(),
            ciphers.count >= 2, ciphers.count.isMultiple(of: 2), let compressions = hello.vector8(), !compressions.isEmpty
        else { return .notTLS }
        // RFC 5246 §7.4.1.2: there may be none at all.
        if hello.isEmpty { return .noName }
        guard let extensions = hello.vector16(), hello.isEmpty else { return .notTLS }
        var list = Bytes(extensions)
        var found: Progress?
        var kinds: Set<Int> = []
        while !list.isEmpty {
            guard let kind = list.short(), let value = list.vector16(), kinds.insert(kind).inserted else { return .notTLS }
            guard kind == 0 else { continue }
            found = Self.hostName(in: value)
        }
        return found ?? .noName
    }

    /// RFC 6066 §3: one name of each type at most; the only type is 0.
    private static func hostName(in value: ArraySlice<UInt8>) -> Progress {
        var value = Bytes(value)
        guard let names = value.vector16(), value.isEmpty, !names.isEmpty else { return .notTLS }
        var list = Bytes(names)
        var found: Progress?
        while !list.isEmpty {
            guard let type = list.byte(), let name = list.vector16() else { return .notTLS }
            guard type == 0 else { continue }
            guard found == nil else { return .notTLS }
            found = TunnelName.normalizedHost(String(decoding: name, as: UTF8.self)).map { .name($0) } ?? .noName
        }
        return found ?? .noName
    }
}

/// Reads numbers and counted bytes from the front of some.
private struct Bytes {
    private var rest: ArraySlice<UInt8>

    init(_ bytes: ArraySlice<UInt8>) {
        self.rest = bytes
    }

    var isEmpty: Bool { self.rest.isEmpty }

    mutating func byte() -> Int? { self.rest.popFirst().map { Int($0) } }

    mutating func short() -> Int? {
        guard let high = self.byte(), let low = self.byte() else { return nil }
        return high << 8 | low
    }

    mutating func skip(_ count: Int) -> Bool { self.take(count) != nil }

    mutating func vector8() -> ArraySlice<UInt8>? { self.byte().flatMap { self.take($0) } }

    mutating func vector16() -> ArraySlice<UInt8>? { self.short().flatMap { self.take($0) } }

    private mutating func take(_ count: Int) -> ArraySlice<UInt8>? {
        guard self.rest.count >= count else { return nil }
        defer { self.rest = self.rest.dropFirst(count) }
        return self.rest.prefix(count)
    }
}
