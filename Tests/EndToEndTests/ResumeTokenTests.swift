import Foundation
import Testing

/// Who may go on with a session, tried by hand: a refusal hurts nobody but whoever is refused.
@Suite struct ResumeTokenTests {
    /// A session made by hand, with one tunnel and one visitor in it.
    private struct Victim {
        let server: Server
        let stage: Stage
        var socket: RawWebSocket
        var welcome: RawWebSocket.Welcome
        let visitor: Connection
        /// Link frames of the server's so far: LISTENING, OPEN, DATA.
        var received: UInt8 = 3

        init(on stage: Stage, _ server: Server) throws {
            self.stage = stage
            self.server = server
            self.socket = try RawWebSocket(to: server, on: stage, greets: false)
            self.welcome = try self.socket.greet()
            // LISTEN: tunnel 0, TCP.
            try self.socket.send([0x10, 0, 0])
            let listening = try RawWebSocket.parameters(self.socket.message(0x11).dropFirst(2))
            let url = String(decoding: listening[0x14] ?? [], as: UTF8.self)
            let port = try #require(url.split(separator: ":").last.flatMap { UInt16($0) })
            self.visitor = try stage.visit(port)
            try self.visitor.send("hello")
            #expect(try self.socket.message(0x20).prefix(3) == [0x20, 2, 0])
            #expect(try self.socket.message(0x22) == [0x22, 2] + Array("hello".utf8))
        }

        /// Bytes go both ways on the stream, over the connection the session has.
        mutating func isUnhurt() throws {
            try self.socket.send([0x22, 2] + Array("to you".utf8))
            #expect(try self.visitor.receiveText(6) == "to you")
            try self.visitor.send("and back")
            #expect(try self.socket.message(0x22) == [0x22, 2] + Array("and back".utf8))
            self.received += 1
        }

        /// Another connection greets.
        func greet(_ hello: [UInt8]) throws -> (socket: RawWebSocket, welcome: RawWebSocket.Welcome) {
            let socket = try RawWebSocket(to: self.server, on: self.stage, greets: false)
            return (socket, try socket.greet(hello))
        }
    }

    private func withVictim(_ body: (inout Victim) throws -> Void) throws {
        try Stage.run { stage in
            let server = try stage.server("--plain")
            var victim = try Victim(on: stage, server)
            try victim.isUnhurt()
            try body(&victim)
        }
    }

    /// A HELLO that must not be believed.
    struct Claim: Sendable, CustomTestStringConvertible {
        let testDescription: String
        let hello: @Sendable (_ welcome: RawWebSocket.Welcome, _ received: UInt8) -> [UInt8]
    }

    @Test(arguments: [
        Claim(testDescription: "a made-up token") { welcome, received in
            var welcome = welcome
            welcome.token = (0..<32).map { _ in .random(in: 0...255) }
            return welcome.hello(received: received, attempt: 9)
        },
        Claim(testDescription: "a token that is wrong in its last bit") { welcome, received in
            var welcome = welcome
            welcome.token[31] ^= 1
            return welcome.hello(received: received, attempt: 9)
        },
        Claim(testDescription: "more frames than were sent") { welcome, received in
            welcome.hello(received: received + 1, attempt: 9)
        },
    ])
    func `a claim that is not true gets a session of its own, and hurts nobody`(claim: Claim) throws {
        try self.withVictim { victim in
            let (_, welcome) = try victim.greet(claim.hello(victim.welcome, victim.received))
            #expect(welcome.session != victim.welcome.session)
            #expect(welcome.token != victim.welcome.token)
            #expect(welcome.received == 0)
            try victim.server.program.line(containing: "may not carry this session on")
            try victim.isUnhurt()
            #expect(victim.server.program.events("lost", "paused").isEmpty)
        }
    }

    @Test func `a count below what was acknowledged is not believed`() throws {
        try self.withVictim { victim in
            // ACK: two frames. PONG says that it has been read.
            try victim.socket.send([0x03, 2])
            try victim.socket.send([0x04, 1, 2, 3, 4, 5, 6, 7, 8])
            _ = try victim.socket.message(0x05)
            let (_, welcome) = try victim.greet(victim.welcome.hello(received: 1, attempt: 9))
            #expect(welcome.session != victim.welcome.session)
            try victim.isUnhurt()
        }
    }

    @Test func `the token of one session does not open another`() throws {
        try self.withVictim { victim in
            let other = try Victim(on: victim.stage, victim.server)
            var mixed = victim.welcome
            mixed.token = other.welcome.token
            let (_, welcome) = try victim.greet(mixed.hello(received: 1, attempt: 9))
            #expect(welcome.session != victim.welcome.session)
            #expect(welcome.session != other.welcome.session)
            try victim.isUnhurt()
        }
    }

    @Test func `the newest connection carries the session, from the frame that it names`() throws {
        try self.withVictim { victim in
            let older = victim.socket
            // LISTENING and OPEN came; "hello" and "and back" did not, it says.
            (victim.socket, victim.welcome) = try victim.greet(victim.welcome.hello(received: 2, attempt: 2))
            #expect(victim.welcome.received == 2, "LISTEN and one DATA")
            #expect(try older.closeCode() == 4409)
            #expect(try victim.socket.message(0x22) == [0x22, 2] + Array("hello".utf8))
            #expect(try victim.socket.message(0x22) == [0x22, 2] + Array("and back".utf8))
            try victim.isUnhurt()
            #expect(victim.server.program.events("lost").isEmpty)
        }
    }

    @Test func `frames on a connection that was replaced count no more`() throws {
        try self.withVictim { victim in
            let older = victim.socket
            (victim.socket, victim.welcome) = try victim.greet(victim.welcome.hello(received: victim.received, attempt: 2))
            // As if it had still been on its way; the server may have closed already.
            try? older.send([0x22, 2] + Array("late".utf8))
            try victim.isUnhurt()
        }
    }

    @Test func `every resumption changes the token, and the old one is void once the new connection was heard`() throws {
        try self.withVictim { victim in
            var tokens = [victim.welcome.token]
            for attempt in 2...5 as ClosedRange<UInt8> {
                let session = victim.welcome.session
                (victim.socket, victim.welcome) = try victim.greet(
                    victim.welcome.hello(received: victim.received, attempt: attempt))
                #expect(victim.welcome.session == session)
                tokens.append(victim.welcome.token)
                try victim.isUnhurt()
            }
            #expect(Set(tokens).count == tokens.count)
            for token in tokens.dropLast() {
                var old = victim.welcome
                old.token = token
                let (_, welcome) = try victim.greet(old.hello(received: victim.received, attempt: 9))
                #expect(welcome.session != victim.welcome.session)
            }
            try victim.isUnhurt()
        }
    }

    @Test func `the token of a WELCOME that never arrived is not needed`() throws {
        try self.withVictim { victim in
            let known = victim.welcome
            // WELCOME is lost with the connection, twice.
            for attempt in 2...3 as ClosedRange<UInt8> {
                let (lost, _) = try victim.greet(known.hello(received: victim.received, attempt: attempt))
                lost.connection.reset()
            }
            (victim.socket, victim.welcome) = try victim.greet(known.hello(received: victim.received, attempt: 4))
            #expect(victim.welcome.session == known.session)
            try victim.isUnhurt()
        }
    }

    @Test func `a HELLO that comes late does not push the living connection aside`() throws {
        try self.withVictim { victim in
            let known = victim.welcome
            (victim.socket, victim.welcome) = try victim.greet(known.hello(received: victim.received, attempt: 3))
            // Sent before that one, and held up somewhere.
            let late = try RawWebSocket(to: victim.server, on: victim.stage, greets: false)
            try late.send(known.hello(received: victim.received, attempt: 2))
            #expect(try late.closeCode() == 4409)
            try victim.isUnhurt()
        }
    }

    @Test(arguments: [1000, 4400])
    func `after a Close that is meant to be the end, the token opens nothing`(code: Int) throws {
        try self.withVictim { victim in
            try victim.socket.send([UInt8(code >> 8), UInt8(code & 0xFF)], first: 0x88)
            #expect(victim.visitor.awaitEnd() == .reset)
            try victim.server.program.event("lost")
            let (_, welcome) = try victim.greet(victim.welcome.hello(received: victim.received, attempt: 2))
            #expect(welcome.session != victim.welcome.session)
        }
    }

    @Test func `a violation ends the session`() throws {
        try self.withVictim { victim in
            // DATA for a stream that never was.
            try victim.socket.send([0x22, 8, 1])
            #expect(try victim.socket.closeCode() == 4400)
            #expect(victim.visitor.awaitEnd() == .reset)
            let (_, welcome) = try victim.greet(victim.welcome.hello(received: victim.received, attempt: 2))
            #expect(welcome.session != victim.welcome.session)
        }
    }
}
