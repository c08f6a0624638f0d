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

    /// Seconds that `share` of the durations do not exceed.
    func quantile(_ share: Double) -> Double {
        guard !self.nanoseconds.isEmpty else { return 0 }
        let sorted = self.nanoseconds.sorted()
        return Double(sorted[Int(share * Double(sorted.count - 1))]) / 1e9
    }
}
