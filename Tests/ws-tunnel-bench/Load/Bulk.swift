import Glibc

/// Visitors who move bytes one way as fast as they can. Bytes count where they arrive.
final class Bulk {
    private struct Stream {
        let descriptor: Int32
        var isBegun = false
        /// Bytes that have arrived, and how many of them before the measurement.
        var arrived: UInt64 = 0
        var arrivedBefore: UInt64 = 0
        /// The part of a sink's report that is there.
        var report: UInt64 = 0
        var reportBytes = 0
    }

    private let direction: Direction
    private let poller: Poller
    private let block = Block()
    private var streams: [Stream] = []

    init(port: Int, direction: Direction, streams: Int) throws {
        self.direction = direction
        self.poller = try Poller()
        for index in 0..<streams {
            let descriptor = try Socket.connect(to: port)
            self.streams.append(Stream(descriptor: descriptor))
            try self.poller.add(descriptor, .write, token: index)
        }
    }

    deinit {
        for stream in self.streams { close(stream.descriptor) }
    }

    /// Runs for `warmUp` seconds, then measures for `seconds`.
    func run(warmUp: Double, seconds: Double) throws -> Readings {
        try self.move(until: Clock.now + Clock.span(warmUp))
        for index in self.streams.indices { self.streams[index].arrivedBefore = self.streams[index].arrived }
        let start = Clock.now
        try self.move(until: start + Clock.span(seconds))
        let took = Clock.seconds(from: start, to: Clock.now)

        let each = self.streams.map { Double($0.arrived - $0.arrivedBefore) }
        return [
            .bytesPerSecond: each.reduce(0, +) / took,
            .evenness: (each.min() ?? 0) / max(1, each.max() ?? 0),
            // With those of the warming up, as they cost processor time too.
            .bytes: Double(self.streams.map(\.arrived).reduce(0, +)),
        ]
    }

    private func move(until deadline: UInt64) throws {
        while Clock.now < deadline {
            for index in 0..<self.poller.wait(until: deadline) {
                let (token, ready) = self.poller[index]
                guard try self.move(token, ready) else { throw Failure("a stream ended while bytes were moving on it") }
            }
        }
    }

    /// - Returns: Whether the stream lives.
    private func move(_ index: Int, _ ready: Poller.Interest) throws -> Bool {
        let descriptor = self.streams[index].descriptor
        guard self.streams[index].isBegun else {
            self.streams[index].isBegun = true
            self.poller.change(descriptor, self.direction == .down ? .read : [.read, .write], token: index)
            return (self.direction == .down ? Request.source : .sink).send(on: descriptor)
        }
        switch self.direction {
        case .down:
            let count = Socket.discard(descriptor)
            guard count > 0 else { return count < 0 && Socket.mustWait }
            self.streams[index].arrived += UInt64(count)
        case .up:
            if ready.contains(.read) || !ready.isDisjoint(with: .failure), !self.readReport(index, descriptor) { return false }
            if ready.contains(.write), Socket.send(descriptor, UnsafeRawBufferPointer(self.block.bytes)) < 0 {
                return Socket.mustWait
            }
        }
        return true
    }

    private func readReport(_ index: Int, _ descriptor: Int32) -> Bool {
        let have = self.streams[index].reportBytes
        let count = withUnsafeMutableBytes(of: &self.streams[index].report) {
            Socket.receive(descriptor, into: UnsafeMutableRawBufferPointer(rebasing: $0[have...]))
        }
        guard count > 0 else { return count < 0 && Socket.mustWait }
        self.streams[index].reportBytes = (have + count) % 8
        if have + count == 8 { self.streams[index].arrived = self.streams[index].report }
        return true
    }
}
