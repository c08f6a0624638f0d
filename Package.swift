// swift-tools-version: 6.2
import PackageDescription

/// Every target: Swift 6 language mode (from the tools version), and no warning passes.
let strict: [SwiftSetting] = [
    .treatAllWarnings(as: .error),
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("InternalImportsByDefault"),
]

/// What a program exports is for libraries that it loads, and it loads none: a megabyte less of each program is in memory. Targets of the
/// libraries have no such flags, which whoever depends on them could not use.
let program: [LinkerSetting] = [
    .unsafeFlags(["-Xlinker", "--no-export-dynamic"], .when(platforms: [.linux], configuration: .release)),
]

let nioCore: Target.Dependency = .product(name: "NIOCore", package: "swift-nio")
let nioLocks: Target.Dependency = .product(name: "NIOConcurrencyHelpers", package: "swift-nio")
let nioPosix: Target.Dependency = .product(name: "NIOPosix", package: "swift-nio")
let nioHTTP1: Target.Dependency = .product(name: "NIOHTTP1", package: "swift-nio")
let nioEmbedded: Target.Dependency = .product(name: "NIOEmbedded", package: "swift-nio")
let logging: Target.Dependency = .product(name: "Logging", package: "swift-log")
let argumentParser: Target.Dependency = .product(name: "ArgumentParser", package: "swift-argument-parser")
let collections: Target.Dependency = .product(name: "DequeModule", package: "swift-collections")

let package = Package(
    name: "ws-tunnel",
    platforms: [.macOS(.v15)],
    products: [
        .library(name: "TunnelServer", targets: ["TunnelServer"]),
        .library(name: "TunnelClient", targets: ["TunnelClient"]),
        .executable(name: "ws-tunnel-server", targets: ["ws-tunnel-server"]),
        .executable(name: "ws-tunnel-client", targets: ["ws-tunnel-client"]),
    ],
    dependencies: [
        .package(url: "https://github.com/apple/swift-nio", from: "2.101.0"),
        .package(url: "https://github.com/apple/swift-log", from: "1.16.0"),
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.0"),
        .package(url: "https://github.com/apple/swift-collections", from: "1.6.0"),
        .package(url: "https://github.com/swift-server/swift-service-lifecycle", from: "2.13.0"),
    ],
    targets: [
        .systemLibrary(name: "COpenSSL", pkgConfig: "openssl", providers: [.apt(["libssl-dev"]), .brew(["openssl@3"])]),
        .target(name: "OpenSSL", dependencies: ["COpenSSL", nioCore], swiftSettings: strict),
        .systemLibrary(name: "CZlib", pkgConfig: "zlib", providers: [.apt(["zlib1g-dev"]), .brew(["zlib"])]),
        .target(name: "WebSocketProtocol", dependencies: ["OpenSSL", "CZlib", nioCore], swiftSettings: strict),
        .target(name: "TunnelProtocol", dependencies: [nioCore, collections], swiftSettings: strict),
        .target(
            name: "Intermediaries", dependencies: [nioCore, "TunnelProtocol", "WebSocketProtocol"], swiftSettings: strict),
        .target(
            name: "HTTPMessages", dependencies: ["OpenSSL", "TunnelProtocol", "Intermediaries", nioCore, nioHTTP1],
            swiftSettings: strict),
        .target(
            name: "TunnelTransport",
            dependencies: [
                "OpenSSL", "WebSocketProtocol", "TunnelProtocol", "Intermediaries", "HTTPMessages", nioCore, nioPosix, logging, collections,
            ],
            swiftSettings: strict),
        .target(
            name: "TunnelServer", dependencies: ["TunnelTransport", "Intermediaries", "HTTPMessages", nioCore, nioPosix, nioHTTP1, logging],
            swiftSettings: strict),
        .target(
            name: "TunnelClient", dependencies: ["TunnelTransport", "Intermediaries", "HTTPMessages", nioCore, nioPosix, nioHTTP1, logging],
            // The inspector's page; in the program itself, because a bundle beside it would need Foundation to be found.
            resources: [.embedInCode("Inspector/Page")], swiftSettings: strict),
        .systemLibrary(name: "CAllocator"),
        .target(
            name: "Console",
            dependencies: [
                "CAllocator", "TunnelTransport", nioLocks, logging, argumentParser,
                .product(name: "UnixSignals", package: "swift-service-lifecycle"),
            ],
            swiftSettings: strict),
        .executableTarget(
            name: "ws-tunnel-server",
            dependencies: ["TunnelServer", "TunnelTransport", "Intermediaries", "Console", argumentParser, logging],
            swiftSettings: strict, linkerSettings: program),
        .executableTarget(
            name: "ws-tunnel-client",
            dependencies: ["TunnelClient", "TunnelTransport", "Intermediaries", "Console", argumentParser, logging],
            swiftSettings: strict, linkerSettings: program),

        .testTarget(name: "OpenSSLTests", dependencies: ["OpenSSL", nioCore], swiftSettings: strict),
        .testTarget(name: "WebSocketProtocolTests", dependencies: ["WebSocketProtocol", nioCore], swiftSettings: strict),
        .testTarget(name: "TunnelProtocolTests", dependencies: ["TunnelProtocol", nioCore], swiftSettings: strict),
        .testTarget(name: "IntermediariesTests", dependencies: ["Intermediaries", "TunnelProtocol", "WebSocketProtocol", nioCore], swiftSettings: strict),
        .testTarget(name: "HTTPMessagesTests", dependencies: ["HTTPMessages", "Intermediaries", "TunnelProtocol", nioCore, nioHTTP1, nioEmbedded], swiftSettings: strict),
        .testTarget(name: "TunnelClientTests", dependencies: ["TunnelClient", "HTTPMessages", "TunnelProtocol", "WebSocketProtocol", nioCore, nioHTTP1, nioEmbedded], swiftSettings: strict),
        .testTarget(name: "HouseTests", swiftSettings: strict),
        // What a stranger's bytes must not do to each decoder: run on every fixture here, and under libFuzzer by Tests/fuzz.
        .target(
            name: "FuzzTargets",
            dependencies: [
                "WebSocketProtocol", "TunnelProtocol", "Intermediaries", "HTTPMessages", "TunnelClient", nioCore, nioHTTP1, nioEmbedded,
            ],
            path: "Tests/FuzzTargets", swiftSettings: strict),
        .testTarget(name: "FuzzTests", dependencies: ["FuzzTargets"], swiftSettings: strict),
        .testTarget(
            name: "ConsoleTests",
            dependencies: ["Console", "ws-tunnel-client", "TunnelClient", "TunnelTransport", "TunnelProtocol", argumentParser, logging],
            swiftSettings: strict),
        .testTarget(
            name: "TunnelServerTests", dependencies: ["TunnelServer", "TunnelTransport", "TunnelProtocol", "HTTPMessages", nioCore, nioPosix],
            swiftSettings: strict),
        // The two library products in one process, as other programs use them.
        .testTarget(
            name: "LibraryTests",
            dependencies: [
                "TunnelServer", "TunnelClient", "TunnelTransport", "TunnelProtocol", "Intermediaries", "HTTPMessages", nioCore, nioPosix, nioHTTP1, logging,
            ],
            swiftSettings: strict),
        // Two echo endpoints on the WebSocket room alone, for Tests/autobahn.
        .target(
            name: "AutobahnEcho", dependencies: ["WebSocketProtocol", nioCore], path: "Tests/AutobahnEndpoints/Echo",
            swiftSettings: strict),
        .executableTarget(
            name: "ws-tunnel-autobahn-server", dependencies: ["AutobahnEcho", "WebSocketProtocol", nioCore, nioPosix],
            path: "Tests/AutobahnEndpoints/Server", swiftSettings: strict),
        .executableTarget(
            name: "ws-tunnel-autobahn-client", dependencies: ["AutobahnEcho", "WebSocketProtocol", nioCore, nioPosix],
            path: "Tests/AutobahnEndpoints/Client", swiftSettings: strict),
        // Drives the built programs from outside; nothing of them is linked in.
        .testTarget(name: "EndToEndTests", exclude: ["Peers"], swiftSettings: strict),
    ]
)

#if os(Linux)
// The benchmark reads /proc and makes its load with epoll.
package.targets += [
    .systemLibrary(name: "CLinux", path: "Tests/CLinux"),
    .executableTarget(
        name: "ws-tunnel-bench",
        dependencies: [
            "CLinux", "OpenSSL", "WebSocketProtocol", "TunnelProtocol", "HTTPMessages", "Intermediaries", nioCore, nioHTTP1, argumentParser,
        ],
        path: "Tests/ws-tunnel-bench", swiftSettings: strict),
]
#endif

// libFuzzer is linked in with `-sanitize=fuzzer`, so only Tests/fuzz can build this one.
if Context.environment["WS_TUNNEL_FUZZ"] != nil {
    package.targets.append(
        .executableTarget(name: "Fuzzer", dependencies: ["FuzzTargets"], path: "Tests/Fuzzer", swiftSettings: strict))
}
