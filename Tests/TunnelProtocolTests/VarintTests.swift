import NIOCore
import Testing

@testable import TunnelProtocol

struct VarintTests {
    /// The edges of each length, and the samples of RFC 9000 §A.1.
    private static let table: [(value: UInt64, bytes: String)] = [
        (0, "00"), (37, "25"), (63, "3f"),
        (64, "40 40"), (15_293, "7b bd"), (16_383, "7f ff"),
        (16_384, "80 00 40 00"), (494_878_333, "9d 7f 3e 7d"), (1_073_741_823, "bf ff ff ff"),
        (1_073_741_824, "c0 00 00 00 40 00 00 00"),
        (151_288_809_941_952_652, "c2 19 7c 5e ff 14 e8 8c"),
        (Varint.maximum, "ff ff ff ff ff ff ff ff"),
    ]

    @Test func `integers are written in their shortest form and read back`() {
        for (value, bytes) in Self.table {
            var buffer = ByteBuffer()
            buffer.writeVarint(value)
            #expect(buffer.bytes == hex(bytes))
            #expect(Varint.encodedLength(value) == hex(bytes).count)
            #expect(buffer.readVarint() == value)
            #expect(buffer.readableBytes == 0)
        }
    }

    @Test func `an integer that is cut off is not read, and nothing is consumed`() {
        for (_, bytes) in Self.table {
            for count in 0..<hex(bytes).count {
                var buffer = ByteBuffer(bytes: hex(bytes).prefix(count))
                #expect(buffer.readVarint() == nil)
                #expect(buffer.readableBytes == count)
            }
        }
    }

    @Test func `a longer form than need be is read`() {
        for bytes in ["40 25", "80 00 00 25", "c0 00 00 00 00 00 00 25"] {
            var buffer = ByteBuffer(bytes: hex(bytes))
            #expect(buffer.readVarint() == 37)
        }
    }

    @Test func `a number beyond 62 bits stops the program before it reaches the wire`() async {
        await #expect(processExitsWith: .failure) {
            var buffer = ByteBuffer()
            buffer.writeVarint(Varint.maximum + 1)
        }
    }
}
