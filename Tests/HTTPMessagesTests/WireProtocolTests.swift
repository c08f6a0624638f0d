import Foundation
import HTTPMessages
import Intermediaries
import NIOCore
import NIOHTTP1
import Testing
import TunnelProtocol

/// The examples of §12 of the specification against the code, in both directions.
struct WireProtocolTests {
    private static let meanings: [String: MessageRecord] = [
        "request": .request(
            RequestMessage(
                visitor: Endpoint(.v4(0xCB00_7109), port: 41_258), scheme: "https", id: "f81d4fae", method: "POST", target: "/a?b",
                fields: ["Host": "app.example.com", "Accept": "*/*"], body: .bytes(5))),
        "response": .response(ResponseMessage(status: 200, reason: "OK", fields: ["Content-Type": "text/plain"], body: .unknown)),
        "body": .body(ByteBuffer(string: "hello")),
        "end": .end([:]),
        "end with a trailer": .end(["X-Sum": "1"]),
        "failure": .response(ResponseMessage(status: 502, reason: "Bad Gateway", body: .bytes(0), failure: .unreachable)),
    ]

    @Test func `every record of the specification decodes to what it says`() throws {
        let examples = try Self.examples("record")
        #expect(Set(examples.keys) == Set(Self.meanings.keys))
        for (name, bytes) in examples {
            let meaning = try #require(Self.meanings[name])
            var decoder = MessageDecoder(.responses)
            switch meaning {
            case .request: decoder = MessageDecoder(.requests)
            case .response: break
            case .body, .end:
                var head = ByteBuffer()
                head.writeRecord(ResponseMessage(status: 200, reason: "", body: .unknown))
                decoder.receive(head)
                _ = try decoder.next()
            }
            decoder.receive(ByteBuffer(bytes: bytes))
            #expect(try decoder.next() == meaning, "\(name)")
        }
    }

    @Test func `every record of the specification is what is written, its length in the shortest form`() throws {
        for (name, bytes) in try Self.examples("record") {
            var written = ByteBuffer()
            switch try #require(Self.meanings[name]) {
            case .request(let request): written.writeRecord(request)
            case .response(let response): written.writeRecord(response)
            case .body(let part):
                written.writeBodyRecordHead(part.readableBytes)
                written.writeImmutableBuffer(part)
            case .end(let trailers): written.writeEndRecord(trailers: trailers)
            }
            #expect(written.withShortestLength == bytes, "\(name)")
        }
    }

    @Test func `the policy of the specification is what it says`() throws {
        let bytes = try #require(try Self.examples("policy")["example"])
        let policy = TunnelPolicy(
            credentials: ["user:pass"], salt: Array(0..<16), allow: [try CIDR("203.0.113.0/24")], maximumBodyBytes: 1_000_000)
        #expect(Array(policy.encoded().readableBytesView) == bytes)
        #expect(try TunnelPolicy(decoding: ByteBuffer(bytes: bytes)) == policy)
    }

    /// The blocks of one kind, by their names.
    private static func examples(_ kind: String) throws -> [String: [UInt8]] {
        let root = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
        let page = try String(contentsOf: root.appending(path: "Sources/TunnelProtocol/Documentation.docc/WireProtocol.md"), encoding: .utf8)
        var examples: [String: [UInt8]] = [:]
        var name: String?
        for line in page.split(separator: "\n", omittingEmptySubsequences: false) {
            if line.hasPrefix("```\(kind) ") {
                name = String(line.dropFirst(kind.count + 4))
            } else if line.hasPrefix("```") {
                name = nil
            } else if let name {
                examples[name, default: []] += line.prefix { $0 != "#" }.split(separator: " ").compactMap { UInt8($0, radix: 16) }
            }
        }
        return examples
    }
}

extension ByteBuffer {
    /// A record is written before its length is known, which then takes four bytes.
    fileprivate var withShortestLength: [UInt8] {
        var rest = self
        guard let type = rest.readInteger(as: UInt8.self), let length = rest.readVarint() else { return [] }
        var shortest = ByteBuffer(bytes: [type])
        shortest.writeVarint(length)
        shortest.writeBuffer(&rest)
        return Array(shortest.readableBytesView)
    }
}
