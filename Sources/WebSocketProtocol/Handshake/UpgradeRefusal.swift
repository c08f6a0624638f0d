/// Why a request is not answered with 101 (RFC 6455 §4.2.1 and §4.2.2), and what it is answered with instead.
package enum UpgradeRefusal: Error, Equatable, Sendable {
    case method
    case httpVersion
    case host
    case target
    case body
    case upgrade
    case connection
    case version
    case key
    case subprotocols
    case extensions

    package var sentence: String {
        switch self {
        case .method: "a WebSocket is opened with GET"
        case .httpVersion: "a WebSocket is opened with HTTP/1.1"
        case .host: "the request needs exactly one Host, which agrees with its target"
        case .target: "the target is neither a path nor an http or https URL"
        case .body: "a request that opens a WebSocket has no body"
        case .upgrade: "the request does not ask for an upgrade to websocket"
        case .connection: "the Connection field does not name Upgrade; a proxy on the way may have removed it"
        case .version: "only version 13 of WebSocket is spoken here"
        case .key: "the request needs exactly one Sec-WebSocket-Key, of 16 bytes in base64"
        case .subprotocols: "the subprotocols are not distinct tokens"
        case .extensions: "the Sec-WebSocket-Extensions field does not follow its grammar"
        }
    }

    package var response: Response {
        let body = self.sentence + "\n"
        return switch self {
        case .method: Response(status: 405, reason: "Method Not Allowed", fields: ["Allow": "GET"], body: body)
        // RFC 9110 §15.5.22: a 426 says what to upgrade to.
        case .upgrade:
            Response(status: 426, reason: "Upgrade Required", fields: ["Upgrade": "websocket"], body: body)
        // RFC 6455 §4.4.
        case .version:
            Response(
                status: 426, reason: "Upgrade Required",
                fields: ["Upgrade": "websocket", "Sec-WebSocket-Version": "13"], body: body)
        case .httpVersion, .host, .target, .body, .connection, .key, .subprotocols, .extensions:
            Response(status: 400, reason: "Bad Request", body: body)
        }
    }
}
