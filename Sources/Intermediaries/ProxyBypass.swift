internal import TunnelProtocol

/// The hosts that are reached without the proxy: what NO_PROXY says, in the union of its dialects.
///
///     example.com        the name and every name below it; .example.com and *.example.com mean the same
///     example.com:8443   the same on that port only
///     192.0.2.7          an address, and 2001:db8::7 or [2001:db8::7]:8443
///     10.0.0.0/8         a block of addresses (CIDR)
///     *                  everything
///
/// Entries are separated by commas or blanks. One that means nothing matches nothing. No name is resolved: an address or a block
/// matches a host that was given as an address.
package struct ProxyBypass: Sendable, Equatable {
    private enum Entry: Sendable, Equatable {
        case everything
        case name(String, port: UInt16?)
        case block(CIDR, port: UInt16?)
    }

    private let entries: [Entry]

    package init(_ text: String) {
        self.entries = text.split { $0 == "," || $0.isWhitespace }.compactMap(Self.entry)
    }

    /// - Parameter host: A name or an address, this without brackets.
    package func covers(host: String, port: UInt16) -> Bool {
        let address = Endpoint.Address(text: host)
        let name = Self.name(host)
        return self.entries.contains { entry in
            switch entry {
            case .everything: true
            case .name(let suffix, let only):
                (only ?? port) == port && address == nil && (name == suffix || name.hasSuffix(".\(suffix)"))
            case .block(let block, let only): (only ?? port) == port && address.map(block.contains) == true
            }
        }
    }

    /// Whether a host is this machine by its name or address alone: it never is behind a proxy. RFC 6761 §6.3 gives every name
    /// below `localhost` to loopback.
    package static func isLoopback(host: String) -> Bool {
        if let address = Endpoint.Address(text: host) { return address.isLoopback }
        let name = self.name(host)
        return name == "localhost" || name.hasSuffix(".localhost")
    }

    private static func entry(_ text: Substring) -> Entry? {
        if text == "*" { return .everything }
        if let block = self.block(text) { return .block(block, port: nil) }
        var host = text
        var port: UInt16?
        if text.hasPrefix("["), let bracket = text.lastIndex(of: "]") {
            host = text[text.index(after: text.startIndex)..<bracket]
            let rest = text[text.index(after: bracket)...]
            guard rest.isEmpty || rest.hasPrefix(":") else { return nil }
            if !rest.isEmpty {
                guard let given = UInt16(rest.dropFirst()) else { return nil }
                port = given
            }
        } else if let colon = text.lastIndex(of: ":") {
            guard let given = UInt16(text[text.index(after: colon)...]) else { return nil }
            (host, port) = (text[..<colon], given)
        }
        if let block = self.block(host) { return .block(block, port: port) }
        if host.hasPrefix("*.") { host = host.dropFirst() }
        if host.hasPrefix(".") { host = host.dropFirst() }
        let name = Self.name(String(host))
        return name.isEmpty || name.contains("*") ? nil : .name(name, port: port)
    }

    /// Bits behind the prefix are passed over, as other readers of NO_PROXY do: `10.1.2.3/8` is `10.0.0.0/8`.
    private static func block(_ text: Substring) -> CIDR? {
        do throws(CIDRError) {
            return try CIDR(String(text))
        } catch {
            guard case .bitsBeyond(_, let network) = error else { return nil }
            return try? CIDR(network)
        }
    }

    /// In lower case, without the dot at the end that says that a name is complete.
    private static func name(_ text: String) -> String {
        let name = text.lowercased()
        return name.hasSuffix(".") ? String(name.dropLast()) : name
    }
}

extension Endpoint.Address {
    /// 127.0.0.0/8 (RFC 1122 §3.2.1.3) or ::1 (RFC 4291 §2.5.3).
    fileprivate var isLoopback: Bool {
        switch self {
        case .v4(let bits): bits >> 24 == 127
        case .v6(let bytes): bytes.high == 0 && bytes.low == 1
        }
    }
}
