import HTTPMessages
import Intermediaries
import NIOHTTP1
import Testing
import TunnelProtocol

struct ForwardingTests {
    private static let visitor = ForwardedNode(.v4(0xCB00_7109), port: 41_234)
    private static let balancer = ForwardedNode(.v4(0x0A00_0001), port: 80)
    private static let v6 = ForwardedNode(.v6(Opaque16(high: 0x2001_0DB8_0000_0000, low: 1)), port: 5)

    private static func text(_ fields: HTTPHeaders) -> [String] { fields.map { "\($0.name): \($0.value)" } }

    @Test func `a stranger's own words are replaced, in every spelling`() {
        var fields: HTTPHeaders = [
            "Host": "a", "x-forwarded-for": "1.1.1.1", "X_Forwarded_For": "2.2.2.2", "X-Forwarded-Proto": "https", "X-Forwarded-Host": "evil",
            "Forwarded": "for=3.3.3.3", "X-Real-IP": "4.4.4.4", "X-Request-Id": "theirs", "X-Forwarded-Port": "1", "X-Forwarded-User": "root",
            "True-Client-IP": "5.5.5.5", "X-Client-IP": "6.6.6.6", "CF-Connecting-IP": "7.7.7.7", "X-Other": "kept",
        ]
        let id = fields.setForwarding(
            origin: Self.visitor, peer: Self.visitor, peerIsTrusted: false, scheme: "http", host: "a:8080", id: "ours")
        #expect(id == "ours")
        #expect(
            Self.text(fields) == [
                "Host: a", "X-Other: kept", "X-Forwarded-For: 203.0.113.9", "X-Forwarded-Proto: http", "X-Forwarded-Host: a:8080",
                "Forwarded: for=203.0.113.9;host=\"a:8080\";proto=http", "X-Real-IP: 203.0.113.9", "X-Request-Id: ours",
            ])
    }

    @Test func `a trusted proxy's words are kept, and it is added to them`() {
        var fields: HTTPHeaders = [
            "Host": "a", "X-Forwarded-For": "203.0.113.9", "X-Forwarded-Proto": "https", "X-Forwarded-Host": "b", "X-Request-Id": "abc-1",
            "Forwarded": "for=203.0.113.9;proto=https", "X-Forwarded-Port": "443", "X_Forwarded_For": "1.1.1.1",
        ]
        let id = fields.setForwarding(
            origin: Self.visitor, peer: Self.balancer, peerIsTrusted: true, scheme: "https", host: "a", id: "ours")
        #expect(id == "abc-1")
        #expect(
            Self.text(fields) == [
                "Host: a", "X-Forwarded-Port: 443", "X-Forwarded-For: 203.0.113.9, 10.0.0.1", "X-Forwarded-Proto: https", "X-Forwarded-Host: b",
                "Forwarded: for=203.0.113.9;proto=https, for=10.0.0.1", "X-Real-IP: 203.0.113.9", "X-Request-Id: abc-1",
            ])
    }

    @Test func `what only a PROXY header told is said in both lists`() {
        var fields: HTTPHeaders = ["Host": "a"]
        fields.setForwarding(origin: Self.v6, peer: Self.balancer, peerIsTrusted: true, scheme: "https", host: "a", id: "ours")
        #expect(fields["X-Forwarded-For"] == ["2001:db8:0:0:0:0:0:1, 10.0.0.1"])
        #expect(fields["Forwarded"] == ["for=\"[2001:db8:0:0:0:0:0:1]\";host=a;proto=https, for=10.0.0.1"])
    }

    @Test func `lists that were not believed begin anew`() {
        // A proxy that writes X-Forwarded-For alone, and a stranger's Forwarded: the two differ, so the proxy is all that is known.
        var fields: HTTPHeaders = ["Host": "a", "X-Forwarded-For": "203.0.113.9", "Forwarded": "for=127.0.0.1"]
        fields.setForwarding(origin: Self.balancer, peer: Self.balancer, peerIsTrusted: true, scheme: "http", host: "a", id: "ours")
        #expect(fields["X-Forwarded-For"] == ["10.0.0.1"])
        #expect(fields["Forwarded"] == ["for=10.0.0.1;host=a;proto=http"])
    }

    @Test(arguments: ["", "a b", "a\"b", String(repeating: "a", count: 129), "é"])
    func `an id that is not fit for a log is replaced, a trusted proxy's too`(id: String) {
        var fields: HTTPHeaders = ["Host": "a", "X-Request-Id": id]
        #expect(
            fields.setForwarding(origin: Self.visitor, peer: Self.balancer, peerIsTrusted: true, scheme: "http", host: "a", id: "ours") == "ours")
        #expect(fields["X-Request-Id"] == ["ours"])
    }

    @Test func `what is said can be read again`() throws {
        var fields: HTTPHeaders = ["Host": "[::1]:80"]
        fields.setForwarding(origin: Self.v6, peer: Self.v6, peerIsTrusted: false, scheme: "https", host: "[::1]:80", id: "ours")
        let read = ForwardedAddresses(
            peer: Self.balancer, trusted: TrustedProxies([try CIDR("10.0.0.0/8")]), forwardedFor: fields["X-Forwarded-For"],
            forwarded: fields["Forwarded"], forwardedProto: fields["X-Forwarded-Proto"])
        #expect(read.origin.address == Self.v6.address && read.proto == "https")
    }
}
