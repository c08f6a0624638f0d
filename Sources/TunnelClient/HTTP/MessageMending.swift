internal import HTTPMessages
internal import NIOHTTP1

extension RequestMessage {
    /// Of an upgrade that is not asked for after all.
    mutating func withoutUpgrade() {
        self.asksForUpgrade = false
        self.fields.remove(name: "Connection")
        self.fields.remove(name: "Upgrade")
    }
}

extension HTTPHeaders {
    /// Without what cannot be written again.
    var sound: HTTPHeaders {
        HTTPHeaders(self.filter { HTTPText.isToken($0.name) && HTTPText.isValue($0.value) })
    }
}
