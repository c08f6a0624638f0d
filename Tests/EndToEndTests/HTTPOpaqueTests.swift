import Foundation
import Testing

/// Values and reason phrases are bytes (RFC 9110 §5.5): what is not UTF-8 in them arrives as it was sent, and what is, too.
@Suite struct HTTPOpaqueTests {
    /// ISO-8859-1, bytes of no text at all, UTF-8, and what could be taken for something else: a blank, a line end, our own marks.
    private static let values: [(name: String, value: [UInt8])] = [
        ("Cookie", bytes("a=\u{E9}; b=\u{FF}\u{FE}")), ("Referer", bytes("http://caf\u{E9}.example/\u{80}\u{85}\u{8D}\u{8A}\u{A0}x")),
        ("X-UTF8", Array("café €😀 \u{FFFD}".utf8)), ("X-Cut", [0xC3, 0xA9, 0xC3, 0x3B, 0xF0, 0x9F, 0x98]),
        ("X-Marks", [0xEE, 0xBE, 0x80, 0xE9, 0xEE, 0xBF, 0xBF, 0xEE, 0xBE]), ("X-Overlong", [0xC0, 0x8D, 0xC0, 0x8A, 0x58, 0x3A, 0x20, 0x79]),
    ]

    private static let answered: [(name: String, value: [UInt8])] = [
        ("Content-Disposition", bytes("attachment; filename=\"caf\u{E9}.txt\"")), ("Location", bytes("/\u{E9}\u{80}")),
        ("X-UTF8", Array("naïve".utf8)), ("X-Marks", [0xEE, 0xBF, 0x8D, 0xEE, 0xBF, 0x8A, 0xEE]),
    ]

    private static func bytes(_ text: String) -> [UInt8] { text.unicodeScalars.map { UInt8(truncatingIfNeeded: $0.value) } }

    private static func lines(_ fields: [(name: String, value: [UInt8])]) -> [UInt8] {
        fields.flatMap { Array("\($0.name): ".utf8) + $0.value + Array("\r\n".utf8) }
    }

    private static func answer(_ reason: [UInt8], _ more: String) -> [UInt8] {
        Array("HTTP/1.1 200 ".utf8) + reason + Array("\r\n".utf8) + Self.lines(Self.answered) + Array(more.utf8)
    }

    private static let reason = bytes("\u{C9}t\u{E9}")

    private static func request(_ method: String, version: String = "1.1", _ more: String = "") -> [UInt8] {
        Array("\(method) /".utf8) + Array(" HTTP/\(version)\r\nHost: raw.localhost\r\n".utf8) + Self.lines(Self.values)
            + Array("\(more)\r\n".utf8)
    }

    private func check(_ part: [UInt8], isIn head: [UInt8], _ what: String) {
        #expect(head.firstRange(of: part) != nil, "\(what): \(String(decoding: part, as: UTF8.self).debugDescription) is not in \(head.escaped)")
    }

    private func checkRequest(_ head: [UInt8], _ what: String) {
        for field in Self.values { self.check(Self.lines([field]), isIn: head, what) }
    }

    private func checkAnswer(_ head: [UInt8], _ what: String) {
        self.check(Array("HTTP/1.1 200 ".utf8) + Self.reason + Array("\r\n".utf8), isIn: head, what)
        for field in Self.answered { self.check(Self.lines([field]), isIn: head, what) }
    }

    @Test(arguments: [
        [], ["--host-header", "rewrite"],
        [
            "--add-request-header", "X-Added: é", "--remove-request-header", "X-Secret", "--add-response-header", "X-Added: é",
            "--remove-response-header", "X-Secret",
        ],
    ])
    func `heads pass byte for byte, each of a connection's`(arguments: [String]) throws {
        try Stage.run { stage in
            let scene = try RawScene(stage, arguments) { _ in Self.answer(Self.reason, "X-Secret: 1\r\nContent-Length: 2\r\n\r\n\u{C3}") + [0xA9] }
            // The server takes connections to its event loops in turn: some of these move with their first request.
            for _ in 0..<6 {
                let visitor = try scene.visitor()
                // The last two behind each other.
                for request in [Self.request("GET"), Self.request("GET") + Self.request("DELETE", "X-Secret: 1\r\n")] {
                    try visitor.send(request)
                }
                for number in 0..<3 {
                    let head = try visitor.head()
                    self.checkAnswer(head, "answer \(number)")
                    #expect(try visitor.receive(2).count == 2)
                    if arguments.contains("--add-response-header") {
                        self.check(Array("\r\nX-Added: é\r\n".utf8), isIn: head, "an added field")
                        #expect(head.firstRange(of: Array("X-Secret".utf8)) == nil)
                    }
                }
            }
            let heads = scene.requests
            #expect(heads.count == 18)
            for head in heads {
                self.checkRequest(head, "request")
                #expect(head.firstRange(of: Array((arguments.contains("rewrite") ? "Host: 127.0.0.1:" : "Host: raw.localhost\r\n").utf8)) != nil)
                if arguments.contains("--add-request-header") {
                    self.check(Array("\r\nX-Added: é\r\n".utf8), isIn: head, "an added field")
                    #expect(head.firstRange(of: Array("X-Secret".utf8)) == nil)
                }
            }
        }
    }

    @Test func `heads that come byte by byte pass byte for byte`() throws {
        try Stage.run { stage in
            let scene = try RawScene(stage, sendsBytes: true) { _ in Self.answer(Self.reason, "Content-Length: 0\r\n\r\n") }
            let visitor = try scene.visitor()
            for _ in 0..<2 {
                for byte in Self.request("GET") { try visitor.send([byte]) }
                self.checkAnswer(try visitor.head(), "answer")
            }
            #expect(scene.requests.count == 2)
            for head in scene.requests { self.checkRequest(head, "request") }
        }
    }

    @Test func `trailers pass byte for byte, and bodies before them`() throws {
        try Stage.run { stage in
            let body: [UInt8] = [0xE9, 0xEE, 0xBE, 0x80, 0x0D, 0x0A, 0x30, 0x0D, 0x0A, 0xFF]
            let end = Array("a\r\n".utf8) + body + Array("\r\n0\r\n".utf8) + Self.lines([("X-Sum", [0xE9, 0xEE, 0xBE, 0x80, 0xC3, 0xA9])]) + [0x0D, 0x0A]
            for sendsBytes in [false, true] {
                let scene = try RawScene(stage, sendsBytes: sendsBytes) { _ in Self.answer(Self.reason, "Transfer-Encoding: chunked\r\n\r\n") + end }
                let visitor = try scene.visitor()
                for _ in 0..<2 {
                    let request = Self.request("POST", "Transfer-Encoding: chunked\r\n") + end
                    if sendsBytes { for byte in request { try visitor.send([byte]) } } else { try visitor.send(request) }
                    self.checkAnswer(try visitor.head(), "answer")
                    #expect(try visitor.chunks() == Chunks(body: body, trailers: Self.lines([("X-Sum", [0xE9, 0xEE, 0xBE, 0x80, 0xC3, 0xA9])])))
                }
                #expect(scene.requests.count == 2)
                for request in scene.requests { self.checkRequest(request, "request") }
                for rest in scene.bodies {
                    #expect(rest == Chunks(body: body, trailers: Self.lines([("X-Sum", [0xE9, 0xEE, 0xBE, 0x80, 0xC3, 0xA9])])))
                }
                scene.client.end()
            }
        }
    }

    @Test func `HTTP 1.0, interim answers and other protocols have their bytes`() throws {
        try Stage.run { stage in
            let scene = try RawScene(stage) { request in
                if request.firstRange(of: Array("Upgrade".utf8)) != nil {
                    return Array("HTTP/1.1 101 ".utf8) + Self.reason + Array("\r\nConnection: Upgrade\r\nUpgrade: echo\r\nX: ".utf8) + [0xE9, 0xEE]
                        + Array("\r\n\r\n".utf8) + [0xE9, 0xEE, 0xBE, 0x80]
                }
                return Array("HTTP/1.1 103 ".utf8) + Self.reason + Array("\r\n".utf8) + Self.lines(Self.answered) + [0x0D, 0x0A]
                    + Self.answer(Self.reason, "Content-Length: 0\r\n\r\n")
            }
            let old = try scene.visitor()
            try old.send(Self.request("GET", version: "1.0"))
            self.checkAnswer(try old.head(), "answer to HTTP/1.0")
            let hinted = try scene.visitor()
            try hinted.send(Self.request("GET"))
            let hints = try hinted.head()
            self.check(Array("HTTP/1.1 103 ".utf8) + Self.reason + Array("\r\n".utf8), isIn: hints, "hints")
            for field in Self.answered { self.check(Self.lines([field]), isIn: hints, "hints") }
            self.checkAnswer(try hinted.head(), "answer behind the hints")
            let other = try scene.visitor()
            try other.send(Self.request("GET", "Connection: Upgrade\r\nUpgrade: echo\r\n"))
            let head = try other.head()
            self.check(Array("HTTP/1.1 101 ".utf8) + Self.reason + Array("\r\n".utf8), isIn: head, "101")
            self.check(Array("X: ".utf8) + [0xE9, 0xEE, 0x0D], isIn: head, "101")
            #expect(try other.receive(4) == [0xE9, 0xEE, 0xBE, 0x80])
            for head in scene.requests { self.checkRequest(head, "request") }
        }
    }

    @Test func `in names and targets they are refused, and nowhere are they blanks or more of them than there may be`() throws {
        try Stage.run { stage in
            let scene = try RawScene(stage) { _ in Self.answer(Self.reason, "Content-Length: 0\r\n\r\n") }
            let bad: [[UInt8]] = [
                Array("GET / HTTP/1.1\r\nHost: raw.localhost\r\nX".utf8) + [0xE9] + Array(": y\r\n\r\n".utf8),
                Array("GET / HTTP/1.1\r\nHost: raw.localhost".utf8) + [0xA0] + Array("\r\n\r\n".utf8),
                Array("GET /caf".utf8) + [0xE9] + Array(" HTTP/1.1\r\nHost: raw.localhost\r\n\r\n".utf8),
                Array("GET /caf\u{E9} HTTP/1.1\r\nHost: raw.localhost\r\n\r\n".utf8),
                Array("G".utf8) + [0xC9] + Array("T / HTTP/1.1\r\nHost: raw.localhost\r\n\r\n".utf8),
                Array("POST / HTTP/1.1\r\nHost: raw.localhost\r\nContent-Length: 1".utf8) + [0xA0] + Array("\r\n\r\nx".utf8),
                Array("POST / HTTP/1.1\r\nHost: raw.localhost\r\nTransfer-Encoding: chunked".utf8) + [0x85] + Array("\r\n\r\n0\r\n\r\n".utf8),
                Array("GET / HTTP/1.1\r\nHost: raw.localhost\r\nX: ".utf8) + [0xE9, 0x00] + Array("\r\n\r\n".utf8),
                Array("GET / HTTP/1.1\r\nHost: raw.localhost\r\nX: ".utf8) + [UInt8](repeating: 0xE9, count: 70_000) + Array("\r\n\r\n".utf8),
            ]
            for request in bad + bad.map({ Self.request("GET") + $0 }) {
                let visitor = try scene.visitor()
                try? visitor.send(request)
                if request.starts(with: Self.request("GET")) { self.checkAnswer(try visitor.head(), "answer") }
                let head = String(decoding: try visitor.head(), as: UTF8.self)
                #expect(head.hasPrefix("HTTP/1.1 4"), "\(request.prefix(200).escaped): \(head)")
            }
            #expect(scene.requests.count == bad.count)
            // As many as fit are let through.
            let visitor = try scene.visitor()
            let long = [UInt8](repeating: 0xE9, count: 60_000)
            try visitor.send(Array("GET / HTTP/1.1\r\nHost: raw.localhost\r\nX: ".utf8) + long + Array("\r\n\r\n".utf8))
            self.checkAnswer(try visitor.head(), "answer")
            #expect(scene.requests.last?.firstRange(of: long) != nil)
        }
    }
}

/// A body in chunks, taken apart.
private struct Chunks: Equatable {
    var body: [UInt8] = []
    /// As they came, line ends and all.
    var trailers: [UInt8] = []
}

/// One side of an HTTP connection, as bytes.
private final class RawEnd: @unchecked Sendable {
    private let connection: Connection
    private var buffer: [UInt8] = []

    init(_ connection: Connection) { self.connection = connection }

    func send(_ bytes: [UInt8]) throws { try self.connection.send(bytes) }

    private func more() throws {
        guard let part = try self.connection.receiveSome(atMost: 1 << 16) else { throw Failure("the connection ended behind \(self.buffer.escaped)") }
        self.buffer += part
    }

    func receive(_ count: Int) throws -> [UInt8] {
        while self.buffer.count < count { try self.more() }
        defer { self.buffer.removeFirst(count) }
        return Array(self.buffer[..<count])
    }

    private func through(_ end: String) throws -> [UInt8] {
        while true {
            if let range = self.buffer.firstRange(of: Array(end.utf8)) { return try self.receive(range.upperBound) }
            try self.more()
        }
    }

    func head() throws -> [UInt8] { try self.through("\r\n\r\n") }

    func chunks() throws -> Chunks {
        var chunks = Chunks()
        while true {
            let line = String(decoding: try self.through("\r\n").dropLast(2), as: UTF8.self)
            guard let count = Int(line, radix: 16) else { throw Failure("a chunk's size of \(line)") }
            if count == 0 { break }
            chunks.body += try self.receive(count)
            guard try self.receive(2) == [0x0D, 0x0A] else { throw Failure("a chunk does not end where it says") }
        }
        while case let line = try self.through("\r\n"), line.count > 2 { chunks.trailers += line }
        return chunks
    }
}

/// A tunnel to a service that keeps what it is asked, and answers what the test has it answer.
private final class RawScene: @unchecked Sendable {
    let server: Server
    private(set) var client: Program
    private let stage: Stage
    private let lock = NSLock()
    private var kept: [[UInt8]] = []
    private var keptBodies: [Chunks] = []

    /// Heads.
    var requests: [[UInt8]] { self.lock.withLock { self.kept } }
    var bodies: [Chunks] { self.lock.withLock { self.keptBodies } }

    /// - Parameter sendsBytes: Whether the service writes its answers byte by byte.
    init(_ stage: Stage, _ arguments: [String] = [], sendsBytes: Bool = false, answer: @escaping @Sendable ([UInt8]) -> [UInt8]) throws {
        self.stage = stage
        self.server = try stage.httpServer()
        let place = Place()
        let service = try stage.service { connection in
            let end = RawEnd(connection)
            while let head = try? end.head() {
                let chunks = head.firstRange(of: Array("Transfer-Encoding: chunked".utf8)) == nil ? nil : try end.chunks()
                place.scene?.keep(head, chunks)
                let answer = answer(head)
                if sendsBytes { for byte in answer { try end.send([byte]) } } else { try end.send(answer) }
            }
        }
        self.client = try stage.client(
            [
                "--server", self.server.url, "--inspect", "off", "--state-dir", "\(stage.folder)/\(service.port)",
                "--expose", "http://127.0.0.1:\(service.port),subdomain=raw",
            ] + arguments)
        place.scene = self
        try self.client.event("tunnel")
    }

    private final class Place: @unchecked Sendable {
        weak var scene: RawScene?
    }

    func visitor() throws -> RawEnd { RawEnd(try self.stage.visit(self.server.port)) }

    private func keep(_ head: [UInt8], _ chunks: Chunks?) {
        self.lock.withLock {
            self.kept.append(head)
            if let chunks { self.keptBodies.append(chunks) }
        }
    }
}

extension Collection<UInt8> {
    /// For a failure's message.
    fileprivate var escaped: String {
        self.map { 0x20..<0x7F ~= $0 ? String(UnicodeScalar($0)) : "\\x" + String($0, radix: 16) }.joined()
    }
}
