package import Intermediaries
package import struct NIOHTTP1.HTTPHeaders
internal import TunnelProtocol

/// The fields that tell a service where a request comes from.
///
///     field               peer is trusted                          peer is a stranger
///     X-Forwarded-For     what it said, and the peer               the peer
///     X-Forwarded-Proto   what it said, else the scheme            the scheme
///     X-Forwarded-Host    what it said, else the host              the host
///     Forwarded           what it said, and the peer (RFC 7239)    the peer, the host and the scheme
///     X-Real-IP           where the request comes from             the same
///     X-Request-Id        what it said, if it is fit for a log     ours
///
/// From a stranger nothing of the kind is passed on, nor what other proxies say it with; from nobody anything with `_` for `-`.
/// Where a trusted proxy's word was not believed (two fields that contradict each other), the lists begin anew.
enum Forwarding {
    /// Whether a field, or what some take for it, says where a request comes from.
    static func isForwarding(_ name: String) -> Bool {
        guard let first = name.utf8.first else { return false }
        switch HTTPText.lowercased(first) {
        case UInt8(ascii: "x"):
            if name.utf8.count >= 11, Substring(name.utf8.prefix(11)).isFolded("x-forwarded") { return true }
            return ["x-real-ip", "x-request-id", "x-client-ip", "x-cluster-client-ip"].contains { name.isFolded($0) }
        case UInt8(ascii: "f"): return name.isFolded("forwarded") || name.isFolded("forwarded-for")
        case UInt8(ascii: "t"): return name.isFolded("true-client-ip")
        case UInt8(ascii: "c"): return name.isFolded("cf-connecting-ip") || name.isFolded("client-ip")
        default: return false
        }
    }

    /// Characters of a request id from elsewhere: more would fill logs.
    static let idBytes = 128

    static func isID(_ text: String) -> Bool { text.utf8.count <= Self.idBytes && HTTPText.isToken(text) }

    /// RFC 7239 §4: a token, or else a quoted string.
    static func value(_ text: String) -> String {
        if HTTPText.isToken(text) { return text }
        var quoted: [UInt8] = [UInt8(ascii: "\"")]
        for byte in text.utf8 {
            if byte == UInt8(ascii: "\"") || byte == UInt8(ascii: "\\") { quoted.append(UInt8(ascii: "\\")) }
            quoted.append(HTTPText.isValueByte(byte) ? byte : 0x20)
        }
        quoted.append(UInt8(ascii: "\""))
        return String(decoding: quoted, as: UTF8.self)
    }

    /// RFC 7239 §6: an IPv6 address in brackets, and therefore quoted.
    ///
    /// - Parameter text: The address, written.
    static func node(_ address: Endpoint.Address, _ text: String) -> String {
        switch address {
        case .v4: text
        case .v6: "\"[" + text + "]\""
        }
    }
}

extension HTTPHeaders {
    /// Says where the request comes from, by the rules above; what is already there is replaced, or added to when the peer is
    /// trusted. Ports are left out: those who read the fields expect addresses.
    ///
    /// - Parameters:
    ///   - origin: Where the request comes from, as far as trusted proxies vouch for it (`ForwardedAddresses.origin`).
    ///   - peer: The other end of the connection, or whom a header of the PROXY protocol names.
    ///   - scheme: `http` or `https`: what the visitor spoke.
    ///   - host: Host as it was sent.
    ///   - id: For a request that comes without a trusted id: a token.
    /// - Returns: The request's id: a trusted proxy's, else `id`.
    @discardableResult
    package mutating func setForwarding(
        origin: ForwardedNode, peer: ForwardedNode, peerIsTrusted: Bool, scheme: String, host: String, id: String
    ) -> String {
        var (kept, ids): ([(String, String)], [String]) = ([], [])
        kept.reserveCapacity(self.count + 6)
        var (forwardedFor, forwarded, proto, forwardedHost): ([String], [String], [String], [String]) = ([], [], [], [])
        for (name, value) in self {
            guard Forwarding.isForwarding(name) else {
                kept.append((name, value))
                continue
            }
            guard peerIsTrusted, !name.utf8.contains(UInt8(ascii: "_")) else { continue }
            switch name.utf8.count {
            case 15 where name.isName("x-forwarded-for"): forwardedFor.append(value)
            case 9 where name.isName("forwarded"): forwarded.append(value)
            case 17 where name.isName("x-forwarded-proto"): proto.append(value)
            case 16 where name.isName("x-forwarded-host"): forwardedHost.append(value)
            case 12 where name.isName("x-request-id"): ids.append(value)
            case 9 where name.isName("x-real-ip"): break
            default: kept.append((name, value))
            }
        }
        let isBelieved = origin.address != peer.address
        let through = "\(peer.address)"
        let from = isBelieved ? "\(origin.address)" : through
        if isBelieved {
            let before = forwardedFor.isEmpty ? from : forwardedFor.joined(separator: ", ")
            kept.append(("X-Forwarded-For", before + ", " + through))
        } else {
            kept.append(("X-Forwarded-For", through))
        }
        kept.append(("X-Forwarded-Proto", proto.isEmpty ? scheme : proto.joined(separator: ", ")))
        kept.append(("X-Forwarded-Host", forwardedHost.isEmpty ? host : forwardedHost.joined(separator: ", ")))
        func hop(_ address: Endpoint.Address, _ text: String) -> String {
            // In one piece: it is made for every request.
            var hop = ""
            hop.reserveCapacity(text.utf8.count + host.utf8.count + 32)
            for part in ["for=", Forwarding.node(address, text), ";host=", Forwarding.value(host), ";proto=", scheme] { hop += part }
            return hop
        }
        if isBelieved {
            let before = forwarded.isEmpty ? hop(origin.address, from) : forwarded.joined(separator: ", ")
            kept.append(("Forwarded", before + ", for=" + Forwarding.node(peer.address, through)))
        } else {
            kept.append(("Forwarded", hop(peer.address, through)))
        }
        kept.append(("X-Real-IP", from))
        let id = ids.count == 1 && Forwarding.isID(ids[0]) ? ids[0] : id
        kept.append(("X-Request-Id", id))
        self = HTTPHeaders(kept)
        return id
    }
}
