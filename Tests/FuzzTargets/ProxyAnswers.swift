import Intermediaries
import struct NIOCore.ByteBuffer

extension FuzzTarget {
    /// What an HTTP proxy answers to CONNECT: a byte for the cuts, then the answer.
    ///
    /// Cut anywhere it comes to the same; after a failure nothing succeeds; what is shown is fit for a terminal, and short.
    package static let connectAnswer = FuzzTarget(name: "connect-answer", longest: 18_000) { input in
        var cuts = Cuts(seed: input.byte())
        let bytes = input.rest()
        let whole = try ProxyAnswer(of: [bytes]) {
            try ConnectHandshake(host: "localhost", port: 443, credentials: nil, agent: "fuzz/1")
        }
        try requireEqual(
            try ProxyAnswer(of: cuts.pieces(of: bytes)) {
                try ConnectHandshake(host: "localhost", port: 443, credentials: nil, agent: "fuzz/1")
            }, whole, "an answer in pieces")
        if case .status(let refusal)? = whole.failure {
            for text in refusal.schemes + [refusal.reason, refusal.agent ?? ""] {
                try require(text.utf8.count <= 200, "\(text.utf8.count) bytes to be shown")
                try require(
                    text.unicodeScalars.allSatisfy { $0.value >= 0x20 && !(0x7F...0x9F).contains($0.value) },
                    "a control character is shown")
            }
        }
    }

    /// What a SOCKS proxy answers: a byte of settings, one for the cuts, then the answers.
    ///
    ///     settings   01 the client has credentials   02 it asks for an address
    ///
    /// Cut anywhere it comes to the same, when every answer comes in pieces of its own; after a failure nothing succeeds.
    package static let socksAnswer = FuzzTarget(name: "socks-answer", longest: 600) { input in
        let settings = input.byte()
        var cuts = Cuts(seed: input.byte())
        let bytes = input.rest()
        func handshake() throws -> SOCKSHandshake {
            let handshake = SOCKSHandshake(
                destination: settings & 2 == 0 ? .name("localhost") : .address(.v4(0x7F00_0001)), port: 443,
                credentials: settings & 1 == 0 ? nil : ProxyCredentials(user: "user", password: "password"))
            guard let handshake else { throw Broken("a short name is too long") }
            return handshake
        }
        _ = try ProxyAnswer(of: cuts.pieces(of: bytes), handshake)
        // What comes with an answer is discarded, so only single bytes are all heard.
        let single = try ProxyAnswer(of: bytes.map { [$0] }, handshake)
        try require(single.sent <= 2, "\(single.sent) messages are sent")
        if single.isEstablished { try require(bytes.count >= 9, "established after \(bytes.count) bytes") }
    }
}

/// What a client makes of a proxy's bytes.
private struct ProxyAnswer: Equatable {
    var isEstablished = false
    var failure: ProxyRefusal?
    var sent = 0

    init(of pieces: [[UInt8]], _ make: () throws -> some ProxyHandshake) throws {
        var handshake = try make()
        try require(handshake.start().readableBytes > 0, "nothing is asked")
        for piece in pieces where !self.isEstablished {
            var buffer = ByteBuffer(bytes: piece)
            do throws(ProxyRefusal) {
                switch try handshake.receive(&buffer) {
                case .wantsMore: break
                case .send(let bytes):
                    if bytes.readableBytes > 0 { self.sent += 1 }
                case .established: self.isEstablished = true
                }
                if self.failure != nil { throw .notSOCKS }
            } catch {
                if let failure { try requireEqual(error, failure, "a failure after the first") }
                self.failure = error
            }
            try require(buffer.readableBytes == 0, "bytes are left")
        }
        try require(self.failure == nil || !self.isEstablished, "a success after a failure")
        if let failure { try require(!failure.sentence.isEmpty, "a failure without words") }
    }
}
