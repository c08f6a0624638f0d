import struct NIOCore.ByteBuffer

/// An input, read from its front. Behind its end there are zeros, so that every input means something.
package struct FuzzInput {
    private var bytes: ArraySlice<UInt8>

    init(_ bytes: [UInt8]) {
        self.bytes = bytes[...]
    }

    var isEmpty: Bool { self.bytes.isEmpty }

    mutating func byte() -> UInt8 { self.bytes.popFirst() ?? 0 }

    /// Two bytes, the higher first.
    mutating func short() -> Int { Int(self.byte()) << 8 | Int(self.byte()) }

    mutating func bytes(_ count: Int) -> [UInt8] {
        let taken = Array(self.bytes.prefix(count))
        self.bytes = self.bytes.dropFirst(count)
        return taken
    }

    mutating func rest() -> [UInt8] { self.bytes(self.bytes.count) }
}

/// Where an input is cut: the same places for the same seed.
struct Cuts {
    private var state: UInt64
    private let longest: UInt64

    /// - Parameter seed: Its two lowest bits choose the size of the pieces: single bytes, or up to 7, 100 or 4,000.
    init(seed: UInt8) {
        self.state = UInt64(seed)
        self.longest = [1, 7, 100, 4_000][Int(seed & 3)]
    }

    /// The pieces of `bytes`, some of them empty.
    mutating func pieces(of bytes: [UInt8]) -> [[UInt8]] {
        var pieces: [[UInt8]] = []
        var rest = bytes[...]
        while !rest.isEmpty {
            let count = self.longest == 1 ? 1 : Int(self.next() % (self.longest + 1))
            pieces.append(Array(rest.prefix(count)))
            rest = rest.dropFirst(count)
        }
        return pieces
    }

    /// Sebastiano Vigna's SplitMix64.
    private mutating func next() -> UInt64 {
        self.state &+= 0x9E37_79B9_7F4A_7C15
        var z = self.state
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }
}

extension ByteBuffer {
    var bytes: [UInt8] { Array(self.readableBytesView) }
}
