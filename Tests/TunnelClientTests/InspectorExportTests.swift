import Foundation
import HTTPMessages
import NIOCore
import NIOHTTP1
import Testing
import TunnelClient
import TunnelProtocol

@Suite struct InspectorExportTests {
    private func archive(_ exchanges: Exchange..., reveals: Bool = false) throws -> [[String: Any]] {
        let store = InspectorStore()
        for exchange in exchanges { store.add(exchange) }
        let bytes = HARExport.archive(store.entries().reversed(), reveals: reveals)
        let all = try #require(try JSONSerialization.jsonObject(with: Data(bytes.readableBytesView)) as? [String: Any])
        let log = try #require(all["log"] as? [String: Any])
        #expect(log["version"] as? String == "1.2")
        #expect((log["creator"] as? [String: Any])?["name"] as? String == "ws-tunnel-client")
        return try #require(log["entries"] as? [[String: Any]])
    }

    @Test func `an archive has every member that HAR 1.2 asks for`() throws {
        let failed = Exchanges.begun("2", target: "/slow")
            .ended(Exchange.Seen(), failure: "the visitor left", after: .seconds(2))
        let entries = try self.archive(
            Exchanges.whole(
                "1", method: "POST", target: "/a?x=1&y=caf%C3%A9&z",
                fields: ["Content-Type": "text/plain", "Cookie": "s=1; t=2"], body: "héllo"),
            failed, Exchanges.begun("3"), reveals: true)
        #expect(entries.count == 2, "what is under way is left out")
        for entry in entries {
            #expect(entry["startedDateTime"] as? String == "2026-11-21T08:34:56.123Z")
            #expect(entry["cache"] is [String: Any])
            let timings = try #require(entry["timings"] as? [String: Double])
            #expect(abs(timings.values.reduce(0, +) - (entry["time"] as? Double ?? -1)) < 0.001)
            #expect(Set(timings.keys) == ["send", "wait", "receive"])
            let request = try #require(entry["request"] as? [String: Any])
            let needed: Set<String> = ["method", "url", "httpVersion", "cookies", "headers", "queryString", "headersSize", "bodySize"]
            #expect(needed.isSubset(of: request.keys))
            let response = try #require(entry["response"] as? [String: Any])
            let answered: Set<String> = [
                "status", "statusText", "httpVersion", "cookies", "headers", "content", "redirectURL", "headersSize", "bodySize",
            ]
            #expect(answered.isSubset(of: response.keys))
            let content = try #require(response["content"] as? [String: Any])
            #expect(content["size"] is Int && content["mimeType"] is String)
        }
        let request = try #require(entries[0]["request"] as? [String: Any])
        #expect(request["url"] as? String == Exchanges.url + "/a?x=1&y=caf%C3%A9&z")
        #expect(request["queryString"] as? [[String: String]] == [
            ["name": "x", "value": "1"], ["name": "y", "value": "café"], ["name": "z", "value": ""],
        ])
        #expect(request["cookies"] as? [[String: String]] == [["name": "s", "value": "1"], ["name": "t", "value": "2"]])
        #expect((request["postData"] as? [String: Any])?["text"] as? String == "héllo")
        #expect((entries[1]["response"] as? [String: Any])?["status"] as? Int == 0)
        #expect(entries[1]["comment"] as? String == "the visitor left")
    }

    @Test func `bytes that are no text are Base64, and a part says so`() throws {
        let bytes = ByteBuffer(repeating: 0xFF, count: 30_000)
        let entries = try self.archive(Exchanges.ended(Exchanges.begun("1"), fields: ["Content-Type": "image/png"], body: bytes))
        let content = try #require((entries[0]["response"] as? [String: Any])?["content"] as? [String: Any])
        #expect(content["encoding"] as? String == "base64")
        #expect((content["text"] as? String).flatMap { Data(base64Encoded: $0) } == Data(repeating: 0xFF, count: 10_240))
        #expect(content["size"] as? Int == 30_000)
        #expect(content["comment"] as? String == "the first 10240 of 30000 bytes")
    }

    @Test func `cookies are in an archive only if asked for`() throws {
        let entries = try self.archive(Exchanges.whole("1", fields: ["Cookie": "s=sesame"]))
        let request = try #require(entries[0]["request"] as? [String: Any])
        #expect((request["cookies"] as? [Any])?.isEmpty == true)
    }

    @Test func `a command line names the request and leaves out what is not the visitor's`() {
        let text = CurlCommand.text(
            Exchanges.whole(
                "1", method: "PUT", target: "/a/../b?x=[1]&y='",
                fields: [
                    "Accept": "*/*", "X-Empty": "", "X-Forwarded-For": "203.0.113.9", "X-Request-Id": "1", "Accept-Encoding": "gzip",
                    "Content-Type": "text/plain", "X-Quote": "it's $(id) `id` \\ \"",
                ], body: "it's\n$HOME"), reveals: false)
        #expect(text == #"""
            curl --globoff --path-as-is -X 'PUT' 'https://calm-otter-7f3a.tunnel.example.com/a/../b?x=[1]&y='\''' \
              -H 'Accept: */*' \
              -H 'X-Empty;' \
              --compressed \
              -H 'Content-Type: text/plain' \
              -H 'X-Quote: it'\''s $(id) `id` \ "' \
              --data-raw 'it'\''s
            $HOME'
            """#)
    }

    /// The shell itself says what it makes of the words.
    @Test(arguments: [
        "plain", "it's", "''", "$(touch x)", "`id`", "a\\", "\\'", "a\nb", "!history", "~", "*", "a;b|c&d>e<f", "\"", "é•", "-x", "#", "${IFS}", "%s", "\t",
    ])
    func `a quoted text is what a shell reads`(text: String) throws {
        let shell = Process()
        let pipe = Pipe()
        shell.executableURL = URL(fileURLWithPath: "/bin/sh")
        shell.arguments = ["-c", "printf '%s|' " + CurlCommand.quoted(text)]
        shell.standardOutput = pipe
        try shell.run()
        let output = pipe.fileHandleForReading.readDataToEndOfFile()
        shell.waitUntilExit()
        #expect(String(decoding: output, as: UTF8.self) == text + "|")
    }

    @Test func `a body that a terminal could not take is given in Base64`() {
        let text = CurlCommand.text(Exchanges.whole("1", method: "POST", body: "a\u{1B}[2Jb"), reveals: false)
        #expect(text.hasPrefix("printf %s 'YRtbMkpi' | base64 -d | curl -X 'POST' "))
        #expect(text.contains("--data-binary @-"))
        let cut = CurlCommand.text(Exchanges.whole("1", method: "POST", body: String(repeating: "x", count: 11_000)), reveals: false)
        #expect(cut.hasPrefix("# Its body has 11000 bytes, and only the first 10240 are kept.\ncurl "))
        let left = Exchanges.ended(
            Exchanges.begun("1", method: "POST", isChunked: true), requestBody: ByteBuffer(string: "all"), requestHasEnded: false)
        #expect(CurlCommand.text(left, reveals: false).hasPrefix("# Its body did not come to its end: 3 bytes of it are kept.\ncurl "))
    }

    @Test(arguments: [
        (0, "1970-01-01T00:00:00.000Z"), (951_782_399_999, "2000-02-28T23:59:59.999Z"), (951_782_400_000, "2000-02-29T00:00:00.000Z"),
        (951_868_800_000, "2000-03-01T00:00:00.000Z"), (1_795_250_096_123, "2026-11-21T08:34:56.123Z"), (-1, "1969-12-31T23:59:59.999Z"),
        (4_107_542_399_000, "2100-02-28T23:59:59.000Z"), (4_107_542_400_000, "2100-03-01T00:00:00.000Z"),
        (Int64.max, "9999-12-31T23:59:59.999Z"), (Int64.min, "0001-01-01T00:00:00.000Z"),
    ] as [(Int64, String)])
    func `a moment is written as RFC 3339 has it`(milliseconds: Int64, text: String) {
        #expect(CivilTime.text(milliseconds) == text)
    }
}
