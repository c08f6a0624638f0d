import Foundation
import HTTPMessages
import NIOConcurrencyHelpers
import NIOCore
import NIOHTTP1
import Testing
import TunnelClient
import TunnelProtocol
import WebSocketProtocol

@Suite struct InspectorAPITests {
    private struct Sent: Equatable {
        let request: RequestMessage
        let body: String
        let tunnel: TunnelNumber
        let original: String
    }

    private let store = InspectorStore()
    private let sent = NIOLockedValueBox<[Sent]>([])
    private let api: InspectorAPI

    init() {
        let sent = self.sent
        self.api = InspectorAPI(store: self.store) { request, body, tunnel, original in
            sent.withLockedValue { $0.append(Sent(request: request, body: String(buffer: body), tunnel: tunnel, original: original)) }
        }
        self.api.opened(
            HTTPTunnel(number: TunnelNumber(0), id: "6f1c", name: "", url: Exchanges.url, service: "http://127.0.0.1:3000"))
        self.api.opened(
            HTTPTunnel(number: TunnelNumber(1), id: "6f1d", name: "the api", url: "https://api.example.com", service: "http://127.0.0.1:8080"))
        self.store.add(
            Exchanges.whole(
                "one", method: "POST", target: "/login?next=%2Fhome",
                fields: ["Authorization": "Bearer sesame", "content-type": "application/json", "Cookie": "a=sesame; b=sesame"], body: #"{"a":1}"#))
    }

    private func get(_ path: String, _ method: HTTPMethod = .GET, body: String = "") -> (HTTPResponseStatus, String) {
        guard case .response(let status, _, let bytes) = self.api.answer(method, path, body: ByteBuffer(string: body)) else {
            return (.imATeapot, "")
        }
        return (status, String(buffer: bytes))
    }

    private func object(_ path: String) throws -> [String: Any] {
        let (status, text) = self.get(path)
        #expect(status == .ok, "\(path): \(text)")
        return try #require(try JSONSerialization.jsonObject(with: Data(text.utf8)) as? [String: Any])
    }

    @Test func `tunnels are listed as ngrok's agent lists them`() throws {
        let tunnels = try #require(try self.object("/api/tunnels")["tunnels"] as? [[String: Any]])
        #expect(tunnels.map { $0["name"] as? String } == ["calm-otter-7f3a.tunnel.example.com", "the api"])
        #expect(tunnels[0]["public_url"] as? String == Exchanges.url)
        #expect(tunnels[0]["proto"] as? String == "https")
        #expect((tunnels[0]["config"] as? [String: Any])?["addr"] as? String == "http://127.0.0.1:3000")
        let uri = try #require(tunnels[1]["uri"] as? String)
        #expect(uri == "/api/tunnels/the%20api")
        #expect(try self.object(uri)["ID"] as? String == "6f1d")
        #expect(self.get("/api/tunnels/none").0 == .notFound)
    }

    @Test func `requests are listed as ngrok's agent lists them`() throws {
        let requests = try #require(try self.object("/api/requests/http?limit=1")["requests"] as? [[String: Any]])
        let one = try #require(requests.first)
        #expect(one["uri"] as? String == "/api/requests/http/one")
        #expect(one["remote_addr"] as? String == "203.0.113.9")
        #expect(one["start"] as? String == "2026-11-21T08:34:56.123Z")
        #expect(one["duration"] as? Int == 4_250_000)
        let request = try #require(one["request"] as? [String: Any])
        #expect(request["method"] as? String == "POST")
        #expect(request["uri"] as? String == "/login?next=%2Fhome")
        #expect((request["headers"] as? [String: [String]])?["Content-Type"] == ["application/json"])
        let raw = try #require((request["raw"] as? String).flatMap { Data(base64Encoded: $0) })
        #expect(String(decoding: raw, as: UTF8.self).hasPrefix("POST /login?next=%2Fhome HTTP/1.1\r\nHost: "))
        #expect(String(decoding: raw, as: UTF8.self).hasSuffix("Content-Length: 7\r\n\r\n{\"a\":1}"))
        let response = try #require(one["response"] as? [String: Any])
        #expect(response["status"] as? String == "200 OK")
        #expect(response["status_code"] as? Int == 200)
        #expect((try self.object("/api/requests/http?tunnel_name=the%20api")["requests"] as? [Any])?.isEmpty == true)
        #expect((try self.object("/api/requests/http?limit=0")["requests"] as? [Any])?.isEmpty == true)
        #expect(self.get("/api/requests/http?limit=-1").0 == .badRequest)
        #expect(self.get("/api/requests/http/none").0 == .notFound)
    }

    @Test(arguments: ["/api/requests/http", "/api/requests/http/one", "/api/requests/http/one/curl", "/api/har", "/api/har?id=one"])
    func `secrets are hidden until asked for`(path: String) {
        let hidden = self.get(path).1
        #expect(!hidden.contains("sesame"))
        #expect(!hidden.contains(Base64.encode("Bearer sesame".utf8).prefix(12)))
        #expect(hidden.contains("•••"))
        #expect(self.get(path + (path.contains("?") ? "&" : "?") + "reveal=true").1.contains("sesame"))
    }

    @Test(arguments: ["Authorization", "proxy-authorization", "COOKIE", "Set-Cookie", "X-Api-Key", "X-CSRF-Token", "X-Amz-Security-Token", "Client-Secret"])
    func `these fields hold secrets`(name: String) {
        #expect(HiddenFields.contains(name))
    }

    @Test(arguments: ["Host", "Accept", "Content-Type", "X-Request-Id", "ETag", "User-Agent", "Keep-Alive"])
    func `these fields hold none`(name: String) {
        #expect(!HiddenFields.contains(name))
    }

    @Test func `a request is sent again as it was`() throws {
        #expect(self.get("/api/requests/http", .POST, body: #"{"id":"one","tunnel_name":""}"#).0 == .noContent)
        let sent = try #require(self.sent.withLockedValue { $0.first })
        #expect(sent.request == self.store.entry("one")?.exchange.request)
        #expect(sent.body == #"{"a":1}"#)
        #expect(sent.tunnel == TunnelNumber(0))
        #expect(sent.original == "one")
    }

    @Test func `a request is sent again with changes, through another tunnel`() throws {
        let wanted = #"""
            {"id":"one","tunnel_name":"the api","method":"PUT","uri":"/x?y","body":"{\"a\":2}\n",
             "headers":[["X-New","1"],["authorization","•••"],["Cookie","mine"],["Content-Length","99"],["Connection","close"]]}
            """#
        #expect(self.get("/api/requests/http", .POST, body: wanted) == (.noContent, ""))
        let sent = try #require(self.sent.withLockedValue { $0.first })
        #expect(sent.request.method == "PUT")
        #expect(sent.request.target == "/x?y")
        #expect(sent.body == "{\"a\":2}\n")
        #expect(sent.request.body == .bytes(8))
        #expect(sent.request.fields.map { "\($0.name): \($0.value)" } == [
            "Host: calm-otter-7f3a.tunnel.example.com", "X-New: 1", "authorization: Bearer sesame", "Cookie: mine",
        ])
        #expect(sent.tunnel == TunnelNumber(1))
    }

    @Test func `bytes that are not UTF-8 are shown as such, and are sent again as they were`() throws {
        let value = String(opaque: [0x61, 0xE9, 0x62])
        var exchange = Exchanges.begun("two", target: "/" + value, fields: ["X": value, "Cookie": value, "Y": "é"])
        exchange = Exchanges.ended(exchange, fields: ["Location": value])
        self.store.add(exchange)
        let shown = try self.object("/api/requests/http/two")
        let request = try #require(shown["request"] as? [String: Any])
        #expect(request["uri"] as? String == "/a\u{FFFD}b")
        #expect((request["headers"] as? [String: [String]])?["X"] == ["a\u{FFFD}b"])
        let response = try #require(shown["response"] as? [String: Any])
        #expect((response["headers"] as? [String: [String]])?["Location"] == ["a\u{FFFD}b"])
        // Byte for byte.
        let raw = try #require(Base64.decode(response["raw"] as? String ?? ""))
        #expect(raw.firstRange(of: Array("Location: a".utf8) + [0xE9, 0x62, 0x0D]) != nil)
        for path in ["/api/har?id=two&reveal=true", "/api/requests/http/two/curl?reveal=true", "/api/requests/http?reveal=true"] {
            let (status, text) = self.get(path)
            #expect(status == .ok && text.contains("a\u{FFFD}b") && !text.contains(value), "\(text)")
        }
        let fields = #"[["X","a\#u{FFFD}b"],["Cookie","•••"],["Y","é"],["New","a\#u{FFFD}b"]]"#
        #expect(self.get("/api/requests/http", .POST, body: #"{"id":"two"}"#).0 == .noContent)
        #expect(self.get("/api/requests/http", .POST, body: #"{"id":"two","uri":"/a\#u{FFFD}b","headers":\#(fields)}"#).0 == .noContent)
        let sent = self.sent.withLockedValue { $0.map(\.request) }
        #expect(sent.map(\.target) == ["/" + value, "/" + value])
        for request in sent {
            #expect(request.fields["X"] == [value])
            #expect(request.fields["Cookie"] == [value])
            #expect(request.fields["Y"] == ["é"])
        }
        #expect(sent.last?.fields["New"] == ["a\u{FFFD}b"])
    }

    @Test(arguments: [
        "", "[]", "{}", #"{"id":1}"#, #"{"id":"one","method":"G T"}"#, #"{"id":"one","uri":"http://evil.example/"}"#,
        #"{"id":"one","uri":"/a b"}"#, #"{"id":"one","uri":"/\r\nX: y"}"#, #"{"id":"one","headers":[["X","a\nb"]]}"#,
        #"{"id":"one","headers":{"X Y":["1"]}}"#, #"{"id":"one","headers":"x"}"#, #"{"id":"one","body":7}"#,
        #"{"id":"one","headers":{"X-\u00e9":"1"}}"#, #"{"id":"one","headers":[["é","1"]]}"#,
        #"{"id":"one","body_base64":"*"}"#, #"{"id":"one","method":"CONNECT"}"#,
    ])
    func `what cannot be sent is refused`(wanted: String) {
        #expect(self.get("/api/requests/http", .POST, body: wanted).0 == .badRequest)
        #expect(self.sent.withLockedValue { $0.isEmpty })
    }

    @Test func `a body that is kept in part is not sent for the whole`() {
        self.store.add(Exchanges.whole("long", method: "POST", body: String(repeating: "x", count: 20_000)))
        let (status, text) = self.get("/api/requests/http", .POST, body: #"{"id":"long"}"#)
        #expect(status == .badRequest)
        #expect(text.contains("20000 bytes, and only the first 10240 are kept"))
        #expect(self.get("/api/requests/http", .POST, body: #"{"id":"long","body":"y"}"#).0 == .noContent)
    }

    @Test func `a body that is still on its way is not sent as an empty one`() throws {
        self.store.add(Exchanges.begun("now", method: "POST", body: ByteBuffer(string: "x")))
        let (status, text) = self.get("/api/requests/http", .POST, body: #"{"id":"now"}"#)
        #expect(status == .badRequest)
        #expect(text.contains("It has not ended yet."))
        #expect(self.get("/api/requests/http", .POST, body: #"{"id":"now","body":"y"}"#).0 == .noContent)
        self.store.add(Exchanges.begun("events"))
        #expect(self.get("/api/requests/http", .POST, body: #"{"id":"events"}"#).0 == .noContent)
        let bodies = self.sent.withLockedValue { $0.map(\.body) }
        #expect(bodies == ["y", ""])
    }

    @Test func `a body that did not come is not sent as an empty one`() {
        let body = ByteBuffer(string: "all of it")
        self.store.add(Exchanges.ended(Exchanges.begun("left", method: "POST", body: body), status: 502, requestBody: ByteBuffer(string: "all")))
        let (status, text) = self.get("/api/requests/http", .POST, body: #"{"id":"left"}"#)
        #expect(status == .badRequest)
        #expect(text.contains("Of its body's 9 bytes only 3 came."))
        #expect(self.get("/api/requests/http/left").1.contains(#""replay_refused":"Of its body's 9 bytes only 3 came.""#))
        for (id, hasEnded, expected) in [("cut", false, HTTPResponseStatus.badRequest), ("whole", true, .noContent)] {
            self.store.add(
                Exchanges.ended(
                    Exchanges.begun(id, method: "POST", isChunked: true), requestBody: ByteBuffer(string: "all"), requestHasEnded: hasEnded))
            #expect(self.get("/api/requests/http", .POST, body: #"{"id":"\#(id)"}"#).0 == expected)
        }
    }

    @Test func `a closed tunnel takes no replays`() {
        self.api.closed(TunnelNumber(0))
        #expect(self.get("/api/requests/http", .POST, body: #"{"id":"one"}"#).0 == .notFound)
        #expect(self.get("/api/requests/http", .POST, body: #"{"id":"none"}"#).0 == .notFound)
    }

    @Test func `everything can be forgotten`() throws {
        #expect(self.get("/api/requests/http", .DELETE) == (.noContent, ""))
        #expect((try self.object("/api/requests/http")["requests"] as? [Any])?.isEmpty == true)
    }

    @Test func `bodies are handed out as files, never as pages`() throws {
        guard case .response(.ok, let fields, let bytes) = self.api.answer(.GET, "/api/requests/http/one/request/body", body: ByteBuffer())
        else { throw CancellationError() }
        #expect(fields["Content-Type"] == ["application/octet-stream"])
        #expect(fields["Content-Disposition"].first?.hasPrefix("attachment") == true)
        #expect(String(buffer: bytes) == #"{"a":1}"#)
    }

    @Test func `the page names what it may run, and takes nothing from elsewhere`() throws {
        guard case .response(.ok, let fields, let bytes) = self.api.answer(.GET, "/", body: ByteBuffer()) else { throw CancellationError() }
        let policy = try #require(fields["Content-Security-Policy"].first)
        #expect(policy.hasPrefix("default-src 'none'; style-src 'sha256-"))
        #expect(!policy.contains("unsafe"))
        let page = String(buffer: bytes)
        #expect(page.contains("<title>Inspector</title>"))
        #expect(page.contains("EventSource"))
        for part in ["innerHTML", "insertAdjacentHTML", "document.write", "src=\"http", "href=\"http", "@import", "url(http"] {
            #expect(!page.contains(part), "\(part)")
        }
    }

    @Test func `anything else is nothing`() {
        for path in ["/x", "/api/x", "/api/requests", "/api/requests/http/one/x"] { #expect(self.get(path).0 == .notFound, "\(path)") }
        #expect(self.get("/api/tunnels", .POST).0 == .methodNotAllowed)
        #expect(self.get("/", .POST).0 == .notFound)
    }
}
