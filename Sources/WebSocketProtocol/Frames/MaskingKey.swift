/// The four bytes a client's payload is masked with (RFC 6455 §5.3).
///
/// Fresh and unpredictable for each frame: whoever can predict it chooses the bytes on the wire, which is what masking
/// exists to prevent.
package struct MaskingKey: Equatable, Sendable {
    /// The key's first byte is the most significant one.
    package let value: UInt32

    package init(_ value: UInt32) {
        self.value = value
    }

    /// The key twice over, as it lies in memory, for payload that begins `offset` bytes into a frame.
    func word(offset: Int) -> UInt64 {
        let shift = UInt32(truncatingIfNeeded: offset & 3) &* 8
        let rotated = self.value &<< shift | self.value &>> ((32 &- shift) & 31)
        return (UInt64(rotated) &<< 32 | UInt64(rotated)).bigEndian
    }
}
