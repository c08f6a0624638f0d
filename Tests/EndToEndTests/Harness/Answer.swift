import Foundation

/// A response as its receiver sees it.
struct Answer: CustomStringConvertible {
    var line = ""
    /// In their order.
    var fields: [(name: String, value: String)] = []
    var body: [UInt8] = []
    var trailers: [(name: String, value: String)] = []
    /// The statuses of the 1xx before it.
    var interim: [Int] = []

    var status: Int { self.line.split(separator: " ").dropFirst().first.flatMap { Int($0) } ?? 0 }
    var text: String { String(decoding: self.body, as: UTF8.self) }

    /// Of this name, however it is spelled; several are joined as RFC 9110 §5.2 has it.
    subscript(_ name: String) -> String? {
        let values = self.fields.filter { $0.name.lowercased() == name.lowercased() }.map(\.value)
        return values.isEmpty ? nil : values.joined(separator: ", ")
    }

    /// The body's members, when it is a JSON object.
    var json: [String: Any] {
        (try? JSONSerialization.jsonObject(with: Data(self.body))) as? [String: Any] ?? [:]
    }

    var description: String {
        ([self.line] + self.fields.map { "\($0.name): \($0.value)" } + ["", String(self.text.prefix(500))]).joined(separator: "\n")
    }

    init() {}

    /// - Parameter head: Without its empty line.
    init(head: String) throws {
        let lines = head.components(separatedBy: "\r\n")
        self.line = lines[0]
        self.fields = try lines.dropFirst().map(Self.field)
        guard self.line.hasPrefix("HTTP/1."), self.status != 0 else { throw Failure("this is no response: \(head)") }
    }

    static func field(_ line: String) throws -> (name: String, value: String) {
        guard let colon = line.firstIndex(of: ":") else { throw Failure("this is no field: \(line)") }
        return (String(line[..<colon]), line[line.index(after: colon)...].trimmingCharacters(in: .whitespaces))
    }
}

/// A visitor who writes HTTP/1 byte by byte as the test has it, and reads answers strictly.
final class HTTPVisitor {
    let connection: Connection
    private var buffer: [UInt8] = []

    init(_ connection: Connection) {
        self.connection = connection
    }

    func send(_ text: String) throws { try self.connection.send(text) }

    /// The next response that is not 1xx, whole.
    ///
    /// - Parameters:
    ///   - method: Of the request it answers: that decides about the body (RFC 9112 §6.3).
    func answer(to method: String = "GET") throws -> Answer {
        var interim: [Int] = []
        while true {
            var answer = try self.head()
            if (100..<200).contains(answer.status), answer.status != 101 {
                interim.append(answer.status)
                continue
            }
            answer.interim = interim
            guard method != "HEAD", ![101, 204, 304].contains(answer.status) else { return answer }
            try self.readBody(of: &answer)
            return answer
        }
    }

    /// The next head, of a 1xx too.
    func head() throws -> Answer {
        var bytes: [UInt8] = []
        while !bytes.ends(with: "\r\n\r\n") { bytes.append(try self.byte()) }
        return try Answer(head: String(decoding: bytes.dropLast(4), as: UTF8.self))
    }

    func receive(_ count: Int) throws -> [UInt8] {
        while self.buffer.count < count {
            guard let part = try self.connection.receiveSome(atMost: 1 << 16) else {
                throw Failure("the connection ended after \(self.buffer.count) of \(count) bytes")
            }
            self.buffer += part
        }
        defer { self.buffer.removeFirst(count) }
        return Array(self.buffer[..<count])
    }

    /// What still comes until the connection ends, what was read already included.
    func rest() throws -> [UInt8] {
        defer { self.buffer = [] }
        do {
            return self.buffer + (try self.connection.receiveToEnd())
        } catch {
            // A reset is an end too.
            return self.buffer
        }
    }

    private func byte() throws -> UInt8 {
        try self.receive(1)[0]
    }

    private func textLine() throws -> String {
        var bytes: [UInt8] = []
        while !bytes.ends(with: "\r\n") { bytes.append(try self.byte()) }
        return String(decoding: bytes.dropLast(2), as: UTF8.self)
    }

    private func readBody(of answer: inout Answer) throws {
        if answer["Transfer-Encoding"] == "chunked" {
            while let count = Int(try self.textLine(), radix: 16), count > 0 {
                answer.body += try self.receive(count)
                guard try self.textLine().isEmpty else { throw Failure("a chunk does not end where it says") }
            }
            while case let line = try self.textLine(), !line.isEmpty { answer.trailers.append(try Answer.field(line)) }
        } else if let length = answer["Content-Length"] {
            guard let count = Int(length) else { throw Failure("Content-Length: \(length)") }
            answer.body = try self.receive(count)
        } else {
            answer.body = self.buffer + (try self.connection.receiveToEnd())
            self.buffer = []
        }
    }
}

extension [UInt8] {
    fileprivate func ends(with text: String) -> Bool { self.suffix(text.utf8.count).elementsEqual(text.utf8) }
}
