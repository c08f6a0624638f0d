import HTTPMessages
import NIOCore
import NIOHTTP1
import TunnelClient
import TunnelProtocol

/// Exchanges as the client would report them.
enum Exchanges {
    static let url = "https://calm-otter-7f3a.tunnel.example.com"

    static func begun(
        _ id: String, method: String = "GET", target: String = "/", fields: HTTPHeaders = [:], body: ByteBuffer = ByteBuffer(),
        isChunked: Bool = false, tunnel: UInt64 = 0
    ) -> Exchange {
        var all: HTTPHeaders = ["Host": "calm-otter-7f3a.tunnel.example.com"]
        all.add(contentsOf: fields)
        return Exchange(
            request: RequestMessage(
                visitor: Endpoint(.v4(0xCB00_7109), port: 41_234), scheme: "https", id: id, method: method, target: target,
                fields: all, body: isChunked ? .unknown : body.readableBytes == 0 ? .none : .bytes(UInt64(body.readableBytes))),
            tunnel: TunnelNumber(tunnel), url: Self.url, started: 1_795_250_096_123)
    }

    static func ended(
        _ exchange: Exchange, status: UInt16 = 200, fields: HTTPHeaders = ["Content-Type": "text/plain"],
        requestBody: ByteBuffer = ByteBuffer(), requestHasEnded: Bool = true, body: ByteBuffer = ByteBuffer(string: "ok")
    ) -> Exchange {
        var seen = Exchange.Seen()
        seen.requestHasEnded = requestHasEnded
        seen.requestBody.append(requestBody)
        var record = ByteBuffer()
        record.writeRecord(ResponseMessage(status: status, reason: "OK", fields: fields, body: .bytes(UInt64(body.readableBytes))))
        seen.answered(record, after: .milliseconds(3))
        seen.responseBody.append(body)
        return exchange.ended(seen, failure: nil, after: .microseconds(4_250))
    }

    static func whole(_ id: String, method: String = "GET", target: String = "/", fields: HTTPHeaders = [:], body: String = "") -> Exchange {
        let body = ByteBuffer(string: body)
        return Self.ended(Self.begun(id, method: method, target: target, fields: fields, body: body), requestBody: body)
    }
}

extension InspectorStore {
    /// As it comes: begun, then ended, if it has.
    func add(_ exchange: Exchange) {
        let place = self.began(exchange)
        if exchange.state != .underWay { self.ended(exchange, at: place) }
    }
}
