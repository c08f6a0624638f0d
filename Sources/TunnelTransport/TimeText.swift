extension Duration {
    /// A span of time as people write it: `500ms`, `1.5s`, `5m`, `1h`; a bare number means seconds. `nil` for what is none, or is
    /// longer than 31 years.
    package init?(text: String) {
        let units: [(suffix: String, nanoseconds: Double)] = [("ms", 1e6), ("s", 1e9), ("m", 60e9), ("h", 3_600e9)]
        let unit = units.first { text.hasSuffix($0.suffix) } ?? ("", 1e9)
        // 1e9 s: nobody means more, and it is less than 2^63 ns.
        guard let value = Double(text.dropLast(unit.suffix.count)), value >= 0, value * unit.nanoseconds <= 1e18 else { return nil }
        self = .nanoseconds(Int64(value * unit.nanoseconds))
    }
}
