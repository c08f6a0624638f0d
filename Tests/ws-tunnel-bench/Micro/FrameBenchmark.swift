import NIOCore
import TunnelProtocol
import WebSocketProtocol

/// Frames of both protocols, with payloads of 64 bytes.
enum FrameBenchmark {
    /// Frames between two looks at the clock.
    private static let batch = 1_000
    private static let key = MaskingKey(0x37FA_213D)

    static func figures(_ meter: Meter) throws -> [MicroFigure] {
        try self.webSocket(meter) + self.tunnel(meter)
    }

    private static func webSocket(_ meter: Meter) throws -> [MicroFigure] {
        let payload = ByteBuffer(repeating: 0x5A, count: 64)
        var buffer = ByteBuffer()
        let headers = meter.rate {
            buffer.clear()
            for index in 0..<Self.batch {
                FrameHeader(opcode: .binary, payloadLength: index, maskingKey: Self.key).encode(into: &buffer)
            }
            return Self.batch
        }
        var client = WebSocketConnection(role: .client)
        let encoded = meter.rate {
            buffer.clear()
            for _ in 0..<Self.batch { client.encode(.binary, payload, maskingKey: Self.key, into: &buffer) }
            return Self.batch
        }
        let frames = buffer
        var server = WebSocketConnection(role: .server)
        // A buffer of its own, as unmasking takes place where the bytes lie.
        var received = ByteBuffer()
        let decoded = try meter.rate {
            received.clear()
            received.writeImmutableBuffer(frames)
            try server.receive(&received)
            var count = 0
            while server.nextEvent() != nil { count += 1 }
            return count
        }
        return [
            .rate("headerEncode", "WebSocket headers encoded", headers),
            .rate("webSocketEncode", "WebSocket frames of 64 bytes encoded and masked", encoded),
            .rate("webSocketDecode", "WebSocket frames of 64 bytes decoded and unmasked", decoded),
        ]
    }

    private static func tunnel(_ meter: Meter) throws -> [MicroFigure] {
        let stream = StreamID(4_321)
        let credit = Frame.credit(stream, bytes: 131_072)
        var buffer = ByteBuffer()
        let encoded = meter.rate {
            buffer.clear()
            for _ in 0..<Self.batch { credit.encode(into: &buffer) }
            return Self.batch
        }
        let headers = meter.rate {
            buffer.clear()
            for _ in 0..<Self.batch { DataHeader(stream).encode(into: &buffer) }
            return Self.batch
        }
        var creditBytes = ByteBuffer()
        credit.encode(into: &creditBytes)
        var dataBytes = ByteBuffer()
        DataHeader(stream).encode(into: &dataBytes)
        dataBytes.writeRepeatingByte(0x5A, count: 64)
        return [
            .rate("creditEncode", "CREDIT frames encoded", encoded),
            .rate("creditDecode", "CREDIT frames decoded", try Self.decoded(creditBytes, meter)),
            .rate("dataEncode", "DATA headers encoded", headers),
            .rate("dataDecode", "DATA frames of 64 bytes decoded", try Self.decoded(dataBytes, meter)),
        ]
    }

    /// Frames per second that a decoder takes, each a message of its own.
    private static func decoded(_ bytes: ByteBuffer, _ meter: Meter) throws -> Double {
        var decoder = FrameDecoder()
        return try meter.rate {
            var count = 0
            for _ in 0..<Self.batch where try decoder.receive(bytes, isLast: true) != nil { count += 1 }
            return count
        }
    }
}
