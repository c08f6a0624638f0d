/// What may be asked for by name: the form RFC 1123 §2.1 gives a host, in ASCII (IDNA has been applied before).
enum HostName {
    /// Letters, digits, hyphens and underscores (which exist in practice) in labels of 1 to 63 bytes, 253 in all.
    ///
    /// `allowingWildcard`: the first label may be "*", as in a certificate.
    static func isValid(_ name: String, allowingWildcard: Bool = false) -> Bool {
        guard name.utf8.count <= 253 else { return false }
        let labels = name.utf8.split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false)
        for (index, label) in labels.enumerated() {
            if allowingWildcard, index == 0, labels.count > 2, label.elementsEqual("*".utf8) { continue }
            guard (1...63).contains(label.count), label.allSatisfy(self.isAllowed) else { return false }
        }
        return true
    }

    private static func isAllowed(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "_"):
            true
        default: false
        }
    }
}
