/// The laws of the house, as data. A new room, or a new import in an old one, is a decision: it is written down here.
enum Laws {
    struct Room {
        /// The modules its files may import, whole or in part.
        let mayImport: Set<String>
        /// Words that none of its files may contain outside comments.
        var neverSays: [String] = []
    }

    /// The C library under its names, for the few files that make system calls.
    static let system: Set<String> = ["Glibc", "Musl", "Darwin"]

    /// Time, chance and talk: a protocol room gets time and randomness as arguments and says nothing.
    static let worldly = [
        "ContinuousClock", "SuspendingClock", "DispatchTime", "NIODeadline", ".random(", "SystemRandomNumberGenerator",
        ".shuffled(", ".randomElement(", "Logger", "print(", "Task.sleep", "Thread", "EventLoop",
    ]

    static let rooms: [String: Room] = [
        "COpenSSL": Room(mayImport: []),
        "CZlib": Room(mayImport: []),
        // Synchronization for what connections of several threads learn of one store of trust.
        "OpenSSL": Room(
            mayImport: ["COpenSSL", "NIOCore", "Synchronization"],
            neverSays: ["Logger", "EventLoop", "socket(", "ContinuousClock", "SuspendingClock"]),
        "WebSocketProtocol": Room(mayImport: ["NIOCore", "OpenSSL", "CZlib"], neverSays: Self.worldly),
        // Synchronization for one counter that event loops share.
        "TunnelProtocol": Room(mayImport: ["NIOCore", "DequeModule", "Synchronization"], neverSays: Self.worldly),
        // HTTP's heads for a proxy's answers, the addresses of the tunnel protocol.
        "Intermediaries": Room(mayImport: ["NIOCore", "TunnelProtocol", "WebSocketProtocol"], neverSays: Self.worldly),
        // NIOHTTP1 for its lists of fields and its heads.
        "HTTPMessages": Room(
            mayImport: ["NIOCore", "NIOHTTP1", "OpenSSL", "TunnelProtocol", "Intermediaries"], neverSays: Self.worldly),
        // HTTPMessages for the name in a ClientHello.
        "TunnelTransport": Room(
            mayImport: Self.system.union([
                "NIOCore", "NIOPosix", "NIOConcurrencyHelpers", "NIOHTTP1", "Logging", "Metrics", "DequeModule", "OpenSSL",
                "WebSocketProtocol", "TunnelProtocol", "Intermediaries", "HTTPMessages",
            ])),
        "TunnelServer": Room(
            mayImport: [
                "NIOCore", "NIOPosix", "NIOConcurrencyHelpers", "NIOHTTP1", "Logging", "OpenSSL", "WebSocketProtocol",
                "TunnelProtocol", "TunnelTransport", "Intermediaries", "HTTPMessages", "Hummingbird",
            ]),
        "TunnelClient": Room(
            mayImport: [
                "NIOCore", "NIOPosix", "NIOConcurrencyHelpers", "NIOHTTP1", "Logging", "OpenSSL", "WebSocketProtocol",
                "TunnelProtocol", "TunnelTransport", "Intermediaries", "HTTPMessages",
            ]),
        "CAllocator": Room(mayImport: []),
        "Console": Room(
            mayImport: Self.system.union([
                "CAllocator", "ArgumentParser", "Logging", "TunnelTransport", "UnixSignals", "Dispatch", "Synchronization", "NIOConcurrencyHelpers",
            ])),
        "ws-tunnel-server": Room(
            mayImport: ["ArgumentParser", "Console", "Logging", "TunnelServer", "TunnelTransport", "Intermediaries", "Yams"]),
        "ws-tunnel-client": Room(
            mayImport: [
                "ArgumentParser", "Console", "Logging", "TunnelClient", "TunnelTransport", "Intermediaries", "Yams",
                "Synchronization",
            ]),
    ]

    /// What the protocol rooms may take from a module that holds more than they should see.
    static let scoped: [String: Set<String>] = [
        "OpenSSL/NIOCore": ["NIOCore.ByteBuffer"],
        "WebSocketProtocol/NIOCore": ["NIOCore.ByteBuffer", "NIOCore.ByteBufferView"],
        "TunnelProtocol/NIOCore": ["NIOCore.ByteBuffer"],
        "Intermediaries/NIOCore": ["NIOCore.ByteBuffer"],
        "HTTPMessages/NIOCore": ["NIOCore.ByteBuffer"],
        "HTTPMessages/NIOHTTP1": [
            "NIOHTTP1.HTTPHeaders", "NIOHTTP1.HTTPRequestHead", "NIOHTTP1.HTTPResponseHead", "NIOHTTP1.HTTPMethod",
            "NIOHTTP1.HTTPVersion",
        ],
    ]

    /// Everywhere in Sources: what a peer, a visitor or a file contains may not trap, and nothing is left for later.
    static let nowhere = [
        "try!", "as!", "fatalError(", "unimplemented", "not implemented", "TODO", "FIXME", "XXX", "import Foundation",
        "import FoundationEssentials", "@testable",
    ]

    /// The files outside OpenSSL that may handle memory by address: masking, the walk through a frame, zlib, system calls, heads.
    static let mayPoint: Set<String> = [
        "HTTPMessages/TextWriter.swift", "HTTPMessages/RecordReader.swift", "HTTPMessages/MessageFields.swift",
        "Console/OutputSink.swift", "Console/Program.swift",
        "TunnelTransport/Explanations.swift", "TunnelTransport/StateFolder.swift",
        "TunnelTransport/TransportHandler.swift", "TunnelTransport/SocketDescriptor.swift",
        "TunnelTransport/ClientTLSHandler.swift",
        "WebSocketProtocol/Frames/Masking.swift", "WebSocketProtocol/Frames/FrameHeaderDecoder.swift",
        "WebSocketProtocol/Connection/FrameReader.swift",
        "WebSocketProtocol/Compression/Deflater.swift", "WebSocketProtocol/Compression/Inflater.swift",
    ]

    static let pointers = ["Unsafe", "withUnsafe", ".pointee", "baseAddress", "loadUnaligned"]

    /// Everything that may lie at the top of the repository, files beginning with a dot aside.
    static let top: Set<String> = ["Package.swift", "Sources", "Tests", "Fixtures", "README.md", "LICENSE"]

    static let longestFile = 450
}
