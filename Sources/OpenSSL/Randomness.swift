internal import COpenSSL

/// Unpredictable bytes from libcrypto's generator, which seeds itself from the operating system.
///
/// A generator that cannot deliver leaves nothing that could go on safely, so that stops the process.
package enum Randomness {
    /// `count` fresh bytes, for keys, tokens and identities.
    package static func bytes(_ count: Int) -> [UInt8] {
        [UInt8](unsafeUninitializedCapacity: count) { buffer, initialized in
            self.fill(UnsafeMutableRawBufferPointer(buffer))
            initialized = count
        }
    }

    /// Overwrites all of `buffer`.
    package static func fill(_ buffer: UnsafeMutableRawBufferPointer) {
        guard let base = buffer.baseAddress, buffer.count > 0 else { return }
        let bytes = base.assumingMemoryBound(to: UInt8.self)
        require(RAND_bytes(bytes, Int32(buffer.count)), "drawing random bytes")
    }
}

/// Fresh 32-bit masking keys for WebSocket frames (RFC 6455 §5.3: unpredictable, a new one for each frame), and for what else is
/// needed as often.
///
///     [ key key key … key ]   1,024 keys from one RAND_bytes of 4 KB, each handed out once
///            next ──▶
///
/// One call for many keys, because a call of its own for each frame costs more than masking a small frame.
/// Not copyable: a copy would hand out the same keys again.
package struct MaskingKeys: ~Copyable {
    private static var count: Int { 1_024 }

    private var keys: [UInt32] = []

    package init() {}

    /// The next key, in no particular byte order.
    package mutating func next() -> UInt32 {
        if let key = self.keys.popLast() { return key }
        self.refill()
        return self.keys.removeLast()
    }

    private mutating func refill() {
        self.keys.append(contentsOf: repeatElement(0, count: Self.count))
        self.keys.withUnsafeMutableBytes { Randomness.fill($0) }
    }
}
