/// Durations of one measurement.
struct Times {
    private var nanoseconds: [UInt32] = []

    init() {
        // Growing in the middle would show in the times.
        self.nanoseconds.reserveCapacity(1 << 20)
    }

    var count: Int { self.nanoseconds.count }

    /// Saturates at 4.2 s.
    mutating func add(_ nanoseconds: UInt64) {
        self.nanoseconds.append(UInt32(clamping: nanoseconds))
    }

    /// Seconds that half of the durations, and that 99 of 100, do not exceed; 0 when there are none.
    var quantiles: (median: Double, percentile99: Double) {
        let sorted = self.nanoseconds.sorted()
        guard let last = sorted.indices.last else { return (0, 0) }
        return (Double(sorted[last / 2]) / 1e9, Double(sorted[last * 99 / 100]) / 1e9)
    }
}
