import ArgumentParser

/// What `--only` can name.
enum Topic: String, CaseIterable, ExpressibleByArgument {
    case bulk, trips, arrivals, idle, busy, stalled, distance
}

/// One visit of the load to one tunnel, and the figures that come of it.
struct Measurement {
    /// Which tunnel it is made on.
    enum Ground {
        /// One that has been up since the beginning.
        case standing
        /// One started for it alone: memory.
        case fresh
        /// One whose two programs are far apart.
        case distant
    }

    let topic: Topic
    let ground: Ground
    let run: (Stage, Tunnel) throws -> [Figure: Double]

    /// - Parameters:
    ///   - seconds: How long each is to take, about.
    ///   - idle: Streams to hold open.
    static func all(seconds: Double, idle: Int) -> [Measurement] {
        let warmUp = min(0.3, seconds)
        let time = ["--seconds", "\(seconds)", "--warm-up", "\(warmUp)"]
        return [
            Measurement(topic: .bulk, ground: .standing) { try $0.bulk(.down, on: $1, time) },
            Measurement(topic: .bulk, ground: .standing) { try $0.bulk(.up, on: $1, time) },
            Measurement(topic: .bulk, ground: .standing) { try $0.eightStreams(.down, on: $1, time) },
            Measurement(topic: .bulk, ground: .standing) { try $0.eightStreams(.up, on: $1, time) },
            Measurement(topic: .trips, ground: .standing) { stage, tunnel in
                let readings = try stage.load(["round-trips"] + time, on: tunnel)
                return [
                    .trips1: readings[.perSecond], .trips1Median: readings[.median],
                    .trips1Percentile99: readings[.percentile99],
                ]
            },
            Measurement(topic: .trips, ground: .standing) { stage, tunnel in
                let before = tunnel.processorSeconds
                let readings = try stage.load(["round-trips", "--visitors", "64"] + time, on: tunnel)
                return [
                    .trips64: readings[.perSecond], .trips64Median: readings[.median],
                    .trips64Percentile99: readings[.percentile99],
                    .processorTrips64: (tunnel.processorSeconds - before) / readings[.count],
                ]
            },
            Measurement(topic: .arrivals, ground: .standing) { stage, tunnel in
                let readings = try stage.load(["arrivals"] + time, on: tunnel)
                return [.arrivals1: readings[.perSecond], .arrivals1Median: readings[.median]]
            },
            Measurement(topic: .arrivals, ground: .standing) { stage, tunnel in
                let readings = try stage.load(["arrivals", "--at-once", "32"] + time, on: tunnel)
                return [.arrivals32: readings[.perSecond], .arrivals32Percentile99: readings[.percentile99]]
            },
            Measurement(topic: .busy, ground: .standing) { try $0.busy(on: $1, seconds: seconds, warmUp: warmUp) },
            Measurement(topic: .idle, ground: .fresh) { try $0.idle(idle, on: $1) },
            Measurement(topic: .stalled, ground: .fresh) { try $0.stalled(.down, on: $1, seconds: seconds, warmUp: warmUp) },
            Measurement(topic: .stalled, ground: .fresh) { try $0.stalled(.up, on: $1, seconds: seconds, warmUp: warmUp) },
            Measurement(topic: .distance, ground: .distant) { try $0.distance(on: $1, seconds: seconds) },
        ]
    }
}

extension Stage {
    /// Seconds until memory and queues have settled.
    private static let settling = 0.3

    fileprivate func bulk(_ direction: Direction, on tunnel: Tunnel, _ time: [String]) throws -> [Figure: Double] {
        let before = tunnel.processorSeconds
        let readings = try self.load(["bulk", "--direction", direction.rawValue] + time, on: tunnel)
        let processor = (tunnel.processorSeconds - before) / readings[.bytes]
        return direction == .down
            ? [.down1: readings[.bytesPerSecond], .processorDown: processor]
            : [.up1: readings[.bytesPerSecond], .processorUp: processor]
    }

    fileprivate func eightStreams(_ direction: Direction, on tunnel: Tunnel, _ time: [String]) throws -> [Figure: Double] {
        let readings = try self.load(["bulk", "--streams", "8", "--direction", direction.rawValue] + time, on: tunnel)
        return direction == .down
            ? [.down8: readings[.bytesPerSecond], .evennessDown8: readings[.evenness]]
            : [.up8: readings[.bytesPerSecond], .evennessUp8: readings[.evenness]]
    }

    /// The bulk begins before the round trips, and ends after them.
    fileprivate func busy(on tunnel: Tunnel, seconds: Double, warmUp: Double) throws -> [Figure: Double] {
        let bulk = try self.begin(["bulk", "--seconds", "\(seconds + 2 * warmUp)", "--warm-up", "\(warmUp)"], on: tunnel)
        Clock.sleep(warmUp)
        let trips = try self.load(["round-trips", "--seconds", "\(seconds)", "--warm-up", "\(warmUp)"], on: tunnel)
        let readings = try Readings(line: bulk.line(within: 120))
        return [
            .busyMedian: trips[.median], .busyPercentile99: trips[.percentile99], .busyBulk: readings[.bytesPerSecond],
        ]
    }

    fileprivate func idle(_ count: Int, on tunnel: Tunnel) throws -> [Figure: Double] {
        Clock.sleep(Self.settling)
        let before = tunnel.residentBytes
        let crowd = try self.begin(["crowd", "--visitors", "\(count)"], on: tunnel)
        _ = try crowd.line(within: 120)
        Clock.sleep(Self.settling)
        let after = tunnel.residentBytes
        crowd.kill()
        return [.memoryAtRest: before, .memoryPerStream: (after - before) / Double(count)]
    }

    /// What bulk costs in memory by itself is there before the growth is measured.
    fileprivate func stalled(
        _ direction: Direction, on tunnel: Tunnel, seconds: Double, warmUp: Double
    ) throws -> [Figure: Double] {
        let bulk = ["bulk", "--direction", direction.rawValue, "--seconds", "\(seconds)", "--warm-up", "\(warmUp)"]
        _ = try self.load(bulk, on: tunnel)
        Clock.sleep(Self.settling)
        let before = tunnel.residentBytes
        let stalled = try self.begin(["stall", "--direction", direction.rawValue], on: tunnel)
        _ = try stalled.line(within: 10)
        Clock.sleep(seconds)
        var growth = tunnel.residentBytes - before
        let readings = try self.load(bulk, on: tunnel)
        growth = max(growth, tunnel.residentBytes - before, 0)
        try stalled.checkAlive()
        return direction == .down
            ? [.stalledDown: readings[.bytesPerSecond], .stalledDownGrowth: growth]
            : [.stalledUp: readings[.bytesPerSecond], .stalledUpGrowth: growth]
    }

    fileprivate func distance(on tunnel: Tunnel, seconds: Double) throws -> [Figure: Double] {
        // Windows take some round trips to grow.
        let time = ["--seconds", "\(seconds)", "--warm-up", "\(1.5 * seconds)"]
        let arrivals = try self.load(["arrivals", "--seconds", "\(max(1, seconds))"], on: tunnel)
        return [
            .distantArrival: arrivals[.median],
            .distantDown: try self.load(["bulk", "--direction", "down"] + time, on: tunnel)[.bytesPerSecond],
            .distantUp: try self.load(["bulk", "--direction", "up"] + time, on: tunnel)[.bytesPerSecond],
        ]
    }
}
