import Testing
import WebSocketProtocol

import struct NIOCore.ByteBuffer

@Suite struct FrameHeaderTests {
    /// RFC 6455 §5.7, the headers of its examples.
    @Test(arguments: [
        ("81 05", FrameHeader(opcode: .text, payloadLength: 5, maskingKey: nil)),
        (
            "81 85 37 fa 21 3d",
            FrameHeader(opcode: .text, payloadLength: 5, maskingKey: MaskingKey(0x37FA_213D))
        ),
        ("01 03", FrameHeader(isFinal: false, opcode: .text, payloadLength: 3, maskingKey: nil)),
        ("80 02", FrameHeader(opcode: .continuation, payloadLength: 2, maskingKey: nil)),
        ("89 05", FrameHeader(opcode: .ping, payloadLength: 5, maskingKey: nil)),
        (
            "8a 85 37 fa 21 3d",
            FrameHeader(opcode: .pong, payloadLength: 5, maskingKey: MaskingKey(0x37FA_213D))
        ),
        ("82 7e 01 00", FrameHeader(opcode: .binary, payloadLength: 256, maskingKey: nil)),
        ("82 7f 00 00 00 00 00 01 00 00", FrameHeader(opcode: .binary, payloadLength: 65_536, maskingKey: nil)),
        // And the ends of each form of length.
        ("82 7d", FrameHeader(opcode: .binary, payloadLength: 125, maskingKey: nil)),
        ("82 7e 00 7e", FrameHeader(opcode: .binary, payloadLength: 126, maskingKey: nil)),
        ("82 7e ff ff", FrameHeader(opcode: .binary, payloadLength: 65_535, maskingKey: nil)),
        ("82 7f 7f ff ff ff ff ff ff ff", FrameHeader(opcode: .binary, payloadLength: .max, maskingKey: nil)),
        ("c2 00", FrameHeader(reserved: .rsv1, opcode: .binary, payloadLength: 0, maskingKey: nil)),
    ])
    func `a header is written as in RFC 6455`(expected: String, header: FrameHeader) {
        var buffer = ByteBuffer(string: "before")
        header.encode(into: &buffer)
        #expect(buffer.bytes == Array("before".utf8) + hex(expected))
        #expect(header.encodedLength == hex(expected).count)
    }

    @Test func `only the codes of RFC 6455 and IANA may travel`() {
        let named: [UInt16] = [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014]
        for value in UInt16.min...UInt16.max {
            let expected = named.contains(value) || (3000..<5000).contains(value)
            #expect(CloseCode(rawValue: value).mayTravel == expected, "\(value)")
        }
    }
}
