import NIOCore
import Testing

/// A visitor's connection on its way to the event loop of the tunnel it asks for.
struct VisitorMoveTests {
    /// Connections are given to the loops in turn, so some of these come to another one than the tunnel's, where there are several.
    private let visitors = 2 * System.coreCount + 1

    @Test(.enabled(if: System.coreCount > 1, "with one event loop there is nowhere to move to"))
    func `connections move to the tunnel's event loop with their first request, and each request is asked once`() async throws {
        let service = try await ScriptedService { request, _ in
            let path = request.split(separator: " ")[1]
            return .say("HTTP/1.1 200 OK\r\nContent-Length: \(path.utf8.count)\r\n\r\n\(path)")
        }
        let log = Notebook<String>()
        try await HTTPPair.run(service, log: log) { pair in
            for number in 0..<self.visitors {
                let visitor = try await pair.visit()
                for request in 0..<3 {
                    let answer = try await visitor.ask("GET /\(number)/\(request) HTTP/1.1\r\nHost: \(pair.host)\r\n\r\n")
                    #expect(answer.hasSuffix("\r\n\r\n/\(number)/\(request)"))
                }
                visitor.close()
            }
            let moves = log.all.filter { $0 == Self.moved }.count
            #expect(moves > 0)
            #expect(moves < self.visitors)
            #expect(log.all.filter { $0 == "request" }.count == 3 * self.visitors)
            #expect(service.requests.all.count == 3 * self.visitors)
        }
    }

    @Test(.enabled(if: System.coreCount > 1, "with one event loop there is nowhere to move to")) func `what came with the head of the first request goes along`() async throws {
        let service = try await ScriptedService { _, _ in .say("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok") }
        let log = Notebook<String>()
        // More than one read of a socket brings, and than is given to the decoder in one go.
        let body = (0..<60_000).map { "\($0)," }.joined()
        try await HTTPPair.run(service, log: log) { pair in
            for _ in 0..<self.visitors {
                let answer = try await pair.ask("POST / HTTP/1.1\r\nHost: HOST\r\nContent-Length: \(body.utf8.count)\r\n\r\n\(body)")
                #expect(answer.hasPrefix("HTTP/1.1 200 OK\r\n"))
            }
            #expect(log.all.contains(Self.moved))
            #expect(service.requests.all.count == self.visitors)
            #expect(service.requests.all.allSatisfy { $0.hasSuffix("\r\n\r\n\(body)") })
        }
    }

    @Test(.enabled(if: System.coreCount > 1, "with one event loop there is nowhere to move to")) func `a connection that ends with its first request stays where it is`() async throws {
        let service = try await ScriptedService { _, _ in .say("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok") }
        let log = Notebook<String>()
        try await HTTPPair.run(service, log: log) { pair in
            for _ in 0..<self.visitors {
                _ = try await pair.ask("GET / HTTP/1.1\r\nHost: HOST\r\nConnection: close\r\n\r\n")
            }
            #expect(service.requests.all.count == self.visitors)
            #expect(!log.all.contains(Self.moved))
        }
    }

    private static let moved = "moved a visitor to its tunnel's event loop"
}
