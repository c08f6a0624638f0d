package import struct NIOCore.ByteBuffer
internal import TunnelProtocol

/// Takes the header of the PROXY protocol off the front of a connection.
///
///     start ──P──▶ line ──CR LF──▶ header
///       └───CR──▶ bytes ──addresses──▶ skipping TLVs ──▶ header
///
/// Each byte is looked at once, when it comes; a connection that begins otherwise fails at the first byte that differs. At most
/// 107 bytes are held: the line of v1, or what stands before the TLVs of v2. TLVs are passed over unread, so that their limit is
/// that of the wire, 65,535 bytes: they cost the time of their arrival, which the connection's deadline bounds.
package struct ProxyHeaderDecoder: Sendable {
    private enum State {
        case start
        case line
        case bytes
        /// So many bytes behind what has been read.
        case skipping(Int, ProxyHeader)
        case failed(ProxyHeaderError)
    }

    private let accepted: Set<ProxyVersion>
    private var state = State.start
    private var held: [UInt8] = []

    private static let wordAtFront = Array("PROXY ".utf8)

    /// - Parameter accepted: The versions that may come; with both, the first byte tells.
    package init(accepting accepted: Set<ProxyVersion>) {
        self.accepted = accepted
    }

    /// Whether any byte has come.
    package var hasBegun: Bool {
        if case .start = self.state { false } else { true }
    }

    /// Takes bytes as they come. Returns nil, all bytes taken, until the header is whole; then the header, with the reader index
    /// right behind it. Not to be called after that; a decoder that has failed fails again.
    package mutating func receive(_ bytes: inout ByteBuffer) throws(ProxyHeaderError) -> ProxyHeader? {
        while true {
            if case .skipping(let count, let header) = self.state {
                let taken = min(count, bytes.readableBytes)
                bytes.moveReaderIndex(forwardBy: taken)
                self.state = .skipping(count - taken, header)
                return taken == count ? header : nil
            }
            guard let byte: UInt8 = bytes.readInteger() else { return nil }
            do throws(ProxyHeaderError) {
                if let header = try self.receive(byte) { return header }
            } catch {
                self.state = .failed(error)
                throw error
            }
        }
    }

    /// - Returns: The header, when the byte is its last.
    private mutating func receive(_ byte: UInt8) throws(ProxyHeaderError) -> ProxyHeader? {
        switch self.state {
        case .start:
            let isLine = byte == Self.wordAtFront[0]
            guard isLine || byte == ProxyHeader.signature[0], self.accepted.contains(isLine ? .v1 : .v2) else { throw .missing }
            self.held.append(byte)
            self.state = isLine ? .line : .bytes
            return nil
        case .line:
            self.held.append(byte)
            return try self.checkLine()
        case .bytes:
            self.held.append(byte)
            return try self.checkBytes()
        case .skipping(_, let header): return header
        case .failed(let error): throw error
        }
    }

    // MARK: Version 1

    private func checkLine() throws(ProxyHeaderError) -> ProxyHeader? {
        let (line, last) = (self.held, self.held.count - 1)
        if last < Self.wordAtFront.count {
            guard line[last] == Self.wordAtFront[last] else { throw .missing }
            return nil
        }
        if line[last - 1] == UInt8(ascii: "\r") {
            guard line[last] == UInt8(ascii: "\n") else { throw .malformedLine("has a CR without LF") }
            return try Self.header(ofLine: line[Self.wordAtFront.count..<(last - 1)])
        }
        guard line[last] != UInt8(ascii: "\n") else { throw .malformedLine("has an LF without CR") }
        guard line.count < ProxyHeader.longestLine else { throw .lineTooLong }
        return nil
    }

    /// - Parameter line: What stands between `PROXY ` and the line's end.
    private static func header(ofLine line: ArraySlice<UInt8>) throws(ProxyHeaderError) -> ProxyHeader {
        let words = line.split(separator: UInt8(ascii: " "), omittingEmptySubsequences: false)
        let family = words.first.map { String(decoding: $0, as: UTF8.self) } ?? ""
        // §2.1: whatever follows it is ignored.
        if family == "UNKNOWN" { return ProxyHeader(nil) }
        guard family == "TCP4" || family == "TCP6" else { throw .malformedLine("is for neither TCP4, TCP6 nor UNKNOWN") }
        guard words.count == 5 else { throw .malformedLine("does not have two addresses and two ports") }
        // An address of the other kind is refused; that of IPv6 which maps one of IPv4 has been read as the latter.
        func endpoint(_ address: ArraySlice<UInt8>, _ port: ArraySlice<UInt8>) throws(ProxyHeaderError) -> Endpoint {
            let text = String(decoding: address, as: UTF8.self)
            guard text.utf8.contains(UInt8(ascii: ":")) == (family == "TCP6"), let address = Endpoint.Address(text: text) else {
                throw .malformedLine("has something else where an address of \(family) belongs")
            }
            guard let port = UInt16(decimal: port) else {
                throw .malformedLine("has something else where a port belongs")
            }
            return Endpoint(address, port: port)
        }
        return ProxyHeader(
            .init(source: try endpoint(words[1], words[3]), destination: try endpoint(words[2], words[4])))
    }

    // MARK: Version 2

    private mutating func checkBytes() throws(ProxyHeaderError) -> ProxyHeader? {
        let last = self.held.count - 1
        if last < ProxyHeader.signature.count {
            guard self.held[last] == ProxyHeader.signature[last] else { throw .missing }
            return nil
        }
        switch last {
        case 12:
            guard self.held[12] >> 4 == ProxyHeader.version else { throw .version(self.held[12] >> 4) }
            guard self.command <= ProxyHeader.proxy else { throw .command(self.command) }
            return nil
        case 13, 14: return nil
        case 15: return try self.checkLength()
        default: return try self.checkAddresses()
        }
    }

    private var command: UInt8 { self.held[12] & 0xF }
    private var length: Int { Int(self.held[14]) << 8 | Int(self.held[15]) }

    /// The bytes of the addresses that are read; `nil`: those of this family are not.
    private var addressBytes: Int? {
        get throws(ProxyHeaderError) {
            // §2.2: a proxy that speaks for itself gives no addresses, whatever the family says.
            guard self.command == ProxyHeader.proxy else { return nil }
            return switch self.held[13] {
            case ProxyHeader.tcp4: ProxyHeader.tcp4Bytes
            case ProxyHeader.tcp6: ProxyHeader.tcp6Bytes
            case ProxyHeader.unspecified, ProxyHeader.unixStream: nil
            default: throw .family(self.held[13])
            }
        }
    }

    private mutating func checkLength() throws(ProxyHeaderError) -> ProxyHeader? {
        guard let expected = try self.addressBytes else { return self.skip(self.length, ProxyHeader(nil)) }
        guard self.length >= expected else { throw .tooShort(length: self.length) }
        return nil
    }

    private mutating func checkAddresses() throws(ProxyHeaderError) -> ProxyHeader? {
        guard let expected = try self.addressBytes, self.held.count == ProxyHeader.fixedBytes + expected else { return nil }
        let addresses = self.held[ProxyHeader.fixedBytes...]
        func number(_ offset: Int, _ count: Int) -> UInt64 {
            addresses.dropFirst(offset).prefix(count).reduce(0) { $0 << 8 | UInt64($1) }
        }
        func endpoint(_ index: Int) -> Endpoint {
            let size = (expected - 4) / 2
            let address: Endpoint.Address =
                size == 4
                ? .v4(UInt32(truncatingIfNeeded: number(index * 4, 4)))
                : .v6(Opaque16(high: number(index * 16, 8), low: number(index * 16 + 8, 8)))
            return Endpoint(address.unmapped, port: UInt16(truncatingIfNeeded: number(size * 2 + index * 2, 2)))
        }
        return self.skip(self.length - expected, ProxyHeader(.init(source: endpoint(0), destination: endpoint(1))))
    }

    /// - Returns: The header, if nothing is left to skip.
    private mutating func skip(_ count: Int, _ header: ProxyHeader) -> ProxyHeader? {
        self.state = .skipping(count, header)
        return count == 0 ? header : nil
    }
}
