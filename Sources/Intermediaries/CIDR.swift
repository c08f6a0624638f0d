package import TunnelProtocol

/// A network of IP addresses (RFC 4632 §3.1, RFC 4291 §2.3): `10.0.0.0/8`, `2001:db8::/32`, or one address alone.
///
/// IPv4 and IPv6 are apart: `::/0` does not hold an IPv4 address. One mapped into IPv6 counts as IPv4, on both sides.
public struct CIDR: Hashable, Sendable, CustomStringConvertible {
    private let network: Endpoint.Address
    /// Bits that an address has to share with the network: up to 32, or up to 128.
    private let length: Int

    /// - Throws: `CIDRError` for what is no address, for a length that is no number or too large, and for a network with bits
    ///   beyond its length: whoever wrote `10.1.2.3/8` may have meant the one address or the whole network.
    public init(_ text: String) throws(CIDRError) {
        let parts = text.split(separator: "/", maxSplits: 1, omittingEmptySubsequences: false)
        guard let address = Endpoint.Address(text: parts[0]) else { throw .address(text) }
        let bits = address.bits
        guard parts.count == 2 else {
            (self.network, self.length) = (address, bits)
            return
        }
        guard var length = Int(decimal: Array(parts[1].utf8)[...]) else { throw .length(text) }
        // An IPv4 network written as IPv6.
        if bits == 32, parts[0].contains(":") { length -= 96 }
        guard 0...bits ~= length else { throw .length(text) }
        (self.network, self.length) = (address, length)
        guard address.masked(to: length) == address else {
            throw .bitsBeyond(text, network: "\(address.masked(to: length))/\(length)")
        }
    }

    package func contains(_ address: Endpoint.Address) -> Bool {
        let address = address.unmapped
        return address.bits == self.network.bits && address.masked(to: self.length) == self.network
    }

    /// `10.0.0.0/8`
    public var description: String { "\(self.network)/\(self.length)" }
}

/// Why a text is no network. The operator is at fault, or whoever wrote the rule.
public enum CIDRError: Error, Equatable, Sendable {
    case address(String)
    case length(String)
    /// - Parameter network: What may have been meant.
    case bitsBeyond(String, network: String)

    public var sentence: String {
        switch self {
        case .address(let text): "\(text) is neither an IP address nor a network like 10.0.0.0/8 or 2001:db8::/32"
        case .length(let text): "the length of the network \(text) is not 0 to 32 for IPv4, or 0 to 128 for IPv6"
        case .bitsBeyond(let text, let network):
            "\(text) is an address inside of a network: write \(network) for the network, or the address alone"
        }
    }
}

/// The proxies and load balancers whose word is taken for where a connection comes from. Empty: nobody's.
package struct TrustedProxies: Hashable, Sendable {
    package let networks: [CIDR]

    package init(_ networks: [CIDR]) {
        self.networks = networks
    }

    package func contains(_ address: Endpoint.Address) -> Bool {
        self.networks.contains { $0.contains(address) }
    }
}

extension Endpoint.Address {
    fileprivate var bits: Int {
        switch self {
        case .v4: 32
        case .v6: 128
        }
    }

    /// - Parameter length: 0 to the number of its bits.
    fileprivate func masked(to length: Int) -> Endpoint.Address {
        switch self {
        // Swift's shifts take any distance: all bits are gone at the width of the number.
        case .v4(let bits): .v4(bits & (UInt32.max << (32 - length)))
        case .v6(let bytes):
            .v6(
                Opaque16(
                    high: bytes.high & (UInt64.max << max(0, 64 - length)),
                    low: bytes.low & (UInt64.max << min(64, 128 - length))))
        }
    }
}
