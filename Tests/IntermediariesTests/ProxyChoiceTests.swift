import Intermediaries
import Testing

@Suite struct ProxyChoiceTests {
    @Test(arguments: [
        ("tunnel.example.com", "tunnel.example.com", true), ("tunnel.example.com", "example.com", true),
        ("tunnel.example.com", ".example.com", true), ("tunnel.example.com", "*.example.com", true),
        ("example.com", ".example.com", true), ("notexample.com", "example.com", false),
        ("example.com.evil.org", "example.com", false), ("Tunnel.Example.COM.", "example.com", true),
        ("tunnel.example.com", "example.com.", true), ("tunnel.example.com", "other.org, EXAMPLE.com", true),
        ("tunnel.example.com", "other.org example.com", true), ("tunnel.example.com", "example.com:8443", true),
        ("tunnel.example.com", "example.com:443", false), ("tunnel.example.com", "*", true), ("10.1.2.3", "*", true),
        ("tunnel.example.com", "", false), ("tunnel.example.com", ",,", false), ("tunnel.example.com", "exam*", false),
        ("10.1.2.3", "10.0.0.0/8", true), ("10.1.2.3", "10.9.9.9/8", true), ("11.1.2.3", "10.0.0.0/8", false),
        ("10.1.2.3", "10.1.2.3", true), ("10.1.2.3", "10.1.2.3:8443", true), ("10.1.2.3", "10.1.2.3:443", false),
        ("10.1.2.3", "2.3", false), ("2001:db8::7", "2001:db8::/32", true), ("2001:db8::7", "2001:DB8:0::7", true),
        ("2001:db8::7", "[2001:db8::7]:8443", true), ("2001:db8::7", "[2001:db8::7]", true),
        ("2001:db8::7", "[2001:db8::7]:443", false), ("10.1.2.3", "10.0.0.0/33", false), ("10.1.2.3", "[10.0.0.0", false),
    ])
    func `NO_PROXY covers what its dialects say`(host: String, text: String, isCovered: Bool) {
        #expect(ProxyBypass(text).covers(host: host, port: 8443) == isCovered)
    }

    @Test func `loopback is loopback by name and by address`() {
        for host in ["localhost", "LOCALHOST.", "a.localhost", "127.0.0.1", "127.9.9.9", "::1", "0:0::1", "::ffff:127.0.0.1"] {
            #expect(ProxyBypass.isLoopback(host: host), "\(host)")
        }
        for host in ["localhost.example.com", "notlocalhost", "128.0.0.1", "::2", "127.example.com"] {
            #expect(!ProxyBypass.isLoopback(host: host), "\(host)")
        }
    }

    private func choose(
        _ environment: [String: String], argument: String? = nil, isSecure: Bool = true, host: String = "tunnel.example.com"
    ) throws -> ProxyChoice {
        try ProxyChoice(isSecure: isSecure, host: host, port: 443, argument: argument, environment: environment)
    }

    @Test func `an argument comes before HTTPS_PROXY, and that before ALL_PROXY`() throws {
        var environment = ["HTTPS_PROXY": "one", "https_proxy": "two", "ALL_PROXY": "socks5h://three", "all_proxy": "four"]
        #expect(try self.choose(environment, argument: "five").proxy?.host == "five")
        for (name, host) in [("HTTPS_PROXY", "one"), ("https_proxy", "two"), ("ALL_PROXY", "three"), ("all_proxy", "four")] {
            let choice = try self.choose(environment)
            #expect(choice.proxy?.host == host)
            #expect(choice.source == name)
            environment[name] = nil
        }
        #expect(try self.choose(environment).proxy == nil)
    }

    @Test func `ws takes http_proxy in lower case only`() throws {
        let environment = ["HTTPS_PROXY": "secure", "HTTP_PROXY": "upper", "http_proxy": "lower"]
        #expect(try self.choose(environment, isSecure: false).proxy?.host == "lower")
        #expect(try self.choose(["HTTP_PROXY": "upper", "HTTPS_PROXY": "secure"], isSecure: false).proxy == nil)
        #expect(try self.choose(["HTTP_PROXY": "upper", "http_proxy": "lower"]).proxy == nil)
    }

    @Test func `an empty value, and --proxy none, mean no proxy`() throws {
        #expect(try self.choose(["HTTPS_PROXY": "", "ALL_PROXY": "proxy"]).proxy == nil)
        #expect(try self.choose(["HTTPS_PROXY": "proxy"], argument: "none").proxy == nil)
        #expect(try self.choose(["HTTPS_PROXY": "proxy"], argument: "").proxy == nil)
    }

    @Test func `NO_PROXY and loopback come before every proxy`() throws {
        let bypassed = try self.choose(["HTTPS_PROXY": "proxy", "NO_PROXY": "example.com"])
        #expect(bypassed.proxy == nil)
        #expect(bypassed.bypass == "NO_PROXY")
        #expect(try self.choose(["no_proxy": "example.com"], argument: "proxy").bypass == "no_proxy")
        #expect(try self.choose(["HTTPS_PROXY": "proxy"], host: "127.0.0.1").bypass == "loopback")
        #expect(try self.choose(["NO_PROXY": "other.org"], argument: "proxy").proxy?.host == "proxy")
    }

    @Test func `what is wrong is said of its source; what nobody needs may be wrong`() throws {
        #expect(throws: ProxyChoice.Invalid(source: "HTTPS_PROXY", reason: .scheme)) {
            try self.choose(["HTTPS_PROXY": "ftp://proxy"])
        }
        #expect(throws: ProxyChoice.Invalid(source: "--proxy", reason: .scheme)) {
            try self.choose([:], argument: "ftp://proxy", host: "localhost")
        }
        #expect(try self.choose(["HTTPS_PROXY": "ftp://proxy"], host: "localhost").proxy == nil)
    }
}
