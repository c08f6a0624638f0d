import Glibc

/// One stream whose receiver never reads, while its sender goes on as long as anything takes its bytes.
final class StalledVisitor {
    private let direction: Direction
    private let descriptor: Int32

    init(port: Int, direction: Direction) throws {
        self.direction = direction
        self.descriptor = try Socket.connect(to: port)
        // Down: the visitor asks for bytes and does not read them. Up: it writes to a service that does not read.
        guard Socket.wait(for: self.descriptor, POLLOUT, milliseconds: 5_000),
            (direction == .down ? Request.source : .wall).send(on: self.descriptor)
        else { throw Failure("the stalled stream was refused") }
    }

    deinit {
        close(self.descriptor)
    }

    /// Goes on until standard input ends.
    func run() throws {
        let poller = try Poller()
        let block = Block()
        try poller.add(0, .read, token: 0)
        if self.direction == .up { try poller.add(self.descriptor, .write, token: 1) }
        while true {
            for index in 0..<poller.wait() {
                guard poller[index].token == 1 else { return }
                if Socket.send(self.descriptor, UnsafeRawBufferPointer(block.bytes)) < 0, !Socket.mustWait {
                    throw Failure("the stalled stream ended: \(Socket.lastError)")
                }
            }
        }
    }
}
