import Testing
import TunnelTransport

@testable import TunnelServer

@Suite struct TunnelDomainTests {
    @Test func `a domain is a name, and how its URLs look if that is told`() throws {
        let plain = try TunnelDomain("Tunnel.Example.com.")
        #expect((plain.name, plain.scheme, plain.port) == ("tunnel.example.com", nil, nil))
        let told = try TunnelDomain("http://tunnel.example.com:8080/")
        #expect((told.name, told.scheme, told.port) == ("tunnel.example.com", "http", 8080))
        #expect(try TunnelDomain("*.tunnel.example.com").name == "tunnel.example.com")
        #expect(try TunnelDomain("localhost:8443").port == 8443)
    }

    @Test(arguments: ["", ".", "a..b", "tunnel example", "ftp://tunnel.example.com", "name:0", "name:65536", "127.0.0.1", "a/b", "user@host"])
    func `what is no domain is refused`(text: String) {
        #expect(throws: OperatorError.self) { try TunnelDomain(text) }
    }

    @Test func `one label below it is the domain's, and nothing else`() throws {
        let domain = try TunnelDomain("tunnel.example.com")
        #expect(domain.holds("app.tunnel.example.com"))
        for host in ["tunnel.example.com", ".tunnel.example.com", "a.b.tunnel.example.com", "apptunnel.example.com", "example.com", ""] {
            #expect(!domain.holds(host), "\(host)")
        }
    }

    @Test func `a pattern is a name, or any one label below it`() throws {
        let name = try HostnamePattern("app.example.org")
        #expect(name.matches("app.example.org"))
        #expect(!name.matches("x.app.example.org"))
        let wildcard = try HostnamePattern("*.example.net")
        #expect(wildcard.matches("app.example.net"))
        for host in ["example.net", "a.b.example.net", "appexample.net", ".example.net"] { #expect(!wildcard.matches(host), "\(host)") }
        for text in ["", "*", "*.", "a.*.b", "http://app.example.org", "app.example.org:80"] {
            #expect(throws: OperatorError.self) { try HostnamePattern(text) }
        }
    }
}
