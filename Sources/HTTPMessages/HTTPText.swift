/// What may stand where in a head.
package enum HTTPText {
    /// RFC 9110 §5.6.2.
    package static func isToken(_ text: String) -> Bool {
        !text.utf8.isEmpty && text.utf8.allSatisfy { $0 < 0x80 && Self.tokenBytes[Int($0)] }
    }

    /// RFC 9110 §5.5: no control character but the tab. Bytes beyond ASCII are allowed as opaque.
    package static func isValue(_ text: String) -> Bool {
        text.utf8.allSatisfy { $0 >= 0x20 && $0 != 0x7F || $0 == 0x09 }
    }

    /// No blank and no control character; what else a target is made of is for who reads it.
    package static func isTarget(_ text: String) -> Bool {
        !text.utf8.isEmpty && text.utf8.allSatisfy { $0 > 0x20 && $0 != 0x7F }
    }

    private static let tokenBytes: [Bool] = (0..<128).map { byte in
        switch UInt8(byte) {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "0")...UInt8(ascii: "9"): true
        default: "!#$%&'*+-.^_`|~".utf8.contains(UInt8(byte))
        }
    }
}
