/// What a frame is (RFC 6455 §5.2). The values left out are reserved.
package enum Opcode: UInt8, Sendable {
    case continuation = 0x0
    case text = 0x1
    case binary = 0x2
    case close = 0x8
    case ping = 0x9
    case pong = 0xA

    /// RFC 6455 §5.5: the most significant bit marks control frames.
    package var isControl: Bool { self.rawValue & 0x8 != 0 }
}

/// RSV1, RSV2 and RSV3, where they stand in a frame's first byte: clear, unless an extension claims them (RFC 6455
/// §5.2).
package struct ReservedBits: OptionSet, Sendable {
    /// Written out, because `[]` is built by generic code at each use.
    package static var none: ReservedBits { ReservedBits(rawValue: 0) }
    package static let rsv1 = ReservedBits(rawValue: 0x40)
    package static let rsv2 = ReservedBits(rawValue: 0x20)
    package static let rsv3 = ReservedBits(rawValue: 0x10)

    package let rawValue: UInt8

    package init(rawValue: UInt8) {
        self.rawValue = rawValue
    }
}
