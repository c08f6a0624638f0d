/// Whom a client means to reach: the certificate must name exactly this.
///
///     "tunnel.example.com."  name("tunnel.example.com")   asked for by SNI
///     "192.0.2.1"            address                      never in SNI (RFC 6066 §3)
///     "[::1]", "fe80::1%2"   address, without brackets and zone
enum ServerIdentity: Equatable {
    case name(String)
    case address(String)

    init(host: String) throws(TLSConfigurationError) {
        var literal = host[...]
        if literal.hasPrefix("["), literal.hasSuffix("]") { literal = literal.dropFirst().dropLast() }
        if literal.contains(":"), let zone = literal.firstIndex(of: "%") { literal = literal[..<zone] }
        if IPLiteral.bytes(String(literal)) != nil {
            self = .address(String(literal))
            return
        }

        // A trailing dot says that the name is complete; certificates are written without it (RFC 6066 §3 on SNI, too).
        // A leading one would make OpenSSL match every name below: no valid name begins with it.
        let name = host.hasSuffix(".") ? String(host.dropLast()) : host
        guard HostName.isValid(name) else {
            throw TLSConfigurationError("\"\(host)\" is not a host name or an address")
        }
        self = .name(name)
    }
}
