import Console
import Testing
import TunnelClient
import TunnelProtocol

@testable import ws_tunnel_client

/// The lines of requests.
@Suite struct RequestLogTests {
    private func request(
        path: String = "/a", status: UInt16? = 200, duration: Duration = .microseconds(12_345), bytes: UInt64 = 1_234, failure: String? = nil
    ) -> ClientRequest {
        ClientRequest(
            id: "f81d4fae", started: 1_800_000_000_123, method: "GET", path: path, status: status, duration: duration, bytes: bytes,
            endpoint: Endpoint(.v4(0xCB00_7109), port: 1), url: "https://app.example.com", failure: failure)
    }

    @Test func `columns stand under each other`() {
        #expect(RequestLog.row(self.request()) == "200  GET      12.3 ms    1.2 KiB  203.0.113.9      /a")
        #expect(
            RequestLog.row(self.request(status: nil, duration: .seconds(75), bytes: 5 << 30, failure: "the visitor left"))
                == "---  GET         75 s    5.0 GiB  203.0.113.9      /a  (the visitor left)")
    }

    @Test func `an event says the same to a script`() {
        var text = ""
        RequestLog.event(self.request(), into: &text)
        #expect(
            text == """
                {"event":"request","time":"2027-01-15T08:00:00.123Z","id":"f81d4fae","method":"GET","path":"/a","status":200,\
                "milliseconds":12.3,"bytes":1234,"visitor":"203.0.113.9","url":"https://app.example.com"}
                """)
    }

    @Test func `a path cannot give orders to the terminal`() {
        #expect(!RequestLog.row(self.request(path: "/\u{1B}[2J\u{9B}")).unicodeScalars.contains { $0.value < 0x20 || $0.value == 0x9B })
    }

    @Test(arguments: [(0, "0 B"), (1_023, "1023 B"), (1_024, "1.0 KiB"), (1_048_575, "1023.9 KiB"), (1_048_576, "1.0 MiB")] as [(UInt64, String)])
    func `sizes are short`(bytes: UInt64, text: String) {
        #expect(RequestLog.size(bytes) == text)
    }
}
