import Intermediaries
import Testing

/// How far what a request says about its way is believed.
@Suite struct ForwardedAddressesTests {
    /// The peer is 10.0.0.1 unless told otherwise; 10.0.0.0/8 and 2001:db8:ff::/48 are trusted.
    private func read(
        peer: String = "10.0.0.1", list: [String] = [], standard: [String] = [], proto: [String] = [], trusted: Bool = true
    ) throws -> ForwardedAddresses {
        let networks = trusted ? [try CIDR("10.0.0.0/8"), try CIDR("2001:db8:ff::/48")] : []
        return ForwardedAddresses(
            peer: ForwardedNode(try address(peer), port: 50_000), trusted: TrustedProxies(networks), forwardedFor: list,
            forwarded: standard, forwardedProto: proto)
    }

    private static let peer = "10.0.0.1:50000"

    // MARK: Whose word it is

    @Test func `without trusted proxies nothing is believed`() throws {
        let found = try self.read(list: ["203.0.113.9"], standard: ["for=203.0.113.9"], proto: ["https"], trusted: false)
        #expect(found == ForwardedAddresses(origin: ForwardedNode(try address("10.0.0.1"), port: 50_000)))
    }

    @Test func `a stranger is not believed`() throws {
        let found = try self.read(peer: "198.51.100.1", list: ["203.0.113.9"], standard: ["for=203.0.113.9"], proto: ["https"])
        #expect(found.origin.description == "198.51.100.1:50000")
        #expect(found.proto == nil)
    }

    // MARK: X-Forwarded-For

    @Test(arguments: [
        ([], peer), (["203.0.113.9"], "203.0.113.9"), (["198.51.100.7, 203.0.113.9"], "203.0.113.9"),
        (["198.51.100.7", "203.0.113.9"], "203.0.113.9"), (["203.0.113.9, 10.0.0.2"], "203.0.113.9"),
        (["198.51.100.7, 203.0.113.9, 10.0.0.3,10.0.0.2"], "203.0.113.9"), (["203.0.113.9", "10.0.0.2"], "203.0.113.9"),
        (["10.0.0.3, 10.0.0.2"], "10.0.0.3"), (["2001:db8::1"], "2001:db8:0:0:0:0:0:1"),
        (["203.0.113.9, 2001:db8:ff::2"], "203.0.113.9"), (["203.0.113.9:41234"], "203.0.113.9:41234"),
        (["[2001:db8::1]:41234"], "[2001:db8:0:0:0:0:0:1]:41234"), (["[2001:db8::1]"], "2001:db8:0:0:0:0:0:1"),
        (["::ffff:203.0.113.9"], "203.0.113.9"), (["203.0.113.9, ::ffff:10.0.0.2"], "203.0.113.9"),
        ([" \t203.0.113.9\t "], "203.0.113.9"), (["203.0.113.9, ,"], "203.0.113.9"), ([""], peer), ([", ,"], peer),
        // Whoever passed something else on is as far as it is known.
        (["unknown"], peer), (["203.0.113.9, unknown"], peer), (["203.0.113.9, unknown, 10.0.0.2"], "10.0.0.2"),
        (["203.0.113.9, \"10.0.0.2\""], peer), (["203.0.113.9:99999"], peer), (["[203.0.113.9]"], peer), (["[::1"], peer),
        (["[::1]x"], peer), (["1.2.3.4:"], peer), (["203.0.113.9, evil\u{FFFD}"], peer),
    ] as [([String], String)])
    func `the address is the rightmost that is no trusted proxy's`(values: [String], means: String) throws {
        #expect(try self.read(list: values).origin.description == means)
    }

    // MARK: Forwarded

    @Test(arguments: [
        (["for=203.0.113.9"], "203.0.113.9"), (["For=203.0.113.9;proto=https;by=10.0.0.1"], "203.0.113.9"),
        (["for=\"203.0.113.9:41234\""], "203.0.113.9:41234"), (["for=\"[2001:db8::1]:41234\""], "[2001:db8:0:0:0:0:0:1]:41234"),
        (["for=\"[2001:db8::1]\""], "2001:db8:0:0:0:0:0:1"), (["for=198.51.100.7, for=203.0.113.9"], "203.0.113.9"),
        (["for=198.51.100.7", "for=203.0.113.9"], "203.0.113.9"), (["for=203.0.113.9, for=10.0.0.2"], "203.0.113.9"),
        (["for=203.0.113.9, for=\"[2001:db8:ff::1]\""], "203.0.113.9"), (["for=\"203.0.113.9:_port\""], "203.0.113.9"),
        (["for=\"203\\.0.113.9\""], "203.0.113.9"), (["  for=203.0.113.9 ; proto=http , "], "203.0.113.9"),
        ([";for=203.0.113.9;"], "203.0.113.9"),
        (["for=unknown"], peer), (["for=_hidden"], peer), (["for=\"_hidden:1\""], peer), (["for=203.0.113.9, for=unknown"], peer),
        (["for=203.0.113.9, by=10.0.0.1"], peer), ([""], peer), (["for=203.0.113.9, for=unknown, for=10.0.0.2"], "10.0.0.2"),
        // What does not follow the grammar tells nothing, and hides what is left of it.
        (["for"], peer), (["for="], peer), (["for=\"203.0.113.9"], peer), (["for=203.0.113.9;for=203.0.113.8"], peer),
        (["for=\"203.0.113.9\"x"], peer), (["for = 203.0.113.9"], peer), (["for=[2001:db8::1]"], peer), (["for=\"\\"], peer),
        (["for=198.51.100.7", "for=\"", "for=10.0.0.2"], "10.0.0.2"),
        // A quote that a stranger left open takes in what the proxy added, and is seen.
        (["for=198.51.100.7;x=\", for=203.0.113.9"], peer), (["for=198.51.100.7;x=\", for=\"[2001:db8::1]\""], peer),
        (["for=198.51.100.7;x=\"", "for=203.0.113.9"], "203.0.113.9"),
    ] as [([String], String)])
    func `Forwarded is read from the right likewise`(values: [String], means: String) throws {
        #expect(try self.read(standard: values).origin.description == means)
    }

    // MARK: Both

    @Test func `both fields are believed where they agree`() throws {
        let found = try self.read(list: ["203.0.113.9"], standard: ["for=\"203.0.113.9:41234\";proto=https"])
        #expect(found.origin.description == "203.0.113.9:41234")
        #expect(found.proto == "https")
    }

    @Test func `a field that a stranger adds to the proxy's makes neither believed`() throws {
        for (list, standard) in [("203.0.113.9", "for=198.51.100.7"), ("198.51.100.7", "for=203.0.113.9"), ("203.0.113.9", "for=\"")] {
            let found = try self.read(list: [list], standard: [standard])
            #expect(found.origin.description == Self.peer)
            #expect(found.isDisputed)
        }
        #expect(try !self.read(list: ["203.0.113.9"], standard: ["for=203.0.113.9"]).isDisputed)
        #expect(try !self.read(list: ["unknown"]).isDisputed)
    }

    @Test func `a stranger that agrees with the proxy about itself does not choose the protocol`() throws {
        let found = try self.read(list: ["203.0.113.9"], standard: ["for=203.0.113.9;proto=https"], proto: ["http"])
        #expect(found.proto == "http")
    }

    // MARK: What was spoken

    @Test(arguments: [
        (["https"], "https"), (["HTTP"], "http"), (["wss"], "wss"), (["http, https"], "https"), (["gopher"], nil), ([], nil),
        (["https\r"], nil),
    ] as [([String], String?)])
    func `the protocol is one of four`(values: [String], means: String?) throws {
        #expect(try self.read(list: ["203.0.113.9"], proto: values).proto == means)
    }

    @Test func `Forwarded has the protocol of the element that is believed`() throws {
        #expect(try self.read(standard: ["for=203.0.113.9;proto=https, for=10.0.0.2;proto=http"]).proto == "https")
        #expect(try self.read(standard: ["for=198.51.100.7;proto=http, for=203.0.113.9;proto=wss"]).proto == "wss")
    }
}
