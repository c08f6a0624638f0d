import Console
import Testing
import TunnelClient
import TunnelProtocol

@testable import ws_tunnel_client

/// The lines of requests.
@Suite struct RequestLogTests {
    private func request(
        method: String = "GET", path: String = "/a", status: UInt16? = 200, duration: Duration = .microseconds(12_345), bytes: UInt64 = 1_234, failure: String? = nil,
        endpoint: Endpoint? = Endpoint(.v4(0xCB00_7109), port: 1), url: String = "https://app.example.com"
    ) -> ClientRequest {
        ClientRequest(
            id: "f81d4fae", started: 1_800_000_000_123, method: method, path: path, status: status, duration: duration, bytes: bytes,
            endpoint: endpoint, url: url, failure: failure)
    }

    private func row(_ request: ClientRequest, namesTunnel: Bool = false) -> String {
        var text = LineText()
        RequestLog.row(request, namesTunnel: namesTunnel, into: &text)
        return text.text
    }

    private func line(_ request: ClientRequest, _ form: RequestLog.Form, namesTunnel: Bool = false) -> String {
        var text = LineText()
        RequestLog.write(request, form, namesTunnel: namesTunnel, into: &text)
        return text.text
    }

    @Test func `columns stand under each other`() {
        #expect(self.row(self.request()) == "200  GET      12.3 ms    1.2 KiB  203.0.113.9      /a")
        #expect(
            self.row(self.request(status: nil, duration: .seconds(75), bytes: 5 << 30, failure: "the visitor left"))
                == "---  GET         75 s    5.0 GiB  203.0.113.9      /a  (the visitor left)")
        #expect(
            self.row(self.request(duration: .zero, bytes: 0, endpoint: nil)) == "200  GET       0.0 ms        0 B  -                /a")
        #expect(
            self.row(
                self.request(
                    method: "PROPPATCH", status: 404, duration: .milliseconds(9_999), bytes: 1_023,
                    endpoint: Endpoint(.v6(Opaque16(high: 0x2001_0DB8_0000_0000, low: 1)), port: 1)))
                == "404  PROPPATCH 9999.0 ms     1023 B  2001:db8:0:0:0:0:0:1  /a")
    }

    @Test(arguments: [
        ("https://app.example.com", "/a", "app.example.com/a"), ("http://app.localhost:8080", "/", "app.localhost:8080/"),
        ("https://app.example.com/", "*", "app.example.com *"), ("", "/a", "/a"), ("https://\u{1B}[2Jé", "/é", "\u{FFFD}[2Jé/é"),
        ("https://" + String(repeating: "a", count: 300), "/", String(repeating: "a", count: 300) + "/"),
    ])
    func `with several tunnels the host stands before the path`(url: String, path: String, text: String) {
        let row = self.row(self.request(path: path, failure: "timeout", url: url), namesTunnel: true)
        #expect(row == "200  GET      12.3 ms    1.2 KiB  203.0.113.9      \(text)  (timeout)")
    }

    @Test func `programs read the same with one tunnel and with several`() {
        for form: RequestLog.Form in [.plain(.logfmt), .plain(.json), .event] {
            let line = self.line(self.request(), form)
            #expect(line.contains("https://app.example.com"))
            #expect(self.line(self.request(), form, namesTunnel: true) == line)
        }
        #expect(
            self.line(self.request(), .plain(.text), namesTunnel: true)
                == "2027-01-15T08:00:00.123Z request: 200  GET      12.3 ms    1.2 KiB  203.0.113.9      app.example.com/a")
        #expect(
            self.line(self.request(), .aligned, namesTunnel: true)
                .hasSuffix(":00.123  200  GET      12.3 ms    1.2 KiB  203.0.113.9      app.example.com/a"))
    }

    @Test(arguments: [
        (.zero, "0.0 ms"), (.nanoseconds(99_999), "0.0 ms"), (.nanoseconds(100_000), "0.1 ms"), (.nanoseconds(9_999_999_999), "9999.9 ms"),
        (.seconds(10), "10 s"), (.nanoseconds(18_999_999_999), "18 s"), (.seconds(599), "599 s"), (.seconds(600), "10 min"),
        (.seconds(400_000_000), "6666666 min"),
    ] as [(Duration, String)])
    func `times are short`(duration: Duration, text: String) {
        var line = LineText()
        line.write(room: 32) { RequestLog.time(duration).write(into: &$0) }
        #expect(line.text == text)
    }

    @Test func `a log that is no terminal has the time in front`() {
        #expect(
            self.line(self.request(), .plain(.text))
                == "2027-01-15T08:00:00.123Z request: 200  GET      12.3 ms    1.2 KiB  203.0.113.9      /a")
        #expect(self.line(self.request(), .aligned).hasSuffix(":00.123  200  GET      12.3 ms    1.2 KiB  203.0.113.9      /a"))
        #expect(
            self.line(self.request(path: "/a=b", failure: "the visitor left"), .plain(.logfmt)) == """
                time=2027-01-15T08:00:00.123Z level=info msg=request method=GET path="/a=b" status=200 milliseconds=12.3 bytes=1234 \
                visitor=203.0.113.9 id=f81d4fae url=https://app.example.com failure="the visitor left"
                """)
        #expect(
            self.line(self.request(path: "/\"\u{9B}é", endpoint: nil), .plain(.json)) == #"""
                {"event":"request","time":"2027-01-15T08:00:00.123Z","level":"info","message":"request","id":"f81d4fae","method":"GET",\#
                "path":"/\"\u009bé","status":200,"milliseconds":12.3,"bytes":1234,"url":"https://app.example.com"}
                """#)
    }

    @Test func `each line has its own second`() {
        var text = LineText()
        for time: Int64 in [999, 1_000, 1_001, 86_400_005, 0] {
            text.write(utc: time)
            text.write(" ")
        }
        #expect(
            text.text == """
                1970-01-01T00:00:00.999Z 1970-01-01T00:00:01.000Z 1970-01-01T00:00:01.001Z 1970-01-02T00:00:00.005Z \
                1970-01-01T00:00:00.000Z\u{20}
                """)
    }

    @Test(arguments: [0, 9, 10, 99, 100, 65_535, .max] as [UInt64])
    func `numbers are written in digits`(number: UInt64) {
        var text = LineText()
        text.write(room: 20) { $0.write(number) }
        #expect(text.text == String(number))
    }

    @Test func `an event says the same to a script`() {
        #expect(
            self.line(self.request(), .event) == """
                {"event":"request","time":"2027-01-15T08:00:00.123Z","id":"f81d4fae","method":"GET","path":"/a","status":200,\
                "milliseconds":12.3,"bytes":1234,"visitor":"203.0.113.9","url":"https://app.example.com"}
                """)
    }

    @Test func `a path cannot give orders to the terminal`() {
        #expect(!self.row(self.request(path: "/\u{1B}[2J\u{9B}")).unicodeScalars.contains { $0.value < 0x20 || $0.value == 0x9B })
    }

    @Test(arguments: [(0, "0 B"), (1_023, "1023 B"), (1_024, "1.0 KiB"), (1_048_575, "1023.9 KiB"), (1_048_576, "1.0 MiB")] as [(UInt64, String)])
    func `sizes are short`(bytes: UInt64, text: String) {
        var line = LineText()
        line.write(room: 32) { RequestLog.size(bytes).write(into: &$0) }
        #expect(line.text == text)
    }
}
