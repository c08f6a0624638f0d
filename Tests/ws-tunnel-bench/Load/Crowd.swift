import Glibc

/// Visitors who come, have one byte echoed, and stay without a word.
final class Crowd {
    /// Visitors who come together: no listener's queue is shorter.
    private static let wave = 64
    private static let patienceMilliseconds: Int32 = 5_000

    private var descriptors: [Int32] = []

    init(port: Int, visitors: Int) throws {
        let block = Block(count: 64)
        while self.descriptors.count < visitors {
            let arriving = try (0..<min(Self.wave, visitors - self.descriptors.count)).map {
                try Socket.connect(to: port, turn: self.descriptors.count + $0)
            }
            self.descriptors += arriving
            for descriptor in arriving {
                guard Socket.wait(for: descriptor, POLLOUT, milliseconds: Self.patienceMilliseconds),
                    Request.echo.send(on: descriptor)
                else { throw Failure("visitor \(self.descriptors.count) was refused") }
            }
            for descriptor in arriving {
                guard Socket.wait(for: descriptor, POLLIN, milliseconds: Self.patienceMilliseconds),
                    Socket.receive(descriptor, into: block.bytes) == 1
                else { throw Failure("one of the visitors up to \(self.descriptors.count) had no echo") }
            }
        }
    }

    deinit {
        for descriptor in self.descriptors { close(descriptor) }
    }
}
