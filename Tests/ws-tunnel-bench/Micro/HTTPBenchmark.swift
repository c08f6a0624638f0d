import HTTPMessages
import Intermediaries
import NIOCore
import NIOHTTP1
import TunnelProtocol

/// What the rules of HTTP tunnels cost one request, beside the parser.
enum HTTPBenchmark {
    /// Requests between two looks at the clock.
    private static let batch = 100

    /// What a browser sends.
    private static let head = HTTPRequestHead(
        version: .http1_1, method: .GET, uri: "/assets/application-4f2c.js?v=12",
        headers: [
            "Host": "calm-otter-7f3a.tunnel.example.com", "Connection": "keep-alive", "Pragma": "no-cache", "Cache-Control": "no-cache",
            "User-Agent": "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/130.0.0.0 Safari/537.36",
            "Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", "Accept-Encoding": "gzip, deflate, br",
            "Accept-Language": "en-US,en;q=0.9", "Cookie": "session=0123456789abcdef0123456789abcdef; theme=dark",
            "Referer": "https://calm-otter-7f3a.tunnel.example.com/",
        ])

    static func figures(_ meter: Meter) throws -> [MicroFigure] {
        let peer = ForwardedNode(.v4(0xCB00_7109), port: 41_234)
        var buffer = ByteBuffer()
        let judged = try meter.rate {
            var fields = 0
            for _ in 0..<Self.batch { fields += try JudgedRequest(Self.head).fields.count }
            return fields / (Self.head.headers.count - 1)
        }
        let request = try JudgedRequest(Self.head)
        var message = RequestMessage(
            scheme: "https", id: "f81d4fae7dec41d0", method: request.method, target: request.target, fields: request.fields)
        let forwarded = meter.rate {
            for _ in 0..<Self.batch {
                var fields = request.fields
                fields.setForwarding(origin: peer, peer: peer, peerIsTrusted: false, scheme: "https", host: request.authority, id: message.id)
                message.fields = fields
            }
            return Self.batch
        }
        let recorded = meter.rate {
            buffer.clear()
            for _ in 0..<Self.batch { buffer.writeRecord(message) }
            return Self.batch
        }
        var record = ByteBuffer()
        record.writeRecord(message)
        record.writeEndRecord()
        var decoder = MessageDecoder(.requests)
        let decoded = try meter.rate {
            for _ in 0..<Self.batch {
                decoder.receive(record)
                while try decoder.next() != nil {}
            }
            return Self.batch
        }
        let written = meter.rate {
            buffer.clear()
            for _ in 0..<Self.batch { buffer.writeRequestHead(message) }
            return Self.batch
        }
        return [
            .rate("requestJudged", "requests judged", judged), .rate("requestForwarded", "requests given their forwarding fields", forwarded),
            .rate("requestRecorded", "requests written as records", recorded), .rate("requestDecoded", "requests read from records", decoded),
            .rate("requestWritten", "requests written as HTTP", written),
        ]
    }
}
