import Foundation
import Testing

/// A stream behaves as the TCP connection it stands for.
@Suite struct StreamTests {
    // MARK: Ends

    @Test(arguments: [true, false])
    func `either side may finish first, and still hears the other out`(visitorFirst: Bool) throws {
        try Stage.run { stage in
            let service = try stage.service()
            let tunnel = try stage.tunnel(to: service.port)
            let visitor = try stage.visit(tunnel.port)
            try visitor.send("first")
            let served = try service.accept()
            #expect(try served.receiveText(5) == "first")
            let (early, late) = visitorFirst ? (visitor, served) : (served, visitor)

            try early.send("my last words")
            early.finish()
            #expect(String(decoding: try late.receiveToEnd(), as: UTF8.self) == "my last words")
            // Only now, long after the end of the other direction: a megabyte more.
            let rest = [UInt8](repeating: 7, count: 1 << 20)
            Thread.detachNewThread {
                try? late.send(rest)
                late.finish()
            }
            #expect(try early.receiveToEnd() == rest)
            #expect(late.awaitEnd() == .endOfFile)
        }
    }

    @Test(arguments: [true, false])
    func `a reset arrives as a reset`(byVisitor: Bool) throws {
        try Stage.run { stage in
            let service = try stage.service()
            let tunnel = try stage.tunnel(to: service.port)
            let visitor = try stage.visit(tunnel.port)
            try visitor.send("hello")
            let served = try service.accept()
            _ = try served.receive(5)
            let (leaving, staying) = byVisitor ? (visitor, served) : (served, visitor)
            leaving.reset()
            #expect(staying.awaitEnd() == .reset)
        }
    }

    @Test(arguments: [true, false])
    func `a reset after a half-close arrives as a reset`(byVisitor: Bool) throws {
        try Stage.run { stage in
            let service = try stage.service()
            let tunnel = try stage.tunnel(to: service.port)
            let visitor = try stage.visit(tunnel.port)
            try visitor.send("hello")
            let served = try service.accept()
            _ = try served.receive(5)
            let (leaving, staying) = byVisitor ? (visitor, served) : (served, visitor)
            // The one that stays has finished; the one that leaves had not, so its answer is cut off.
            staying.finish()
            #expect(leaving.awaitEnd() == .endOfFile)
            leaving.reset()
            #expect(staying.awaitEnd() == .reset)
        }
    }

    @Test func `a reset while bytes are under way arrives as a reset`() throws {
        try Stage.run { stage in
            let service = try stage.service()
            let tunnel = try stage.tunnel(to: service.port)
            let visitor = try stage.visit(tunnel.port)
            try visitor.send("hello")
            let served = try service.accept()
            _ = try served.receive(5)
            // Fills every buffer on the way, so that the service's socket is not being read any more.
            let taken = served.offer([UInt8](repeating: 1, count: 64 << 20), within: 1)
            try #require(taken < 64 << 20)
            visitor.reset()
            #expect(served.awaitEnd() == .reset)
        }
    }

    @Test func `a visitor who leaves with unread bytes does not disturb the tunnel`() throws {
        try Stage.run { stage in
            let service = try stage.service { connection in
                try connection.send([UInt8](repeating: 1, count: 4 << 20))
                _ = try connection.receiveToEnd()
            }
            let echo = try stage.echo()
            let server = try stage.server()
            let tunnel = try stage.tunnel(server, to: [service.port, echo.port])
            for _ in 0..<20 {
                let visitor = try stage.visit(tunnel.ports[0])
                _ = try visitor.receive(1)
                visitor.close()
            }
            let neighbour = try stage.visit(tunnel.ports[1])
            try exchange(neighbour)
        }
    }

    @Test func `while nothing listens visitors are reset, it is said once, and the tunnel stays up`() throws {
        try Stage.run { stage in
            let port = try stage.freePort()
            let tunnel = try stage.tunnel(to: port)
            for _ in 1...5 {
                let visitor = try stage.visit(tunnel.port)
                #expect(visitor.awaitEnd() == .reset)
            }
            try tunnel.client.line(containing: "nothing is listening on 127.0.0.1:\(port)")
            let warning = "nothing is listening on"
            // One line for people, one event for scripts.
            #expect(tunnel.client.log().filter { $0.contains(warning) && !$0.hasPrefix("{") }.count == 1)
            #expect(tunnel.client.events("error").count == 1)

            _ = try stage.echo(port: port)
            let visitor = try stage.visit(tunnel.port)
            try exchange(visitor)
            try tunnel.client.line(containing: "127.0.0.1:\(port) accepts visitors again")
        }
    }

    @Test func `visitors who leave while their service is being connected are no news`() throws {
        try Stage.run { stage in
            let echo = try stage.echo()
            let tunnel = try stage.tunnel(to: echo.port)
            for _ in 1...2_000 {
                let visitor = try Connection(to: tunnel.port)
                try visitor.send("never mind")
                visitor.reset()
            }
            try exchange(stage.visit(tunnel.port))
            #expect(tunnel.client.count(ofLinesContaining: "cannot reach 127.0.0.1:\(echo.port)") == 0)
            #expect(tunnel.client.events("error").isEmpty)
        }
    }

    // MARK: Bytes

    @Test func `one visitor's first bytes are there when it never waits for the service`() throws {
        try Stage.run { stage in
            let service = try stage.service()
            let tunnel = try stage.tunnel(to: service.port)
            let visitor = try stage.visit(tunnel.port)
            try visitor.send("said and gone")
            visitor.finish()
            let served = try service.accept()
            #expect(String(decoding: try served.receiveToEnd(), as: UTF8.self) == "said and gone")
        }
    }

    @Test func `a service may speak first`() throws {
        try Stage.run { stage in
            let service = try stage.service { try $0.send("220 welcome\r\n") }
            let tunnel = try stage.tunnel(to: service.port)
            let visitor = try stage.visit(tunnel.port)
            #expect(try visitor.receiveText(13) == "220 welcome\r\n")
        }
    }

    @Test func `a unix socket can be exposed`() throws {
        try Stage.run { stage in
            let path = "\(stage.folder)/service"
            let service = try stage.start("ncat", ["-v", "--listen", "--unixsock", path, "--exec", "/bin/cat"])
            try service.line(containing: "Listening on \(path)")
            let server = try stage.server()
            let client = try stage.client(["--server", server.url, "--expose", "unix:\(path)"])
            let port = try client.event("tunnel").port("url")
            let visitor = try stage.visit(port)
            try exchange(visitor)
        }
    }

    @Test func `a reader who never reads does not pause its neighbour and costs little memory`() throws {
        try Stage.run { stage in
            let source = try stage.service { connection in
                try connection.send([UInt8](repeating: 1, count: 64 << 20))
            }
            let echo = try stage.echo()
            let server = try stage.server()
            let tunnel = try stage.tunnel(server, to: [source.port, echo.port])
            let neighbour = try stage.visit(tunnel.ports[1])
            // Everything that is made on first use exists now.
            try exchange(neighbour)
            let before = try server.program.residentBytes() + tunnel.client.residentBytes()
            let stalled = try stage.visit(tunnel.ports[0])
            _ = try stalled.receive(1)

            let start = Date()
            for _ in 0..<200 { try exchange(neighbour, String(repeating: "ping", count: 256)) }
            #expect(Date().timeIntervalSince(start) < 5 * Patience.slowness)
            let growth = try server.program.residentBytes() + tunnel.client.residentBytes() - before
            if !Toolchain.isSanitized { #expect(growth < 32 << 20, "grew by \(growth >> 10) KiB") }
            // And nothing was lost: it reads on.
            #expect(try stalled.count(upTo: (64 << 20) - 1) == (64 << 20) - 1)
        }
    }
}

/// Many bytes, checked at both ends by programs of another language.
@Suite(.serialized) struct BulkTests {
    private static let mebibytes =
        ProcessInfo.processInfo.environment["WS_TUNNEL_BULK_MB"].flatMap { Int($0) } ?? (Toolchain.isSanitized ? 16 : 128)

    @Test func `one stream carries a gigabyte each way at once`() throws {
        try self.carry(mebibytes: Self.mebibytes * 8, streams: 1)
    }

    @Test func `eight streams carry their bytes each way at once`() throws {
        try self.carry(mebibytes: Self.mebibytes, streams: 8)
    }

    private func carry(mebibytes: Int, streams: Int) throws {
        try Stage.run { stage in
            let service = try stage.start("python3", [Toolchain.peer("bulk.py"), "serve"])
            let port = try #require(try service.line(containing: "port ").split(separator: " ").last.flatMap { UInt16($0) })
            let tunnel = try stage.tunnel(to: port)
            let visitor = try stage.start(
                "python3", [Toolchain.peer("bulk.py"), "visit", "\(tunnel.port)", "\(mebibytes)", "\(streams)"])
            #expect(try visitor.ended(within: Patience.long) == .code(0))
            #expect(visitor.log() == Array(repeating: "intact", count: streams))
            try eventually("the service has \(service.log())") {
                service.count(ofLinesContaining: "intact") == streams
            }
        }
    }
}
