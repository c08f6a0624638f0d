import Testing

/// The main job: a service that hands on what each of its peers types, and three of them at a public port.
extension Stage {
    /// - Returns: The port of an `ncat --broker`, and the program.
    func broker() throws -> (port: UInt16, program: Program) {
        let port = try self.freePort()
        let broker = try self.start("ncat", ["-v", "--broker", "--listen", "127.0.0.1", "\(port)"])
        try broker.line(containing: "Listening on 127.0.0.1:\(port)")
        return (port, broker)
    }

    /// Three telnet peers read what each of the others types, and no echo.
    ///
    /// - Parameter afterFirst: Done when the first of them has been heard.
    func talk(by port: UInt16, _ broker: Program, afterFirst: () throws -> Void = {}) throws {
        let peers = try (1...3).map { number in
            let peer = try self.start("telnet", ["127.0.0.1", "\(port)"], opensInput: true)
            try peer.line(containing: "Escape character")
            try eventually("peer \(number) does not reach the broker") {
                broker.count(ofLinesContaining: "Connection from 127.0.0.1:") == number
            }
            return peer
        }
        for (number, speaker) in peers.enumerated() {
            let words = "peer \(number) says hello"
            try speaker.write("\(words)\r\n")
            for listener in peers where listener !== speaker { try listener.line(containing: words) }
            #expect(speaker.count(ofLinesContaining: words) == 0, "nobody hears an echo")
            if number == 0 { try afterFirst() }
        }
    }
}
