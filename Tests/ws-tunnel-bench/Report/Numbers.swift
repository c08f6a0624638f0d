extension [Double] {
    /// The value in the middle, or the mean of the two there; 0 when there is none.
    var median: Double {
        let sorted = self.sorted()
        guard let last = sorted.indices.last else { return 0 }
        return (sorted[last / 2] + sorted[(last + 1) / 2]) / 2
    }
}

extension Double {
    /// Three significant digits at least, and no more places than they need: 1234567, 1234, 123, 12.3, 1.23, 0.0123.
    var brief: String {
        guard self.isFinite else { return "-" }
        guard abs(self) < 100 else { return String(Int(self.rounded())) }
        var places = 2
        var bound = 1.0
        while abs(self) < bound, places < 5, self != 0 {
            places += 1
            bound /= 10
        }
        if abs(self) >= 10 { places = 1 }
        return self.fixed(places)
    }

    /// With so many digits after the point.
    func fixed(_ places: Int) -> String {
        guard self.isFinite else { return "-" }
        let scale = (0..<places).reduce(1) { scale, _ in scale * 10 }
        let scaled = Int((abs(self) * Double(scale)).rounded())
        let fraction = String(scaled % scale)
        let sign = self < 0 && scaled > 0 ? "-" : ""
        guard places > 0 else { return sign + String(scaled) }
        return "\(sign)\(scaled / scale)." + String(repeating: "0", count: places - fraction.count) + fraction
    }
}
