/// Names of tunnels: labels below the server's domain, and whole host names.
package enum TunnelName {
    /// Letters of a label (RFC 1035 §2.3.4).
    package static let labelBytes = 63

    /// Whether this may stand below a domain: small letters, digits and `-`, none at its ends (RFC 1123 §2.1).
    package static func isLabel(_ text: String) -> Bool {
        let bytes = text.utf8
        guard 1...Self.labelBytes ~= bytes.count, bytes.first != UInt8(ascii: "-"), bytes.last != UInt8(ascii: "-") else { return false }
        // RFC 5891 §4.2.3.1: two of them in third place are an encoding's, of which only one is in use.
        if bytes.dropFirst(2).prefix(2).elementsEqual("--".utf8), !text.hasPrefix("xn--") { return false }
        return bytes.allSatisfy { $0 &- UInt8(ascii: "a") < 26 || HTTPText.isDigit($0) || $0 == UInt8(ascii: "-") }
    }

    /// The one spelling of a host name: small letters, without a dot at its end. `nil` for what is none: an address, an empty label,
    /// or one that `isLabel` does not take.
    package static func normalizedHost(_ text: String) -> String? {
        var bytes = text.utf8.map(HTTPText.lowercased)
        if bytes.last == UInt8(ascii: ".") { bytes.removeLast() }
        // RFC 1035 §2.3.4, less its dot at the end.
        guard 1...253 ~= bytes.count else { return nil }
        let labels = bytes.split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false)
        guard labels.allSatisfy({ Self.isLabel(String(decoding: $0, as: UTF8.self)) }) else { return nil }
        // A name that ends in digits alone is read as an IPv4 address (WHATWG URL, "ends in a number").
        guard labels.last?.allSatisfy(HTTPText.isDigit) == false else { return nil }
        return String(decoding: bytes, as: UTF8.self)
    }

    /// A name that people can read out to each other, the same for the same digest: `calm-otter-7f3a`.
    ///
    /// - Parameter digest: Of whatever should have this name, evenly distributed; six bytes are used.
    package static func readable(from digest: [UInt8]) -> String {
        let bytes = (0..<6).map { $0 < digest.count ? digest[$0] : 0 }
        let adjective = Self.adjectives[Int(bytes[0]) << 8 | Int(bytes[1]), default: "calm"]
        let noun = Self.nouns[Int(bytes[2]) << 8 | Int(bytes[3]), default: "otter"]
        let number = String(Int(bytes[4]) << 8 | Int(bytes[5]), radix: 16)
        return "\(adjective)-\(noun)-" + String(repeating: "0", count: 4 - number.count) + number
    }
}

extension [Substring] {
    /// The word that a number of 16 bits stands for.
    fileprivate subscript(number: Int, default word: Substring) -> Substring {
        self.isEmpty ? word : self[number % self.count]
    }
}
