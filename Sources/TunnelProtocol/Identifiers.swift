/// One visitor's connection inside a link. The side that opens a stream numbers it: the client odd from 1, the server
/// even from 2, each time two higher; a number is never used again on that link.
package struct StreamID: Hashable, Comparable, Sendable, CustomStringConvertible {
    package let value: UInt64

    package init(_ value: UInt64) {
        self.value = value
    }

    package static func < (left: StreamID, right: StreamID) -> Bool {
        left.value < right.value
    }

    package var description: String { String(self.value) }
}

/// A tunnel's number inside its session, chosen by the client; short, because every OPEN carries it.
package struct TunnelNumber: Hashable, Sendable, CustomStringConvertible {
    package let value: UInt64

    package init(_ value: UInt64) {
        self.value = value
    }

    package var description: String { String(self.value) }
}

/// A tunnel's name for people and logs: a random UUID (RFC 9562, version 4), chosen by the server.
package struct TunnelID: Hashable, Sendable, CustomStringConvertible {
    package let bytes: Opaque16

    /// - Parameter random: 16 random bytes; version and variant are set here.
    package init(random: Opaque16) {
        var bytes = random
        bytes.high = bytes.high & ~0xF000 | 0x4000
        bytes.low = bytes.low & ~(0b11 << 62) | (0b10 << 62)
        self.bytes = bytes
    }

    package init(bytes: Opaque16) {
        self.bytes = bytes
    }

    package var description: String {
        let hex = self.bytes.description
        var parts: [Substring] = []
        var start = hex.startIndex
        for length in [8, 4, 4, 4, 12] {
            let end = hex.index(start, offsetBy: length)
            parts.append(hex[start..<end])
            start = end
        }
        return parts.joined(separator: "-")
    }
}

/// A session's name on its server. Not a secret: resuming takes the key and the token as well.
package struct SessionID: Hashable, Sendable, CustomStringConvertible {
    package let bytes: Opaque16

    package init(_ bytes: Opaque16) {
        self.bytes = bytes
    }

    package var description: String { self.bytes.description }
}

/// What proves that a new connection continues a session: 32 unguessable bytes, replaced at each greeting.
///
/// It has no description that shows it, so that it cannot reach a log by accident.
package struct ResumeToken: Hashable, Sendable, CustomStringConvertible {
    package let first: Opaque16
    package let second: Opaque16

    package init(_ first: Opaque16, _ second: Opaque16) {
        self.first = first
        self.second = second
    }

    package var description: String { "(resume token)" }
}

/// Sixteen bytes that mean something only to whoever made them.
package struct Opaque16: Hashable, Sendable, CustomStringConvertible {
    package var high: UInt64
    package var low: UInt64

    package init(high: UInt64, low: UInt64) {
        self.high = high
        self.low = low
    }

    /// 32 lower-case hexadecimal digits.
    package var description: String {
        [self.high, self.low].map { half in
            let digits = String(half, radix: 16)
            return String(repeating: "0", count: 16 - digits.count) + digits
        }.joined()
    }
}

/// An IP address and a port.
package struct Endpoint: Hashable, Sendable, CustomStringConvertible {
    package enum Address: Hashable, Sendable, CustomStringConvertible {
        case v4(UInt32)
        case v6(Opaque16)

        /// `203.0.113.9`, or `2001:db8:0:0:0:0:0:1`.
        package var description: String {
            switch self {
            case .v4(let bits):
                return Self.text(bits)
            case .v6(let bytes):
                return [bytes.high, bytes.low].flatMap { half in
                    [48, 32, 16, 0].map { String(half >> UInt64($0) & 0xFFFF, radix: 16) }
                }.joined(separator: ":")
            }
        }

        /// Four numbers: HTTP's fields and logs have it for every request.
        private static func text(_ bits: UInt32) -> String {
            var text: [UInt8] = []
            text.reserveCapacity(15)
            for shift: UInt32 in [24, 16, 8, 0] {
                let number = UInt8(truncatingIfNeeded: bits >> shift)
                if number >= 100 { text.append(UInt8(ascii: "0") + number / 100) }
                if number >= 10 { text.append(UInt8(ascii: "0") + number / 10 % 10) }
                text.append(UInt8(ascii: "0") + number % 10)
                if shift > 0 { text.append(UInt8(ascii: ".")) }
            }
            return String(decoding: text, as: UTF8.self)
        }
    }

    package let address: Address
    package let port: UInt16

    package init(_ address: Address, port: UInt16) {
        self.address = address
        self.port = port
    }

    /// `203.0.113.9:41234`, or `[2001:db8:0:0:0:0:0:1]:41234`.
    package var description: String {
        switch self.address {
        case .v4: "\(self.address):\(self.port)"
        case .v6: "[\(self.address)]:\(self.port)"
        }
    }
}
