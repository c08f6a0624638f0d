import struct NIOCore.ByteBuffer
import TunnelProtocol

extension FuzzTarget {
    /// One message of the tunnel protocol: a byte for the cuts, then the message.
    ///
    /// Cut anywhere it comes to the same; what was read can be written and read again; and a decoder is as good as new after it.
    package static let tunnelFrames = FuzzTarget(name: "tunnel-frames", longest: 20_000) { input in
        var cuts = Cuts(seed: input.byte())
        let message = input.rest()
        let pieces = cuts.pieces(of: message)
        var decoder = FrameDecoder()
        let whole = TunnelFrame(of: [message], from: &decoder)
        if case .incomplete = whole { throw Broken("a whole message was not enough for its frame") }
        if case .violation = whole {} else {
            try requireEqual(TunnelFrame(of: pieces, from: &decoder), whole, "in pieces, after itself")
        }
        var other = FrameDecoder()
        try requireEqual(TunnelFrame(of: pieces, from: &other), whole, "in pieces")
        switch whole {
        case .frame(let frame):
            try require(message.count <= Limits.Specification.controlFrameBytes, "a frame of \(message.count) bytes")
            var written = ByteBuffer()
            frame.encode(into: &written)
            var fresh = FrameDecoder()
            try requireEqual(TunnelFrame(of: [written.bytes], from: &fresh), whole, "written and read again")
        case .data(let stream, let payload):
            var written = ByteBuffer()
            DataHeader(stream).encode(into: &written)
            written.writeBytes(payload)
            try require(written.readableBytes <= message.count, "a stream's number is not written in its shortest form")
            var fresh = FrameDecoder()
            try requireEqual(TunnelFrame(of: [written.bytes], from: &fresh), whole, "written and read again")
        case .ignored(let type):
            try require(type < Limits.Specification.firstCriticalFrameType, "type \(type) was ignored")
        case .incomplete, .violation: break
        }
    }
}

/// What a message comes to, however it was cut.
private enum TunnelFrame: Equatable {
    case frame(Frame)
    case data(StreamID, [UInt8])
    case ignored(type: UInt8)
    case incomplete
    case violation(PeerViolation)

    init(of pieces: [[UInt8]], from decoder: inout FrameDecoder) {
        self = .incomplete
        var payload: [UInt8] = []
        do throws(PeerViolation) {
            // Nothing at all is a message too.
            for (index, piece) in (pieces.isEmpty ? [[]] : pieces).enumerated() {
                switch try decoder.receive(ByteBuffer(bytes: piece), isLast: index >= pieces.count - 1) {
                case nil: continue
                case .frame(let frame): self = .frame(frame)
                case .ignored(let type): self = .ignored(type: type)
                case .data(let stream, let bytes, let isLast):
                    payload += bytes.bytes
                    if isLast { self = .data(stream, payload) }
                }
            }
        } catch {
            self = .violation(error)
        }
    }
}
