import NIOHTTP1
import Testing
import TunnelClient

@Suite struct InspectorAccessTests {
    private func refusal(
        _ method: HTTPMethod, _ path: String, _ fields: HTTPHeaders, host: String = "127.0.0.1", port: Int = 4040
    ) -> HTTPResponseStatus? {
        do {
            try InspectorAccess.check(HTTPRequestHead(version: .http1_1, method: method, uri: path, headers: fields), host: host, port: port)
            return nil
        } catch {
            return error.status
        }
    }

    private func refusal(_ fields: HTTPHeaders, host: String = "127.0.0.1", port: Int = 4040) -> HTTPResponseStatus? {
        self.refusal(.GET, "/api/tunnels", fields, host: host, port: port)
    }

    @Test(arguments: ["127.0.0.1:4040", "localhost:4040", "LocalHost:4040", "[::1]:4040"])
    func `a request has a loopback name and the port`(host: String) {
        #expect(self.refusal(["Host": host]) == nil)
        #expect(self.refusal(.GET, "/", ["Host": host]) == nil)
    }

    @Test(arguments: [
        "evil.example", "evil.example:4040", "127.0.0.1", "localhost", "127.0.0.1:4041", "localhost.evil.example:4040", "127.0.0.1:4040.evil.example",
        "127.0.0.1:04040", " 127.0.0.1:4040", "user@127.0.0.1:4040", "", "[::1]", "0.0.0.0:4040",
    ])
    func `a name that somebody else leads here is refused`(host: String) {
        #expect(self.refusal(.GET, "/", ["Host": host]) == .forbidden)
        #expect(self.refusal(["Host": host]) == .forbidden)
    }

    @Test func `a request without a Host, or with two, is refused`() {
        #expect(self.refusal(.GET, "/", [:]) == .forbidden)
        #expect(self.refusal(.GET, "/", ["Host": "127.0.0.1:4040", "host": "127.0.0.1:4040"]) == .forbidden)
    }

    @Test func `the address that is listened on is a name of its own`() {
        #expect(self.refusal(["Host": "127.0.0.2:4041"], host: "127.0.0.2", port: 4041) == nil)
        #expect(self.refusal(["Host": "127.0.0.2:4041"], port: 4041) == .forbidden)
        #expect(self.refusal(["Host": "localhost"], port: 80) == nil)
    }

    @Test func `pages of other sites may not read`() {
        let host = ("Host", "127.0.0.1:4040")
        for site in ["cross-site", "same-site", "anything"] {
            #expect(self.refusal(HTTPHeaders([host, ("Sec-Fetch-Site", site)])) == .forbidden)
        }
        for site in ["same-origin", "none"] { #expect(self.refusal(HTTPHeaders([host, ("Sec-Fetch-Site", site)])) == nil) }
        // A link from elsewhere may lead to the page.
        #expect(self.refusal(.GET, "/", HTTPHeaders([host, ("Sec-Fetch-Site", "cross-site")])) == nil)
    }

    @Test func `pages of other sites may not write`() {
        let fields: HTTPHeaders = ["Host": "127.0.0.1:4040", "Content-Type": "application/json; charset=utf-8"]
        func with(_ name: String, _ value: String) -> HTTPHeaders {
            var all = fields
            all.add(name: name, value: value)
            return all
        }
        for method in [HTTPMethod.POST, .DELETE] {
            #expect(self.refusal(method, "/api/requests/http", fields) == nil)
            #expect(self.refusal(method, "/api/requests/http", with("Origin", "http://127.0.0.1:4040")) == nil)
            for origin in ["http://evil.example", "null", "http://localhost:4040", "https://127.0.0.1:4040", "http://127.0.0.1:3000", ""] {
                #expect(self.refusal(method, "/api/requests/http", with("Origin", origin)) == .forbidden)
            }
            for site in ["cross-site", "same-site", "none"] {
                #expect(self.refusal(method, "/api/requests/http", with("Sec-Fetch-Site", site)) == .forbidden)
            }
        }
    }

    @Test(arguments: ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", "", "text/plain; application/json"])
    func `a form cannot write`(type: String) {
        #expect(self.refusal(.POST, "/api/requests/http", ["Host": "127.0.0.1:4040", "Content-Type": type]) == .unsupportedMediaType)
    }

    @Test func `the inspector listens on loopback only`() throws {
        for text in ["4040", "127.0.0.1:4040", "localhost:4040"] { #expect(try InspectorAddress(text).description == "127.0.0.1:4040") }
        #expect(try InspectorAddress("[::1]:0").description == "[::1]:0")
        for text in ["0.0.0.0:4040", "[::]:4040", "192.0.2.1:4040", "example.com:4040", "::1:4040", "", "x", "127.0.0.1:65536", "[127.0.0.1]:4040", ":4040"] {
            #expect(throws: (any Error).self, "\(text)") { try InspectorAddress(text) }
        }
    }
}
