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
        tunnel: UInt64 = 0
    ) -> Exchange {
        var all: HTTPHeaders = ["Host": "calm-otter-7f3a.tunnel.example.com"]
        all.add(contentsOf: fields)
        var exchange = Exchange(
            request: RequestMessage(
                visitor: Endpoint(.v4(0xCB00_7109), port: 41_234), scheme: "https", id: id, method: method, target: target,
                fields: all, body: body.readableBytes == 0 ? .none : .bytes(UInt64(body.readableBytes))),
            tunnel: TunnelNumber(tunnel), url: Self.url, started: 1_795_250_096_123)
        exchange.requestBody.append(body)
        return exchange
    }

    static func ended(
        _ exchange: Exchange, status: UInt16 = 200, fields: HTTPHeaders = ["Content-Type": "text/plain"],
        body: ByteBuffer = ByteBuffer(string: "ok")
    ) -> Exchange {
        var exchange = exchange
        exchange.response = ResponseMessage(status: status, reason: "OK", fields: fields, body: .bytes(UInt64(body.readableBytes)))
        exchange.responseBody.append(body)
        exchange.untilHead = .milliseconds(3)
        exchange.untilEnd = .microseconds(4_250)
        exchange.state = .complete
        return exchange
    }

    static func whole(_ id: String, method: String = "GET", target: String = "/", fields: HTTPHeaders = [:], body: String = "") -> Exchange {
        Self.ended(Self.begun(id, method: method, target: target, fields: fields, body: ByteBuffer(string: body)))
    }
}

extension InspectorStore {
    /// As it comes: begun, then ended.
    func add(_ exchange: Exchange) {
        var begun = exchange
        begun.state = .underWay
        self.changed(begun)
        self.changed(exchange)
    }
}
