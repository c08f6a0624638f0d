internal import Intermediaries
internal import TunnelProtocol
public import TunnelTransport

/// Where the inspector of HTTP tunnels is to be found: on loopback, because it shows what visitors send.
public struct InspectorAddress: Sendable, Hashable, CustomStringConvertible {
    /// An address, an IPv6 one without brackets.
    public let host: String
    /// The first port that is tried, 0 for any; if it is taken, the next 20 are.
    public let port: UInt16

    /// Those of ngrok's agent.
    public static let standard = InspectorAddress(host: "127.0.0.1", port: 4040)

    /// Ports that are tried after the first one.
    static let furtherPorts: UInt16 = 20

    private init(host: String, port: UInt16) {
        self.host = host
        self.port = port
    }

    /// Reads `4040`, `127.0.0.1:4040`, `localhost:4040` or `[::1]:4040`.
    ///
    /// - Throws: `OperatorError` for what is no such address, or one that others than this machine could reach.
    public init(_ text: String) throws(OperatorError) {
        let colon = text.lastIndex(of: ":")
        let host = colon.map { text[..<$0] } ?? "127.0.0.1"
        guard let port = UInt16(colon.map { text[text.index(after: $0)...] } ?? text[...]) else {
            throw OperatorError(
                .badConfiguration, "the inspector cannot be at \(text)", remedy: "Write --inspect 127.0.0.1:4040, or --inspect off.")
        }
        let bare = host.hasPrefix("[") && host.hasSuffix("]") ? host.dropFirst().dropLast() : host
        let address = bare == "localhost" ? "127.0.0.1" : String(bare)
        guard Self.isLoopback(address), address.contains(":") == host.hasPrefix("[") else {
            throw OperatorError(
                .badConfiguration, "the inspector cannot be at \(text): it shows what visitors send, so it listens on loopback only",
                remedy: "Write --inspect 127.0.0.1:4040. From elsewhere, go through ssh -L 4040:127.0.0.1:4040.")
        }
        self.init(host: address, port: port)
    }

    private static func isLoopback(_ text: String) -> Bool {
        switch Endpoint.Address(text: text) {
        case .v4(let bits): bits >> 24 == 127
        case .v6(let bytes): bytes.high == 0 && bytes.low == 1
        case nil: false
        }
    }

    public var description: String { self.text(port: Int(self.port)) }

    func text(port: Int) -> String { self.host.contains(":") ? "[\(self.host)]:\(port)" : "\(self.host):\(port)" }
}
