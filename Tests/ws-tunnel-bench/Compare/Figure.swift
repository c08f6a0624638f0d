/// One line of the comparison. The raw value is its name in the JSON.
enum Figure: String, CaseIterable {
    case down1, up1, down8, up8, evennessDown8, evennessUp8, processorDown, processorUp
    case trips1, trips1Median, trips1Percentile99
    case trips64, trips64Median, trips64Percentile99, processorTrips64
    case arrivals1, arrivals1Median, arrivals32, arrivals32Percentile99
    case memoryAtRest, memoryPerStream
    case busyMedian, busyPercentile99, busyBulk
    case stalledDown, stalledDownGrowth, stalledUp, stalledUpGrowth
    case distantDown, distantUp, distantArrival
    case httpRequests, httpMedian, httpPercentile99, httpProcessor
    case plainRequests, plainMedian, plainPercentile99, plainProcessor

    struct Meaning {
        let label: String
        let unit: String
        /// What a reading in seconds or bytes is multiplied with for that unit.
        let scale: Double
        let isMoreBetter: Bool
        /// Whether one by the other says anything: next to nothing by next to nothing does not.
        var hasRatio = true

        fileprivate init(_ label: String, _ unit: String, _ scale: Double = 1, isMoreBetter: Bool) {
            self.label = label
            self.unit = unit
            self.scale = scale
            self.isMoreBetter = isMoreBetter
        }

        fileprivate static func speed(_ label: String) -> Self { Self(label, "MB/s", 1e-6, isMoreBetter: true) }
        fileprivate static func rate(_ label: String) -> Self { Self(label, "1/s", isMoreBetter: true) }
        fileprivate static func time(_ label: String) -> Self { Self(label, "µs", 1e6, isMoreBetter: false) }
        fileprivate static func memory(_ label: String) -> Self { Self(label, "MB", 1e-6, isMoreBetter: false) }
        fileprivate static var growth: Self {
            var meaning = Self.memory("  growth of memory")
            meaning.hasRatio = false
            return meaning
        }
    }

    /// - Parameter idle: The streams of `memoryPerStream`.
    func meaning(idle: Int) -> Meaning {
        switch self {
        case .down1: .speed("bulk, 1 stream, service to visitor")
        case .up1: .speed("bulk, 1 stream, visitor to service")
        case .down8: .speed("bulk, 8 streams, service to visitor")
        case .up8: .speed("bulk, 8 streams, visitor to service")
        case .evennessDown8: Meaning("  slowest of the 8 by the fastest, service to visitor", "", isMoreBetter: true)
        case .evennessUp8: Meaning("  slowest of the 8 by the fastest, visitor to service", "", isMoreBetter: true)
        case .processorDown: Meaning("processor time of 1 stream, service to visitor", "s/GB", 1e9, isMoreBetter: false)
        case .processorUp: Meaning("processor time of 1 stream, visitor to service", "s/GB", 1e9, isMoreBetter: false)
        case .trips1: .rate("round trips of 64 bytes, 1 stream")
        case .trips1Median: .time("  median")
        case .trips1Percentile99: .time("  99th percentile")
        case .trips64: .rate("round trips of 64 bytes, 64 streams")
        case .trips64Median: .time("  median")
        case .trips64Percentile99: .time("  99th percentile")
        case .processorTrips64: Meaning("  processor time of 100,000", "s", 1e5, isMoreBetter: false)
        case .arrivals1: .rate("connect, 1 byte there and back, close; one by one")
        case .arrivals1Median: .time("  median")
        case .arrivals32: .rate("connect, 1 byte there and back, close; 32 at once")
        case .arrivals32Percentile99: .time("  99th percentile")
        case .memoryAtRest: .memory("memory at rest, both programs")
        case .memoryPerStream: Meaning("memory of an idle stream, both programs, of \(idle)", "KB", 1e-3, isMoreBetter: false)
        case .busyMedian: .time("64 bytes there and back beside a stream in bulk, median")
        case .busyPercentile99: .time("  99th percentile")
        case .busyBulk: .speed("  that bulk")
        case .stalledDown: .speed("bulk beside a visitor who never reads")
        case .stalledDownGrowth: .growth
        case .stalledUp: .speed("bulk beside a service that never reads")
        case .stalledUpGrowth: .growth
        case .distantDown: .speed("100 ms of round trip: bulk, 1 stream, service to visitor")
        case .distantUp: .speed("100 ms of round trip: bulk, 1 stream, visitor to service")
        case .httpRequests: .rate("HTTPS requests for 1 KiB, 64 connections")
        case .plainRequests: .rate("HTTP requests for 1 KiB, 64 connections, no TLS anywhere")
        case .httpMedian, .plainMedian: .time("  median")
        case .httpPercentile99, .plainPercentile99: .time("  99th percentile")
        case .httpProcessor, .plainProcessor: Meaning("  processor time of 100,000", "s", 1e5, isMoreBetter: false)
        case .distantArrival: Meaning("100 ms of round trip: connect until the first echo", "ms", 1e3, isMoreBetter: false)
        }
    }
}
