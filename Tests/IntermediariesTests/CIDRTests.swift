import Intermediaries
import Testing
import TunnelProtocol

/// An address that a test writes down.
func address(_ text: String) throws -> Endpoint.Address {
    try #require(Endpoint.Address(text: text), "\(text) is no address")
}

@Suite struct AddressTextTests {
    @Test(arguments: [
        ("203.0.113.9", "203.0.113.9"), ("0.0.0.0", "0.0.0.0"), ("255.255.255.255", "255.255.255.255"),
        ("::", "0:0:0:0:0:0:0:0"), ("::1", "0:0:0:0:0:0:0:1"), ("2001:db8::", "2001:db8:0:0:0:0:0:0"),
        ("2001:DB8::A1", "2001:db8:0:0:0:0:0:a1"), ("1:2:3:4:5:6:7:8", "1:2:3:4:5:6:7:8"),
        ("1::3:4:5:6:7:8", "1:0:3:4:5:6:7:8"), ("64:ff9b::192.0.2.33", "64:ff9b:0:0:0:0:c000:221"),
        ("::ffff:192.0.2.1", "192.0.2.1"), ("::ffff:c000:201", "192.0.2.1"),
    ])
    func `an address is read in every form of its RFC`(text: String, means: String) throws {
        #expect(try address(text).description == means)
    }

    @Test(arguments: [
        "", ".", "1.2.3", "1.2.3.4.5", "1.2.3.256", "01.2.3.4", "1.2.3.04", "+1.2.3.4", "1.2.3.4 ", " 1.2.3.4", "0x7f.0.0.1",
        "1.2.3.", "localhost", ":", ":::", "1:2:3:4:5:6:7", "1:2:3:4:5:6:7:8:9", "1::2::3", "1:2:3:4:5:6:7::8", "12345::",
        "g::", "+1::", "::1.2.3", "1.2.3.4::", "::1.2.3.4:5", "[::1]", "fe80::1%eth0", "1:2:3:4:5:6:7:1.2.3.4", ":1:2:3:4:5:6:7",
        "::\u{301}1", "１.2.3.4",
    ])
    func `what is no address is not taken for one`(text: String) {
        #expect(Endpoint.Address(text: text) == nil)
    }

    @Test(arguments: 0..<200 as Range<UInt64>)
    func `an address written and read again is the same`(seed: UInt64) throws {
        // Multiplied by an odd number that mixes the bits; some groups stay zero.
        let high = seed &* 0x9E37_79B9_7F4A_7C15, low = high &* 0xBF58_476D_1CE4_E5B9
        for known in [Endpoint.Address.v4(UInt32(truncatingIfNeeded: high)), .v6(Opaque16(high: high, low: low << (seed % 64)))] {
            #expect(try address(known.description) == known)
        }
    }
}

@Suite struct CIDRTests {
    @Test(arguments: [
        ("10.0.0.0/8", "10.255.255.255", true), ("10.0.0.0/8", "11.0.0.0", false), ("10.0.0.0/8", "9.255.255.255", false),
        ("0.0.0.0/0", "203.0.113.9", true), ("192.0.2.7", "192.0.2.7", true), ("192.0.2.7", "192.0.2.6", false),
        ("192.0.2.6/31", "192.0.2.7", true), ("192.0.2.7/32", "192.0.2.7", true), ("128.0.0.0/1", "127.255.255.255", false),
        ("2001:db8::/32", "2001:db8:ffff::1", true), ("2001:db8::/32", "2001:db9::", false),
        ("2001:db8:0:0:8000::/65", "2001:db8::8000:0:0:1", true), ("2001:db8:0:0:8000::/65", "2001:db8::7000:0:0:1", false),
        ("2001:db8::/64", "2001:db8::ffff:ffff:ffff:ffff", true), ("2001:db8::/64", "2001:db8:0:1::", false),
        ("::1", "::1", true), ("::1", "::2", false), ("::/0", "2001:db8::1", true), ("::/128", "::", true),
        // IPv4 and IPv6 are apart, and an IPv4 address mapped into IPv6 is IPv4, on both sides.
        ("::/0", "10.1.2.3", false), ("0.0.0.0/0", "::1", false), ("10.0.0.0/8", "::ffff:10.1.2.3", true),
        ("::ffff:10.0.0.0/104", "10.1.2.3", true), ("::ffff:10.0.0.0/104", "11.1.2.3", false), ("::ffff:10.1.2.3", "10.1.2.3", true),
    ])
    func `a network holds its addresses and no others`(network: String, text: String, isIn: Bool) throws {
        #expect(try CIDR(network).contains(address(text)) == isIn)
    }

    @Test func `a mapped address that was not read from text counts as IPv4 too`() throws {
        let mapped = Endpoint.Address.v6(Opaque16(high: 0, low: 0xFFFF_0A01_0203))
        #expect(try CIDR("10.0.0.0/8").contains(mapped))
        #expect(try !CIDR("::/0").contains(mapped))
    }

    @Test(arguments: [
        ("", CIDRError.address("")), ("example.com", .address("example.com")), ("10.0.0/8", .address("10.0.0/8")),
        ("/8", .address("/8")), ("10.0.0.0/", .length("10.0.0.0/")), ("10.0.0.0/33", .length("10.0.0.0/33")),
        ("10.0.0.0/-1", .length("10.0.0.0/-1")), ("10.0.0.0/+8", .length("10.0.0.0/+8")), ("10.0.0.0/08", .length("10.0.0.0/08")),
        ("10.0.0.0/8/8", .length("10.0.0.0/8/8")), ("::/129", .length("::/129")),
        ("::/99999999999999999999", .length("::/99999999999999999999")),
        ("::ffff:10.0.0.0/90", .length("::ffff:10.0.0.0/90")),
        ("10.1.2.3/8", .bitsBeyond("10.1.2.3/8", network: "10.0.0.0/8")),
        ("2001:db8::1/32", .bitsBeyond("2001:db8::1/32", network: "2001:db8:0:0:0:0:0:0/32")),
        ("1.0.0.0/0", .bitsBeyond("1.0.0.0/0", network: "0.0.0.0/0")),
    ])
    func `what is no network is refused with the reason`(text: String, error: CIDRError) {
        #expect(throws: error) { try CIDR(text) }
        #expect(error.sentence.contains(text))
    }

    @Test func `nobody is trusted unless named`() throws {
        #expect(try !TrustedProxies([]).contains(address("127.0.0.1")))
        let trusted = TrustedProxies([try CIDR("10.0.0.0/8"), try CIDR("2001:db8::7")])
        #expect(try trusted.contains(address("10.9.9.9")))
        #expect(try trusted.contains(address("2001:db8::7")))
        #expect(try !trusted.contains(address("203.0.113.9")))
    }
}
