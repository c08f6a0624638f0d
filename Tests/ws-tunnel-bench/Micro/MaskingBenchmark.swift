import WebSocketProtocol

/// Masking of 64 KiB that stay in the cache.
enum MaskingBenchmark {
    private static let bytes = 64 * 1024
    /// Between two looks at the clock.
    private static let turns = 64
    /// GB/s. TLS costs ten times as much at this speed.
    private static let needed = 20.0

    static func figures(_ meter: Meter) -> [MicroFigure] {
        let (source, target) = (Block(count: Self.bytes), Block(count: Self.bytes))
        let key = MaskingKey(0x37FA_213D)
        let inPlace = meter.rate {
            for _ in 0..<Self.turns { Masking.apply(key, to: source.bytes) }
            return Self.turns * Self.bytes
        }
        let copying = meter.rate {
            for _ in 0..<Self.turns { Masking.copy(key, from: UnsafeRawBufferPointer(source.bytes), into: target.bytes) }
            return Self.turns * Self.bytes
        }
        return [
            .speed("maskingInPlace", "masking where it lies, 64 KiB", inPlace, needed: Self.needed),
            .speed("maskingCopy", "masking into another buffer, 64 KiB", copying, needed: Self.needed),
        ]
    }
}
