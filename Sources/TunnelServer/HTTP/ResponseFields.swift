internal import HTTPMessages
internal import NIOHTTP1
internal import WebSocketProtocol

extension HTTPHeaders {
    /// What says where a message ends is written here, and nobody else's word on it is passed on.
    mutating func removeFraming(exceptUpgrade: Bool) {
        func isFraming(_ name: String) -> Bool {
            switch name.utf8.count {
            case 7: !exceptUpgrade && name.lowercased() == "upgrade"
            case 10: !exceptUpgrade && name.lowercased() == "connection" || name.lowercased() == "keep-alive"
            case 14: name.lowercased() == "content-length"
            case 16: name.lowercased() == "proxy-connection"
            case 17: name.lowercased() == "transfer-encoding"
            default: false
            }
        }
        guard self.contains(where: { isFraming($0.name) }) else { return }
        self = HTTPHeaders(self.filter { !isFraming($0.name) })
    }
}

extension ResponseMessage {
    /// An answer of the front door's, on a connection that goes on.
    init(_ response: Response) {
        var fields: HTTPHeaders = ["Content-Type": "text/plain; charset=utf-8"]
        for field in response.fields.all { fields.replaceOrAdd(name: field.name, value: field.value) }
        self.init(
            status: UInt16(clamping: response.status), reason: response.reason, fields: fields,
            body: .bytes(UInt64(response.body.utf8.count)))
    }
}
