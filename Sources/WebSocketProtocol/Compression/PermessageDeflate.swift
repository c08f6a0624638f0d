/// permessage-deflate as two ends have agreed on it (RFC 7692 §7).
package struct PermessageDeflate: Equatable, Sendable {
    /// What one end keeps to when it compresses.
    package struct Sender: Equatable, Sendable {
        /// Every message stands by itself (RFC 7692 §7.1.1).
        package var noContextTakeover = false
        /// Base-2 logarithm of the window's size in bytes, 8 to 15 (RFC 7692 §7.1.2). An end that has agreed to 8 sends
        /// its messages as they are, since zlib cannot write them.
        package var maxWindowBits = Self.largestWindowBits

        /// RFC 7692 §7.1.2.
        package static let windowBits = 8...15
        package static let largestWindowBits = 15

        package init(noContextTakeover: Bool = false, maxWindowBits: Int = Self.largestWindowBits) {
            precondition(Self.windowBits.contains(maxWindowBits), "a window of \(maxWindowBits) bits")
            self.noContextTakeover = noContextTakeover
            self.maxWindowBits = maxWindowBits
        }

        /// Within both.
        fileprivate func narrowed(to other: Sender) -> Sender {
            Sender(
                noContextTakeover: self.noContextTakeover || other.noContextTakeover,
                maxWindowBits: min(self.maxWindowBits, other.maxWindowBits))
        }
    }

    package let server: Sender
    package let client: Sender

    package init(server: Sender = Sender(), client: Sender = Sender()) {
        self.server = server
        self.client = client
    }

    package func sender(_ role: WebSocketConnection.Role) -> Sender {
        role == .client ? self.client : self.server
    }
}

// MARK: The server's answer

extension PermessageDeflate {
    /// An offer as a server accepts it: what the client asks for, and what the server wants besides.
    struct Acceptance: Equatable, Sendable {
        let agreed: PermessageDeflate
        /// The element of Sec-WebSocket-Extensions that says so.
        let answer: ExtensionElement
    }

    /// The server's answer to the first offer that it can accept; nil declines them all (RFC 7692 §5.1 and §7).
    ///
    /// - Parameter wanted: what the server keeps to and wants of the client. It may ask for no context takeover without
    ///   having been offered it, but for a smaller window of the client's only if the client knows the parameter.
    static func accept(_ offers: [ExtensionElement], wanted: PermessageDeflate) -> Acceptance? {
        for element in offers where element.name == Self.name {
            guard let offer = Parameters(element, mayLackValue: true) else { continue }
            let server = wanted.server.narrowed(to: offer.server)
            var client = wanted.client.narrowed(to: offer.client)
            if !offer.hasClientWindow { client.maxWindowBits = Sender.largestWindowBits }
            var parameters: [ExtensionElement.Parameter] = []
            if server.noContextTakeover { parameters.append(.init(name: Parameter.serverNoContextTakeover)) }
            if client.noContextTakeover { parameters.append(.init(name: Parameter.clientNoContextTakeover)) }
            if offer.hasServerWindow || server.maxWindowBits < Sender.largestWindowBits {
                parameters.append(.init(name: Parameter.serverMaxWindowBits, value: "\(server.maxWindowBits)"))
            }
            if client.maxWindowBits < Sender.largestWindowBits {
                parameters.append(.init(name: Parameter.clientMaxWindowBits, value: "\(client.maxWindowBits)"))
            }
            return Acceptance(
                agreed: PermessageDeflate(server: server, client: client),
                answer: ExtensionElement(name: Self.name, parameters: parameters))
        }
        return nil
    }
}

// MARK: The client's offer

extension PermessageDeflate {
    /// What a client asks for, as an element of Sec-WebSocket-Extensions. It always says that it would take a smaller
    /// window for its own messages (RFC 7692 §7.1.2.2).
    var offer: ExtensionElement {
        var parameters: [ExtensionElement.Parameter] = []
        if self.server.noContextTakeover { parameters.append(.init(name: Parameter.serverNoContextTakeover)) }
        if self.client.noContextTakeover { parameters.append(.init(name: Parameter.clientNoContextTakeover)) }
        if self.server.maxWindowBits < Sender.largestWindowBits {
            parameters.append(.init(name: Parameter.serverMaxWindowBits, value: "\(self.server.maxWindowBits)"))
        }
        let isSmaller = self.client.maxWindowBits < Sender.largestWindowBits
        parameters.append(
            .init(name: Parameter.clientMaxWindowBits, value: isSmaller ? "\(self.client.maxWindowBits)" : nil))
        return ExtensionElement(name: Self.name, parameters: parameters)
    }

    /// What a server's answer to `self.offer` comes to; nil when it does not answer it (RFC 7692 §7.1).
    func agreed(answer: ExtensionElement) -> PermessageDeflate? {
        guard answer.name == Self.name, let answer = Parameters(answer, mayLackValue: false) else { return nil }
        // What was asked of the server must be granted. What is asked of us was offered.
        guard answer.server.noContextTakeover || !self.server.noContextTakeover,
            answer.server.maxWindowBits <= self.server.maxWindowBits
        else { return nil }
        return PermessageDeflate(server: answer.server, client: answer.client.narrowed(to: self.client))
    }
}

// MARK: Parameters

extension PermessageDeflate {
    /// RFC 7692 §11.1.
    static let name = "permessage-deflate"

    /// RFC 7692 §7.1.
    private enum Parameter {
        static let serverNoContextTakeover = "server_no_context_takeover"
        static let clientNoContextTakeover = "client_no_context_takeover"
        static let serverMaxWindowBits = "server_max_window_bits"
        static let clientMaxWindowBits = "client_max_window_bits"
    }

    /// The parameters of an offer or of an answer.
    private struct Parameters {
        var server = Sender()
        var client = Sender()
        var hasServerWindow = false
        var hasClientWindow = false

        /// Nil when a parameter is unknown, comes twice or has a value that it cannot have: such an offer is declined,
        /// and such an answer ends the connection (RFC 7692 §7).
        ///
        /// - Parameter mayLackValue: client_max_window_bits may stand without a value, as it may in an offer only.
        init?(_ element: ExtensionElement, mayLackValue: Bool) {
            guard Set(element.parameters.map(\.name)).count == element.parameters.count else { return nil }
            for parameter in element.parameters {
                switch (parameter.name, parameter.value) {
                case (Parameter.serverNoContextTakeover, nil): self.server.noContextTakeover = true
                case (Parameter.clientNoContextTakeover, nil): self.client.noContextTakeover = true
                case (Parameter.serverMaxWindowBits, let value?):
                    guard let bits = Self.windowBits(value) else { return nil }
                    self.server.maxWindowBits = bits
                    self.hasServerWindow = true
                case (Parameter.clientMaxWindowBits, let value):
                    self.hasClientWindow = true
                    guard let value else {
                        guard mayLackValue else { return nil }
                        continue
                    }
                    guard let bits = Self.windowBits(value) else { return nil }
                    self.client.maxWindowBits = bits
                default: return nil
                }
            }
        }

        /// RFC 7692 §7.1.2.1: a decimal integer without leading zeros.
        private static func windowBits(_ value: String) -> Int? {
            guard let bits = Int(value), "\(bits)" == value, Sender.windowBits.contains(bits) else { return nil }
            return bits
        }
    }
}
