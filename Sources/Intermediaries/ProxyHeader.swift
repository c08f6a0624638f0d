package import struct NIOCore.ByteBuffer
package import TunnelProtocol

/// A version of the PROXY protocol (HAProxy, doc/proxy-protocol.txt): a line of text, or bytes.
public enum ProxyVersion: String, Hashable, Sendable, CaseIterable {
    case v1, v2
}

/// What stands before the first byte of a connection that a proxy or a load balancer passes on (HAProxy, doc/proxy-protocol.txt):
/// where it comes from, and where it was bound for.
///
///     v1   PROXY TCP4 203.0.113.9 192.0.2.1 41234 443 CR LF
///     v2   signature(12) | version and command(1) | family and transport(1) | length(2) | addresses, then TLVs (length)
package struct ProxyHeader: Hashable, Sendable {
    package struct Addresses: Hashable, Sendable {
        package let source: Endpoint
        package let destination: Endpoint

        package init(source: Endpoint, destination: Endpoint) {
            self.source = source
            self.destination = destination
        }
    }

    /// `nil`: the proxy speaks for itself, for example to see whether we live (v2 LOCAL), or does not know (v1 UNKNOWN, v2 UNSPEC).
    /// The connection's own addresses hold then (§2.1, §2.2).
    package let addresses: Addresses?

    package init(_ addresses: Addresses?) {
        self.addresses = addresses
    }

    /// Writes the header. Addresses of two kinds are both written as IPv6: a header has one kind.
    package func encode(_ version: ProxyVersion, into buffer: inout ByteBuffer) {
        switch version {
        case .v1: self.encodeLine(into: &buffer)
        case .v2: self.encodeBytes(into: &buffer)
        }
    }

    private func encodeLine(into buffer: inout ByteBuffer) {
        guard let addresses = self.addresses else {
            buffer.writeString("PROXY UNKNOWN\r\n")
            return
        }
        let (source, destination) = (addresses.source, addresses.destination)
        let ends =
            switch (source.address, destination.address) {
            case (.v4, .v4): "TCP4 \(source.address) \(destination.address)"
            case (.v4, .v6), (.v6, .v4), (.v6, .v6):
                "TCP6 \(Endpoint.Address.v6(source.address.mapped)) \(Endpoint.Address.v6(destination.address.mapped))"
            }
        buffer.writeString("PROXY \(ends) \(source.port) \(destination.port)\r\n")
    }

    private func encodeBytes(into buffer: inout ByteBuffer) {
        buffer.writeBytes(Self.signature)
        guard let addresses = self.addresses else {
            buffer.writeBytes([Self.version << 4 | Self.local, Self.unspecified, 0, 0])
            return
        }
        let (source, destination) = (addresses.source, addresses.destination)
        buffer.writeInteger(Self.version << 4 | Self.proxy)
        switch (source.address, destination.address) {
        case (.v4(let from), .v4(let to)):
            buffer.writeInteger(Self.tcp4)
            buffer.writeInteger(UInt16(Self.tcp4Bytes))
            buffer.writeInteger(from)
            buffer.writeInteger(to)
        case (.v4, .v6), (.v6, .v4), (.v6, .v6):
            buffer.writeInteger(Self.tcp6)
            buffer.writeInteger(UInt16(Self.tcp6Bytes))
            for address in [source.address.mapped, destination.address.mapped] {
                buffer.writeInteger(address.high)
                buffer.writeInteger(address.low)
            }
        }
        buffer.writeInteger(source.port)
        buffer.writeInteger(destination.port)
    }

    // MARK: The wire (§2.1, §2.2)

    /// No v1 line is longer, CR LF included: both addresses of IPv6 written out in full, and both ports of five digits.
    static let longestLine = 107

    static let signature: [UInt8] = [0x0D, 0x0A, 0x0D, 0x0A, 0x00, 0x0D, 0x0A, 0x51, 0x55, 0x49, 0x54, 0x0A]
    /// The signature, the two bytes behind it and the length.
    static let fixedBytes = 16
    static let version: UInt8 = 2
    static let local: UInt8 = 0
    static let proxy: UInt8 = 1
    static let unspecified: UInt8 = 0x00
    static let tcp4: UInt8 = 0x11
    static let tcp6: UInt8 = 0x21
    /// A stream of UNIX sockets.
    static let unixStream: UInt8 = 0x31
    /// Two addresses and two ports.
    static let tcp4Bytes = 12
    static let tcp6Bytes = 36
}

/// Why a connection does not begin with a header of the PROXY protocol. The other side is at fault, always.
package enum ProxyHeaderError: Error, Equatable, Sendable {
    /// The first bytes are none of the accepted versions'.
    case missing
    case lineTooLong
    /// - Parameter what: Half a sentence.
    case malformedLine(_ what: String)
    case version(UInt8)
    case command(UInt8)
    /// An address family or a transport other than a stream's.
    case family(UInt8)
    /// Fewer bytes than the addresses take.
    case tooShort(length: Int)

    package var sentence: String {
        switch self {
        case .missing: "it does not begin with a header of the PROXY protocol in an accepted version"
        case .lineTooLong: "its PROXY header is longer than the \(ProxyHeader.longestLine) bytes of version 1"
        case .malformedLine(let what): "its PROXY header of version 1 \(what)"
        case .version(let version): "its PROXY header is of version \(version)"
        case .command(let command): "its PROXY header has the unknown command \(command)"
        case .family(let family): "its PROXY header is not one of a TCP connection (family and transport \(family))"
        case .tooShort(let length): "its PROXY header has \(length) bytes, too few for its addresses"
        }
    }
}
