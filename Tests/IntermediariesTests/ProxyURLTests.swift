import Intermediaries
import Testing

@Suite struct ProxyURLTests {
    @Test func `each scheme has its port`() throws {
        let ports: [(String, UInt16)] = [
            ("http://proxy", 80), ("https://proxy", 443), ("socks5://proxy", 1080), ("socks5h://proxy", 1080), ("proxy", 80),
            ("HTTP://proxy:3128/", 3128), ("socks://proxy:1081/", 1081), ("socks://proxy", 1080),
            ("proxy:3128", 3128), ("https://proxy:8443?x", 8443),
        ]
        for (text, port) in ports { #expect(try ProxyURL(text).port == port, "\(text)") }
        #expect(try ProxyURL("[2001:db8::1]:3128").authority == "[2001:db8::1]:3128")
        #expect(try ProxyURL("[2001:db8::1]:3128").host == "2001:db8::1")
        #expect(try ProxyURL("10.0.0.1:3128").description == "http://10.0.0.1:3128")
    }

    @Test func `user and password are percent-decoded`() throws {
        let encoded = try ProxyURL("http://us%65r:p%40ss%3Aw0rd@proxy:3128")
        #expect(encoded.credentials == ProxyCredentials(user: "user", password: "p@ss:w0rd"))
        #expect(try ProxyURL("http://user:p@ss:w0rd@proxy").credentials == ProxyCredentials(user: "user", password: "p@ss:w0rd"))
        #expect(try ProxyURL("http://user@proxy").credentials == ProxyCredentials(user: "user", password: ""))
        #expect(try ProxyURL("http://J%C3%BCrgen:%C3%A4@proxy").credentials == ProxyCredentials(user: "Jürgen", password: "ä"))
    }

    @Test(arguments: [
        ("", ProxyURL.Invalid.empty), ("ftp://proxy", .scheme), ("socks4://proxy", .scheme), ("://proxy", .scheme),
        ("http://", .authority), ("http://proxy:port", .authority), ("http://proxy:0", .authority), ("http://proxy:65536", .authority),
        ("http://user:secret/x@proxy", .authority), ("http://user:1234/x@proxy:3128", .authority), ("http://proxy/?x@y", .authority),
        ("http://user:%zz@proxy", .percentEncoding),
        ("http://user:%4", .authority), ("http://user:%4@proxy", .percentEncoding), ("http://user:%ff@proxy", .percentEncoding),
        ("http://us%3Aer:secret@proxy", .credentials(.colonInUser)), ("http://user:%0d%0a@proxy", .credentials(.controlCharacter)),
        ("socks5://user@proxy", .credentials(.lengthForSOCKS)), ("http://a b", .authority),
    ])
    func `what is no proxy's address is refused by its rule`(text: String, why: ProxyURL.Invalid) {
        #expect(throws: why) { try ProxyURL(text) }
    }

    @Test func `nothing shows the password`() throws {
        let url = try ProxyURL("http://user:s3cret@proxy:3128")
        let credentials = try #require(url.credentials)
        for text in ["\(url)", "\(credentials)", String(reflecting: credentials), String(describing: Optional(credentials))] {
            #expect(!text.contains("s3cret") && !text.contains("user"), "\(text)")
        }
        for text in ["x://user:s3cret@proxy", "http://user:s3cret@pro xy", "http://user:s3cret%@proxy", "user:s3cret"] {
            do {
                _ = try ProxyURL(text)
                Issue.record("\(text) is taken")
            } catch {
                #expect(!error.sentence.contains("s3cret"))
            }
        }
    }

    @Test func `a file's credentials end their user at the first colon`() throws {
        #expect(try ProxyCredentials(parsing: "user:p@ss:w0rd") == ProxyCredentials(user: "user", password: "p@ss:w0rd"))
        #expect(try ProxyCredentials(parsing: "user:%40") == ProxyCredentials(user: "user", password: "%40"))
        for text in ["user", ":password", ""] {
            #expect(throws: ProxyCredentials.Invalid.noColon) { try ProxyCredentials(parsing: text) }
        }
        var url = try ProxyURL("http://old:one@proxy")
        #expect(throws: ProxyURL.Invalid.credentials(.controlCharacter)) {
            try url.use(ProxyCredentials(parsing: "user:password\nsecond line"))
        }
        try url.use(ProxyCredentials(parsing: "new:two"))
        #expect(url.credentials == ProxyCredentials(user: "new", password: "two"))
    }
}
