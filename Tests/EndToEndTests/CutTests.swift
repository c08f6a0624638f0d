import Foundation
import Testing

/// Real traffic while its connection is cut again and again.
@Suite(.serialized) struct CutTests {
    /// The whole proof: `WS_TUNNEL_CUT_SECONDS=60 Tests/run --filter CutTests`.
    @Test func `twenty streams of a mebibyte a second each way lose nothing while their connection is cut every two seconds`() throws {
        try Stage.run { stage in
            let source = try Traffic.Source(on: stage)
            let (tunnel, cutter) = try stage.cuttableTunnel(to: source.port)
            let traffic = try Traffic(from: source, through: tunnel.port, streams: 20, rate: 1 << 20, on: stage)
            let cuts = Extent.cutSeconds / 2
            try cutter.cut(every: 2, times: cuts)
            let pauses = try tunnel.client.pausesEnded(cuts)
            try traffic.finish()
            #expect(pauses.count == cuts)
            for pause in pauses { #expect(pause.milliseconds < Int(2_000 * Patience.slowness)) }
            #expect(pauses.allSatisfy { $0.resumed?.number("streams") == 20 })
            #expect(tunnel.server.program.events("paused").count == cuts)
            #expect(tunnel.server.program.events("lost").isEmpty)
        }
    }

    @Test(arguments: Cutter.Way.allCases)
    func `two big transfers each way are cut twenty times, anywhere, and arrive whole`(way: Cutter.Way) throws {
        try Stage.run { stage in
            let service = try stage.start("python3", [Toolchain.peer("bulk.py"), "serve"])
            let port = try #require(try service.line(containing: "port ").split(separator: " ").last.flatMap { UInt16($0) })
            let (tunnel, cutter) = try stage.cuttableTunnel(to: port)
            let mebibytes = 16
            let visitor = try stage.start(
                "python3", [Toolchain.peer("bulk.py"), "visit", "\(tunnel.port)", "\(mebibytes)", "2"])
            // Two streams, two directions.
            try self.cutAtRandom(cutter, way, within: mebibytes << 22, tunnel.client)
            #expect(try visitor.ended(within: Patience.long) == .code(0))
            #expect(visitor.log() == ["intact", "intact"])
            try eventually("the service has \(service.log())") { service.count(ofLinesContaining: "intact") == 2 }
            try tunnel.client.pausesEnded(1)
        }
    }

    /// The whole proof: `WS_TUNNEL_RSYNC_MB=200 Tests/run --filter CutTests`.
    @Test func `rsync does not notice that its connection is cut twenty times`() throws {
        try Stage.run { stage in
            let sshd = try SSHServer(on: stage)
            let (tunnel, cutter) = try stage.cuttableTunnel(to: sshd.port)
            let bytes = Extent.rsyncMegabytes * 1_000_000
            let source = "\(stage.folder)/source.bin"
            let target = "\(stage.folder)/target.bin"
            try stage.run("openssl", "rand", "-out", source, "\(bytes)")
            let rsync = try stage.start(
                "rsync", ["-e", sshd.command(port: tunnel.port), source, "\(NSUserName())@127.0.0.1:\(target)"])
            try self.cutAtRandom(cutter, .reset, within: bytes, tunnel.client)
            #expect(try rsync.ended(within: Patience.long) == .code(0), "\(rsync.log())")
            try stage.run("cmp", source, target)
            try tunnel.client.pausesEnded(1)
        }
    }

    @Test func `somebody at work over ssh does not notice that the connection is cut twenty times`() throws {
        try Stage.run { stage in
            let sshd = try SSHServer(on: stage)
            let (tunnel, cutter) = try stage.cuttableTunnel(to: sshd.port)
            let words = sshd.command(port: tunnel.port).split(separator: " ").map(String.init)
            let ssh = try stage.start(
                words[0], Array(words.dropFirst()) + ["-tt", "\(NSUserName())@127.0.0.1", "exec sh"], opensInput: true)
            for cut in 1...20 {
                try ssh.write("echo answer $((\(cut) * 7))\n")
                try cutter.cut(cut % 2 == 0 ? .reset : .finish)
                try ssh.line(containing: "answer \(cut * 7)")
                try tunnel.client.pausesEnded(cut)
            }
            try ssh.write("exit 3\n")
            #expect(try ssh.ended() == .code(3))
            #expect(try tunnel.client.pauses().count == 20)
        }
    }

    /// The whole proof: `WS_TUNNEL_READERS=200 Tests/run --filter CutTests`.
    @Test(.disabled(if: Toolchain.isSanitized, "a sanitizer's memory is not the program's"), arguments: [true, false])
    func `readers who never read cost little memory while their connection is cut, and lose nothing`(
        isVisitor: Bool
    ) throws {
        try Stage.run { stage in
            let offer = [UInt8](repeating: 1, count: 64 << 20)
            // Open, and not read, until the test is over.
            let service = try stage.service { if isVisitor { try $0.send(offer) } }
            let (tunnel, cutter) = try stage.cuttableTunnel(to: service.port)
            let visitors = try (0..<Extent.stalledReaders).map { _ in try stage.visit(tunnel.port) }
            if !isVisitor {
                for visitor in visitors { Thread.detachNewThread { try? visitor.send(offer) } }
            }
            for cut in 1...5 {
                // Until every buffer on the way is full.
                var seen = -1
                try eventually("the streams never fill up", within: Patience.long) {
                    defer { seen = cutter.bytes }
                    usleep(300_000)
                    return cutter.bytes == seen && seen > Extent.stalledReaders * 100_000
                }
                for program in [tunnel.server.program, tunnel.client] {
                    let resident = try program.residentBytes()
                    #expect(resident < 128 << 20, "\(program.name) holds \(resident >> 20) MiB before cut \(cut)")
                }
                try cutter.cut()
                try tunnel.client.pausesEnded(cut)
            }
            #expect(try tunnel.client.pauses().allSatisfy { $0.resumed?.number("streams") == Extent.stalledReaders })
            guard isVisitor else { return }
            // One of them reads after all.
            #expect(try visitors[0].count(upTo: offer.count) == offer.count)
        }
    }

    /// Cuts twenty times, each behind a byte that nobody chose, while so many bytes pass.
    private func cutAtRandom(_ cutter: Cutter, _ way: Cutter.Way, within bytes: Int, _ client: Program) throws {
        for _ in 1...20 { try cutter.cut(way, after: .random(in: 1...bytes / 22)) }
    }
}
