import Intermediaries
import struct NIOCore.ByteBuffer

extension FuzzTarget {
    /// What stands before the first byte of a connection that a load balancer passes on: a byte of settings, one for the cuts, then
    /// the bytes.
    ///
    ///     settings   01 version 1 is accepted   02 version 2 is
    ///
    /// Cut anywhere it comes to the same; not a byte behind the header is taken; no more is waited for than a header has; and a
    /// header written again, in either version, is read as the same.
    package static let proxyHeader = FuzzTarget(name: "proxy-header", longest: 1_000) { input in
        let settings = input.byte()
        let accepted = Set(ProxyVersion.allCases.filter { settings & ($0 == .v1 ? 1 : 2) != 0 })
        var cuts = Cuts(seed: input.byte())
        let bytes = input.rest()
        let whole = DecodedHeader(of: [bytes], accepted)
        try requireEqual(DecodedHeader(of: cuts.pieces(of: bytes), accepted), whole, "in pieces")
        try requireEqual(DecodedHeader(of: bytes.map { [$0] }, accepted), whole, "byte by byte")
        switch whole {
        case .failed: break
        case .unfinished:
            let limit = bytes.first == UInt8(ascii: "P") ? 106 : 16 + 65_534
            try require(bytes.count <= limit, "\(bytes.count) bytes of a header are waited on")
        case .header(let header, let left):
            try require(bytes.suffix(left.count) == left[...], "the bytes behind the header have changed")
            for version in ProxyVersion.allCases {
                var written = ByteBuffer()
                header.encode(version, into: &written)
                try requireEqual(
                    DecodedHeader(of: [written.bytes + left], [version]), .header(header, left: left), "written and read again")
            }
        }
    }

    /// What a request says of its way: lines, each with a letter for its field.
    ///
    ///     f X-Forwarded-For   s Forwarded   p X-Forwarded-Proto
    ///
    /// Without trust nothing is believed; and whatever a stranger has written, it gets no further than the address that a trusted
    /// proxy adds for it, or that proxy's own.
    package static let forwarded = FuzzTarget(name: "forwarded", longest: 2_000) { input in
        var fields: [UInt8: [String]] = [:]
        for line in input.rest().split(separator: UInt8(ascii: "\n")) {
            fields[line[line.startIndex], default: []].append(String(decoding: line.dropFirst(), as: UTF8.self))
        }
        let list = fields[UInt8(ascii: "f")] ?? []
        let standard = fields[UInt8(ascii: "s")] ?? []
        guard let peer = ForwardedNode(text: "10.0.0.1:50000"), let stranger = ForwardedNode(text: "203.0.113.9") else {
            throw Broken("an address is not read")
        }
        let trusted = TrustedProxies([try CIDR("10.0.0.0/8")])
        func read(_ list: [String], _ standard: [String], trusted: TrustedProxies) -> ForwardedAddresses {
            ForwardedAddresses(
                peer: peer, trusted: trusted, forwardedFor: list, forwarded: standard,
                forwardedProto: fields[UInt8(ascii: "p")] ?? [])
        }
        try requireEqual(
            read(list, standard, trusted: TrustedProxies([])), ForwardedAddresses(origin: peer), "without trusted proxies")
        let found = read(list, standard, trusted: trusted)
        try require(["http", "https", "ws", "wss", nil].contains(found.proto), "the protocol \(found.proto ?? "")")
        try requireEqual(ForwardedNode(text: found.origin.bracketed), found.origin, "written and read again")
        // The proxy's own element comes last: in a line of its own, or behind what was there.
        func added(_ element: String, to lines: [String]) -> [[String]] {
            [lines + [element], lines.dropLast() + [lines.last.map { "\($0), \(element)" } ?? element]]
        }
        for lines in added("203.0.113.9", to: list) {
            try requireEqual(read(lines, [], trusted: trusted).origin, stranger, "X-Forwarded-For from a proxy")
            let both = read(lines, standard, trusted: trusted).origin
            try require(both.address == stranger.address || both == peer, "X-Forwarded-For from a proxy, and Forwarded: \(both)")
        }
        for lines in added("for=203.0.113.9", to: standard) + added("for=\"203.0.113.9\";proto=https", to: standard) {
            let alone = read([], lines, trusted: trusted).origin
            try require(alone == stranger || alone == peer, "Forwarded from a proxy: \(alone)")
            let both = read(list, lines, trusted: trusted).origin
            try require(both.address == stranger.address || both == peer, "Forwarded from a proxy, and X-Forwarded-For: \(both)")
        }
        try requireEqual(
            read([], standard + ["for=203.0.113.9"], trusted: trusted).origin, stranger, "Forwarded in a line of its own")
    }
}

/// What a connection's first bytes come to, however they were cut.
private enum DecodedHeader: Equatable {
    case unfinished
    case header(ProxyHeader, left: [UInt8])
    case failed(ProxyHeaderError)

    init(of pieces: [[UInt8]], _ accepted: Set<ProxyVersion>) {
        self = .unfinished
        var decoder = ProxyHeaderDecoder(accepting: accepted)
        for piece in pieces {
            if case .header(let header, let left) = self {
                self = .header(header, left: left + piece)
                continue
            }
            var buffer = ByteBuffer(bytes: piece)
            do throws(ProxyHeaderError) {
                if let header = try decoder.receive(&buffer) { self = .header(header, left: buffer.bytes) }
            } catch {
                // A decoder that has failed fails again, the same way.
                self = .failed(error)
            }
        }
    }
}

extension ForwardedNode {
    /// IPv6 in brackets, as it must stand with a port.
    fileprivate var bracketed: String {
        if self.port == nil, case .v6 = self.address { "[\(self)]" } else { "\(self)" }
    }
}
