package import TunnelProtocol

/// A block of addresses (RFC 4632, RFC 4291 §2.3): `10.0.0.0/8`, `2001:db8::/32`, or one address without a length.
///
/// Bits behind the prefix say nothing: `10.1.2.3/8` is `10.0.0.0/8`.
package struct CIDR: Hashable, Sendable {
    package enum Invalid: Error, Equatable, Sendable {
        case address
        /// Not a number from 0 to 32, or to 128 for IPv6.
        case prefixLength

        package var sentence: String {
            switch self {
            case .address: "it does not begin with an IPv4 or IPv6 address"
            case .prefixLength: "the prefix length is not a number from 0 to 32, or to 128 for IPv6"
            }
        }
    }

    private let network: Endpoint.Address
    private let prefixLength: Int

    package init(_ text: String) throws(Invalid) {
        let parts = text.split(separator: "/", maxSplits: 1, omittingEmptySubsequences: false)
        guard let address = Endpoint.Address(parts[0]) else { throw .address }
        let longest = address.bits
        var length = longest
        if parts.count == 2 {
            guard 1...3 ~= parts[1].utf8.count, parts[1].utf8.allSatisfy({ (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }),
                let given = Int(parts[1]), given <= longest
            else { throw .prefixLength }
            length = given
        }
        self.prefixLength = length
        self.network = address.prefix(length)
    }

    /// An IPv4 address is in no block of IPv6, nor the other way round.
    package func contains(_ address: Endpoint.Address) -> Bool {
        address.bits == self.network.bits && address.prefix(self.prefixLength) == self.network
    }
}

extension Endpoint.Address {
    /// Reads `192.0.2.1` (four decimal numbers, RFC 6943 §3.1.1 strict) or an IPv6 address (RFC 4291 §2.2) without brackets and
    /// zone. An IPv4 address mapped into IPv6 is read as what it is.
    package init?(_ text: some StringProtocol) {
        if let bits = Self.v4(text) {
            self = .v4(bits)
        } else if let bytes = Self.v6(text) {
            let isMapped = bytes.high == 0 && bytes.low >> 32 == 0xFFFF
            self = isMapped ? .v4(UInt32(truncatingIfNeeded: bytes.low)) : .v6(bytes)
        } else {
            return nil
        }
    }

    /// Whether it leads back to this machine: 127.0.0.0/8 (RFC 1122 §3.2.1.3) or ::1 (RFC 4291 §2.5.3).
    package var isLoopback: Bool {
        switch self {
        case .v4(let bits): bits >> 24 == 127
        case .v6(let bytes): bytes.high == 0 && bytes.low == 1
        }
    }

    fileprivate var bits: Int {
        switch self {
        case .v4: 32
        case .v6: 128
        }
    }

    /// The same with every bit behind the first `length` cleared. A shift by the whole width gives zero in Swift.
    fileprivate func prefix(_ length: Int) -> Endpoint.Address {
        switch self {
        case .v4(let bits): .v4(bits & (UInt32.max << (32 - length)))
        case .v6(let bytes):
            .v6(
                Opaque16(
                    high: bytes.high & (UInt64.max << max(0, 64 - length)),
                    low: bytes.low & (UInt64.max << min(64, 128 - length))))
        }
    }

    private static func v4(_ text: some StringProtocol) -> UInt32? {
        let parts = Array(text.utf8).split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false)
        guard parts.count == 4 else { return nil }
        var bits: UInt32 = 0
        for part in parts {
            // A leading zero means octal to some readers.
            guard 1...3 ~= part.count, part.count == 1 || part.first != UInt8(ascii: "0") else { return nil }
            var byte: UInt32 = 0
            for digit in part {
                guard (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(digit) else { return nil }
                byte = byte * 10 + UInt32(digit - UInt8(ascii: "0"))
            }
            guard byte <= 255 else { return nil }
            bits = bits << 8 | byte
        }
        return bits
    }

    private static func v6(_ text: some StringProtocol) -> Opaque16? {
        let halves = String(text).split(separator: "::", omittingEmptySubsequences: false)
        guard 1...2 ~= halves.count, let head = self.groups(halves[0], isLast: halves.count == 1) else { return nil }
        var groups = head
        if halves.count == 2 {
            // "::" stands for one group or more.
            guard let tail = self.groups(halves[1], isLast: true), head.count + tail.count < 8 else { return nil }
            groups += Array(repeating: 0, count: 8 - head.count - tail.count) + tail
        }
        guard groups.count == 8 else { return nil }
        func join(_ groups: ArraySlice<UInt16>) -> UInt64 { groups.reduce(0) { $0 << 16 | UInt64($1) } }
        return Opaque16(high: join(groups[..<4]), low: join(groups[4...]))
    }

    /// - Parameter isLast: Whether the last group may be an IPv4 address, which makes two.
    private static func groups(_ text: Substring, isLast: Bool) -> [UInt16]? {
        guard !text.isEmpty else { return [] }
        let parts = text.split(separator: ":", omittingEmptySubsequences: false)
        guard parts.count <= 8 else { return nil }
        var groups: [UInt16] = []
        for (index, part) in parts.enumerated() {
            if isLast, index == parts.count - 1, let bits = self.v4(part) {
                groups += [UInt16(truncatingIfNeeded: bits >> 16), UInt16(truncatingIfNeeded: bits)]
                continue
            }
            // Digits only: `UInt16` would read a sign as well.
            guard 1...4 ~= part.utf8.count, part.utf8.first != UInt8(ascii: "+"), let group = UInt16(part, radix: 16) else {
                return nil
            }
            groups.append(group)
        }
        return groups
    }
}
