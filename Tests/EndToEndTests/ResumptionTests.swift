import Foundation
import Testing

/// To a stream, the loss of its connection is a pause: nothing of it is lost, nothing comes twice.
@Suite struct ResumptionTests {
    @Test(arguments: Cutter.Way.allCases)
    func `an idle stream outlives its connection, and carries bytes both ways afterwards`(way: Cutter.Way) throws {
        try Stage.run { stage in
            let service = try stage.service()
            let (tunnel, cutter) = try stage.cuttableTunnel(to: service.port)
            let visitor = try stage.visit(tunnel.port)
            try visitor.send("before")
            let served = try service.accept()
            #expect(try served.receiveText(6) == "before")

            try cutter.cut(way)
            let paused = try tunnel.client.event("paused")
            #expect(paused.number("streams") == 1)
            #expect(paused.number("attempt") == 1)
            #expect(paused["message"]?.isEmpty == false)
            #expect(paused.number("retryInMilliseconds").map { (0...500).contains($0) } == true)
            let resumed = try tunnel.client.event("resumed")
            #expect(resumed.number("streams") == 1)
            #expect(resumed.number("replayedBytes") != nil)
            #expect(resumed.number("pausedMilliseconds") != nil)

            let server = tunnel.server.program
            let session = try server.event("connected")["session"]
            #expect(try server.event("paused")["session"] == session)
            #expect(try server.event("paused").number("streams") == 1)
            #expect(try server.event("resumed")["session"] == session)
            #expect(try server.event("resumed").number("streams") == 1)

            try visitor.send("there")
            #expect(try served.receiveText(5) == "there")
            try served.send("and back")
            #expect(try visitor.receiveText(8) == "and back")
            #expect(tunnel.client.events("tunnel").count == 1, "a tunnel that goes on is no news")
            #expect(cutter.connections.total == 2)
        }
    }

    @Test func `the same stream outlives any number of connections`() throws {
        try Stage.run { stage in
            let echo = try stage.echo()
            let (tunnel, cutter) = try stage.cuttableTunnel(to: echo.port)
            let visitor = try stage.visit(tunnel.port)
            for loss in 1...10 {
                try exchange(visitor, "before loss \(loss)\n")
                // The answer comes back over the next connection, if the question came through at all.
                try visitor.send("at loss \(loss)\n")
                try cutter.cut(loss % 2 == 0 ? .reset : .finish)
                #expect(try visitor.receiveText("at loss \(loss)\n".utf8.count) == "at loss \(loss)\n")
                try tunnel.client.pausesEnded(loss)
            }
        }
    }

    @Test(arguments: [true, false])
    func `what is sent while there is no connection arrives with the next one`(byVisitor: Bool) throws {
        try self.whilePaused { visitor, served, mend in
            let (sender, receiver) = byVisitor ? (visitor, served) : (served, visitor)
            let bytes = (0..<100_000).map { UInt8(truncatingIfNeeded: $0 &* 31) }
            try sender.send(bytes)
            try mend()
            #expect(try receiver.receive(bytes.count) == bytes)
        }
    }

    @Test(arguments: [true, false])
    func `an end of file while there is no connection arrives with the next one, after all bytes`(byVisitor: Bool) throws {
        try self.whilePaused { visitor, served, mend in
            let (early, late) = byVisitor ? (visitor, served) : (served, visitor)
            try early.send("my last words")
            early.finish()
            try mend()
            #expect(String(decoding: try late.receiveToEnd(), as: UTF8.self) == "my last words")
            try late.send("heard")
            late.finish()
            #expect(String(decoding: try early.receiveToEnd(), as: UTF8.self) == "heard")
        }
    }

    @Test(arguments: [true, false])
    func `a reset while there is no connection arrives with the next one`(byVisitor: Bool) throws {
        try self.whilePaused { visitor, served, mend in
            let (leaving, staying) = byVisitor ? (visitor, served) : (served, visitor)
            leaving.reset()
            try mend()
            #expect(staying.awaitEnd() == .reset)
        }
    }

    @Test(arguments: [true, false])
    func `a half-closed stream outlives its connection`(byVisitor: Bool) throws {
        try Stage.run { stage in
            let service = try stage.service()
            let (tunnel, cutter) = try stage.cuttableTunnel(to: service.port)
            let visitor = try stage.visit(tunnel.port)
            try visitor.send("hello")
            let served = try service.accept()
            _ = try served.receive(5)
            let (early, late) = byVisitor ? (visitor, served) : (served, visitor)
            early.finish()
            #expect(late.awaitEnd() == .endOfFile)
            try cutter.cut()
            try tunnel.client.pausesEnded(1)
            try late.send("still here")
            #expect(try early.receiveText(10) == "still here")
            try cutter.cut()
            late.finish()
            #expect(early.awaitEnd() == .endOfFile)
        }
    }

    @Test func `a visitor who arrives while there is no connection is served with the next one`() throws {
        try Stage.run { stage in
            let echo = try stage.echo()
            let (tunnel, cutter) = try stage.cuttableTunnel(to: echo.port)
            try self.pause(tunnel, cutter)
            let visitors = try (1...20).map { _ in try stage.visit(tunnel.port) }
            for (number, visitor) in visitors.enumerated() { try visitor.send("visitor \(number + 10)") }
            cutter.refuse(false)
            try tunnel.client.pausesEnded(1)
            for (number, visitor) in visitors.enumerated() { #expect(try visitor.receiveText(10) == "visitor \(number + 10)") }
        }
    }

    @Test func `every failed attempt is announced, and the pause ends once`() throws {
        try Stage.run { stage in
            let echo = try stage.echo()
            let (tunnel, cutter) = try stage.cuttableTunnel(to: echo.port)
            let visitor = try stage.visit(tunnel.port)
            try exchange(visitor)
            cutter.refuse(true)
            try cutter.cut()
            try tunnel.client.event("paused") { $0.number("attempt") == 4 }
            cutter.refuse(false)
            let pauses = try tunnel.client.pausesEnded(1, within: Patience.long)
            #expect(pauses.count == 1)
            #expect(pauses[0].announcements.map { $0.number("attempt") } == Array(1...pauses[0].announcements.count))
            #expect(pauses[0].announcements.allSatisfy { $0.number("streams") == 1 })
            #expect(tunnel.server.program.events("paused").count == 1)
            try exchange(visitor)
        }
    }

    @Test func `a way that is slow to connect delays the resumption and nothing else`() throws {
        try Stage.run { stage in
            let echo = try stage.echo()
            let (tunnel, cutter) = try stage.cuttableTunnel(to: echo.port)
            let visitor = try stage.visit(tunnel.port)
            try exchange(visitor)
            cutter.delay(2)
            try cutter.cut()
            try visitor.send("patience")
            #expect(try visitor.receiveText(8) == "patience")
            #expect(try tunnel.client.pausesEnded(1)[0].milliseconds >= 2_000)
        }
    }

    @Test(.disabled(if: Toolchain.isSanitized, "a sanitizer's memory is not the program's"))
    func `after the end of everything memory and descriptors are back`() throws {
        try Stage.run { stage in
            let traffic = try Traffic.Source(on: stage)
            let (tunnel, cutter) = try stage.cuttableTunnel(to: traffic.port)
            let programs = [tunnel.server.program, tunnel.client]
            /// The same several times over: what stays behind every time is a leak, what stays once is not.
            func use() throws {
                let flow = try Traffic(from: traffic, through: tunnel.port, streams: 10, rate: 2 << 20, on: stage)
                for _ in 1...3 {
                    let ended = tunnel.client.events("resumed").count
                    try cutter.cut(after: 4 << 20)
                    try tunnel.client.pausesEnded(ended + 1)
                }
                try flow.finish()
            }
            try use()
            let descriptors = try programs.map { try $0.descriptors() }
            let before = try programs.map { try $0.residentBytes() }
            for _ in 1...3 { try use() }
            for (index, program) in programs.enumerated() {
                try eventually("\(program.name) has \((try? program.descriptors()) ?? 0) descriptors, had \(descriptors[index])") {
                    try program.descriptors() <= descriptors[index]
                }
                let growth = try program.residentBytes() - before[index]
                #expect(growth < 24 << 20, "\(program.name) grew by \(growth >> 20) MiB")
            }
        }
    }

    // MARK: Inside

    /// Loses the connection for as long as the relay refuses another.
    private func pause(_ tunnel: Tunnel, _ cutter: Cutter) throws {
        cutter.refuse(true)
        try cutter.cut()
        try tunnel.client.event("paused")
        try tunnel.server.program.event("paused")
    }

    /// A stream without a connection; `mend` lets it have one again, and returns when it has.
    private func whilePaused(
        _ body: (_ visitor: Connection, _ served: Connection, _ mend: () throws -> Void) throws -> Void
    ) throws {
        try Stage.run { stage in
            let service = try stage.service()
            let (tunnel, cutter) = try stage.cuttableTunnel(to: service.port)
            let visitor = try stage.visit(tunnel.port)
            try visitor.send("hello")
            let served = try service.accept()
            _ = try served.receive(5)
            try self.pause(tunnel, cutter)
            try body(visitor, served) {
                cutter.refuse(false)
                try tunnel.client.pausesEnded(1)
            }
        }
    }
}
