import NIOCore
import Testing

@testable import TunnelClient

struct HeadEndTests {
    private static let heads = [
        "HTTP/1.1 200 OK\r\n\r\n", "HTTP/1.1 200 OK\r\nA: b\r\n\r\nbody\r\n\r\n", "\r\n\r\n", "\r\r\n\r\r\n\r\n!", "\n\r\n\r\r\n\r\n", "A\n\nB\r\n\n\r\n\r\nC",
    ]

    @Test(arguments: heads)
    func `the end is found wherever the bytes are cut`(_ head: String) throws {
        let bytes = ByteBuffer(string: head)
        let end = try #require(head.unicodeScalars.map(Character.init).end)
        for first in 0...bytes.readableBytes {
            for second in first...bytes.readableBytes {
                var (finder, taken, found) = (HeadEnd(), 0, Int?.none)
                for cut in [first, second, bytes.readableBytes] where found == nil && cut > taken {
                    let part = try #require(bytes.getSlice(at: taken, length: cut - taken))
                    found = finder.find(in: part).map { taken + $0 }
                    taken = cut
                }
                #expect(found == end, "cut at \(first) and \(second)")
            }
        }
    }
}

extension [Character] {
    /// The obvious way.
    fileprivate var end: Int? {
        self.indices.dropLast(3).first { self[$0..<$0 + 4].elementsEqual(["\r", "\n", "\r", "\n"]) }.map { $0 + 4 }
    }
}
