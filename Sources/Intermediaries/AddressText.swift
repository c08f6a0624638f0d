package import TunnelProtocol

extension Endpoint.Address {
    /// Reads `203.0.113.9` (RFC 6943 §3.1.1, the strict form) or `2001:db8::1` (RFC 4291 §2.2). An IPv4 address mapped into IPv6
    /// is read as what it is. Neither brackets, nor a zone, nor a number with a zero in front, which some take for octal.
    package init?(text: some StringProtocol) {
        let bytes = Array(text.utf8)
        if bytes.contains(UInt8(ascii: ":")) {
            guard let groups = Self.groups(ofWhole: bytes) else { return nil }
            let halves = [groups[..<4], groups[4...]].map { $0.reduce(UInt64(0)) { $0 << 16 | UInt64($1) } }
            self = Endpoint.Address.v6(Opaque16(high: halves[0], low: halves[1])).unmapped
        } else {
            guard let bits = Self.bits(of: bytes[...]) else { return nil }
            self = .v4(bits)
        }
    }

    /// An IPv4 address mapped into IPv6 (RFC 4291 §2.5.5.2) as the former, every other as it is.
    package var unmapped: Endpoint.Address {
        guard case .v6(let bytes) = self, bytes.high == 0, bytes.low >> 32 == 0xFFFF else { return self }
        return .v4(UInt32(truncatingIfNeeded: bytes.low))
    }

    /// An IPv4 address mapped into IPv6, an IPv6 address as it is.
    var mapped: Opaque16 {
        switch self {
        case .v4(let bits): Opaque16(high: 0, low: 0xFFFF << 32 | UInt64(bits))
        case .v6(let bytes): bytes
        }
    }

    /// Four numbers up to 255.
    private static func bits(of text: ArraySlice<UInt8>) -> UInt32? {
        let parts = text.split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false)
        guard parts.count == 4 else { return nil }
        var bits: UInt32 = 0
        for part in parts {
            guard let number = UInt8(decimal: part) else { return nil }
            bits = bits << 8 | UInt32(number)
        }
        return bits
    }

    /// All eight groups of an IPv6 address; `::` stands for one or more zeros, once.
    private static func groups(ofWhole text: [UInt8]) -> [UInt16]? {
        let colon = UInt8(ascii: ":")
        guard let gap = text.indices.dropLast().first(where: { text[$0] == colon && text[$0 + 1] == colon }) else {
            guard let groups = Self.groups(of: text[...], mayEndInIPv4: true), groups.count == 8 else { return nil }
            return groups
        }
        guard let head = Self.groups(of: text[..<gap], mayEndInIPv4: false),
            let tail = Self.groups(of: text[(gap + 2)...], mayEndInIPv4: true), head.count + tail.count < 8
        else { return nil }
        return head + Array(repeating: 0, count: 8 - head.count - tail.count) + tail
    }

    private static func groups(of text: ArraySlice<UInt8>, mayEndInIPv4: Bool) -> [UInt16]? {
        guard !text.isEmpty else { return [] }
        var parts = text.split(separator: UInt8(ascii: ":"), omittingEmptySubsequences: false)
        var end: [UInt16] = []
        if mayEndInIPv4, let last = parts.last, last.contains(UInt8(ascii: ".")) {
            guard let bits = Self.bits(of: last) else { return nil }
            end = [UInt16(truncatingIfNeeded: bits >> 16), UInt16(truncatingIfNeeded: bits)]
            parts.removeLast()
        }
        var groups: [UInt16] = []
        for part in parts {
            // A sign is no digit, though Swift would take one.
            guard (1...4).contains(part.count), part.allSatisfy(Self.isHexadecimal),
                let group = UInt16(String(decoding: part, as: UTF8.self), radix: 16)
            else { return nil }
            groups.append(group)
        }
        return groups + end
    }

    private static func isHexadecimal(_ byte: UInt8) -> Bool {
        (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) || (UInt8(ascii: "a")...UInt8(ascii: "f")).contains(byte | 0x20)
    }
}

extension FixedWidthInteger {
    /// Reads digits alone, without a sign and without a zero in front.
    init?(decimal text: ArraySlice<UInt8>) {
        guard let first = text.first, text.count == 1 || first != UInt8(ascii: "0"),
            text.allSatisfy({ (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) })
        else { return nil }
        self.init(String(decoding: text, as: UTF8.self))
    }
}
