internal import HTTPMessages
internal import NIOHTTP1
internal import WebSocketProtocol

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
