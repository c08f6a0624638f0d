import Foundation
import Testing

/// A real browser in front of an HTTP tunnel: many connections at once, WebSockets and Server-Sent Events of its own making.
@Suite struct ChromiumTests {
    private enum Way: String, CaseIterable, Sendable, CustomTestStringConvertible {
        case plain = "HTTP"
        case secure = "HTTPS"
        /// With the tunnel and another one behind a load balancer that ends TLS.
        case balanced = "a load balancer with HTTPS"

        var testDescription: String { self.rawValue }
    }

    @Test(arguments: Way.allCases)
    private func `a page with a hundred assets, a WebSocket and an EventSource works, and again when it is reloaded`(way: Way) throws {
        try Stage.run { stage in
            let origin = try stage.origin("page")
            let url: String
            switch way {
            case .plain: url = try stage.expose(origin, at: stage.httpServer()).url
            case .secure: url = try stage.expose(origin, at: stage.server()).url
            case .balanced:
                let server = try stage.httpServer("--trusted-proxies", LoadBalancer.address)
                let (section, authority) = try LoadBalancer.endingTLS(before: server, on: stage)
                let balancer = try LoadBalancer(section + "\nhttp-reuse always", on: stage)
                let front = server.behindTLS(on: balancer.port)
                _ = try stage.expose(
                    stage.origin("other"), at: front, ",subdomain=other", arguments: ["--ca-file", authority, "--state-dir", "\(stage.folder)/other"])
                _ = try stage.expose(origin, at: front, ",subdomain=page", arguments: ["--ca-file", authority])
                url = "https://page.localhost:\(balancer.port)"
            }
            let browser = try Browser(stage)
            for load in 1...3 {
                let mark = origin.program.mark
                try browser.open("\(url)/page?\(load)")
                try browser.awaits("document.title !== 'loading'", within: Patience.long)
                #expect(try browser.text("document.title") == "all right", "load \(load)")
                let assets = try origin.requests(since: mark).filter { $0.target.hasPrefix("/asset/") }
                #expect(Set(assets.map(\.target)).count == 100 && assets.count == 100)
            }
            #expect(try browser.complaints().filter { !$0.contains("favicon") }.isEmpty)
            try origin.checkNothingOdd()
        }
    }
}
