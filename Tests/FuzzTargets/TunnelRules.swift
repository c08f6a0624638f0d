import HTTPMessages
import NIOCore
import TunnelProtocol

extension FuzzTarget {
    /// The first bytes of a TLS client: a byte for the cuts, then the bytes.
    ///
    /// Cut anywhere it comes to the same; the answer stays; a name is one that a tunnel can have.
    package static let clientHello = FuzzTarget(name: "client-hello", longest: 40_000) { input in
        var cuts = Cuts(seed: input.byte())
        let bytes = input.rest()
        var hello = ClientHello()
        let whole = hello.receive(ByteBuffer(bytes: bytes))
        var piecewise = ClientHello()
        var progress = piecewise.receive(ByteBuffer())
        for piece in cuts.pieces(of: bytes) where progress == .wantsMore { progress = piecewise.receive(ByteBuffer(bytes: piece)) }
        try requireEqual(progress, whole, "in pieces")
        if whole != .wantsMore { try requireEqual(hello.receive(ByteBuffer(bytes: [0])), whole, "the answer changes") }
        if case .name(let name) = whole { try requireEqual(TunnelName.normalizedHost(name), name, "a name that is none") }
        try require(whole != .wantsMore || bytes.count < ClientHello.heldBytes, "more is wanted than may be held")
    }

    /// A tunnel's policy, as a client may send it: the length of an Authorization field, that field, then the policy.
    ///
    /// Written again it is the same; it decides the same; and who has no credentials is not let in where some are asked for.
    package static let tunnelPolicy = FuzzTarget(name: "tunnel-policy", longest: 9_000) { input in
        let authorization = String(decoding: input.bytes(Int(input.byte())), as: UTF8.self)
        let bytes = ByteBuffer(bytes: input.rest())
        guard let policy = try? TunnelPolicy(decoding: bytes) else { return }
        let again = try TunnelPolicy(decoding: policy.encoded())
        try requireEqual(again, policy, "written and read again")
        for visitor in [Endpoint.Address.v4(0x7F00_0001), .v6(Opaque16(high: 0, low: 1))] {
            let verdict = policy.verdict(visitor: visitor, authorization: [authorization])
            try requireEqual(again.verdict(visitor: visitor, authorization: [authorization]), verdict, "decided otherwise")
            if policy.asksForCredentials {
                try require(policy.verdict(visitor: visitor, authorization: []) != .allowed, "let in without credentials")
            }
            try requireEqual(verdict == .forbidden, !policy.admits(visitor), "forbidden, or not")
        }
    }
}
