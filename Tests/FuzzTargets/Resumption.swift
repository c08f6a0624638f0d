import TunnelProtocol

extension FuzzTarget {
    /// A link, and the connections that carry it one after the other, with a peer that may say anything at any time: two bytes of
    /// settings, then steps, each a byte and what it needs.
    ///
    ///     settings   01 we are the client   02 nothing can be resumed; a byte that chooses our terms
    ///
    /// See `HostilePeer` for the steps and for what must hold.
    package static let resumption = FuzzTarget(name: "resumption", longest: 600) { input in
        let peer = HostilePeer(settings: input.byte(), terms: input.byte())
        while !input.isEmpty {
            try peer.step(&input)
            try peer.check()
        }
        try peer.end()
    }
}
