import Foundation
import Testing

/// The inspector of HTTP tunnels, through a real tunnel and in a real browser.
@Suite struct InspectorTests {
    /// A client with an HTTP tunnel, its inspector, and the service behind it.
    private struct Scene {
        let stage: Stage
        let server: Server
        let client: Program
        let service: InspectedService
        let inspector: String
        /// The tunnel's name, as a Host.
        let host: String

        init(_ stage: Stage, arguments: [String] = []) throws {
            self.stage = stage
            self.service = try InspectedService()
            self.server = try stage.server("--domain", "tunnel.test", "--plain")
            self.client = try stage.client(
                [
                    "--server", self.server.url, "--expose", "http://127.0.0.1:\(self.service.port)", "--subdomain", "shop", "--inspect",
                    "127.0.0.1:0",
                ] + arguments)
            guard let url = try self.client.event("inspector")["url"] else { throw Failure("the inspector has no address") }
            self.inspector = url
            try self.client.event("tunnel")
            self.host = "shop.tunnel.test"
        }

        /// A visitor's request. - Returns: what curl prints.
        @discardableResult
        func visit(_ path: String, _ arguments: String...) throws -> String {
            let curl = try self.stage.start(
                "curl",
                ["-sS", "--globoff", "-H", "Host: \(self.host)", "http://127.0.0.1:\(self.server.port)\(path)"] + arguments)
            guard try curl.ended() == .code(0) else { throw Failure("curl: \(curl.log())") }
            return String(decoding: try curl.output(), as: UTF8.self)
        }

        /// A request to the inspector itself. - Returns: the status, and the body.
        func ask(_ path: String, _ arguments: String...) throws -> (status: String, body: String) {
            let curl = try self.stage.start("curl", ["-sS", "--globoff", "-w", "\n%{http_code}", "\(self.inspector)\(path)"] + arguments)
            guard try curl.ended() == .code(0) else { throw Failure("curl: \(curl.log())") }
            var lines = String(decoding: try curl.output(), as: UTF8.self).components(separatedBy: "\n")
            let status = lines.removeLast()
            return (status, lines.joined(separator: "\n"))
        }
    }

    @Test func `a browser sees requests as they come, filters them, opens one and sends it again`() throws {
        try Stage.run { stage in
            let scene = try Scene(stage)
            let browser = try Browser(stage)
            try browser.open("\(scene.inspector)/")
            try browser.awaits("document.getElementById('live').textContent === 'live'")
            try browser.awaits("document.getElementById('tunnels').textContent.includes('shop.tunnel.test')")
            let rows = "document.querySelectorAll('.row').length"

            // The list fills without a reload.
            try scene.visit("/shop?item=1&color=blue")
            try browser.awaits("\(rows) === 1 && document.querySelector('.row .s').textContent === '200'")
            try scene.visit("/missing")
            try scene.visit("/orders", "-H", "Content-Type: application/json", "-H", "Authorization: Bearer sesame", "-d", #"{"count":3,"gift":true}"#)
            try scene.visit("/<img%20src=x%20onerror=document.title='broken'>")
            try browser.awaits("\(rows) === 4")
            #expect(try browser.text("document.querySelector('.row .p').textContent").hasPrefix("/<img"))

            // By text, by status, by method.
            try browser.press("/")
            try browser.type("item=1")
            try browser.awaits("\(rows) === 1")
            try browser.press("Escape", "Escape")
            try browser.awaits("\(rows) === 4")
            try browser.evaluate("document.querySelectorAll('#classes button')[2].click()")
            try browser.awaits("\(rows) === 1 && document.querySelector('.row .s').textContent === '404'")
            try browser.evaluate("document.querySelectorAll('#classes button')[2].click()")
            try browser.evaluate("(() => { const list = document.getElementById('method'); list.value = 'POST'; list.dispatchEvent(new Event('change')) })()")
            try browser.awaits("\(rows) === 1 && document.querySelector('.row .m').textContent === 'POST'")

            // With the keyboard alone.
            try browser.press("j", "Enter")
            try browser.awaits("document.querySelector('#detail .u').textContent === '/orders'")
            try browser.press("4")
            let panel = "document.querySelector('[role=tabpanel]').textContent"
            try browser.awaits("\(panel).includes('\"count\": 3')")
            try browser.press("2")
            try browser.awaits("\(panel).includes('•••')")
            #expect(!(try browser.text(panel)).contains("sesame"))
            try browser.evaluate("document.querySelector('[data-key=reveal]').click()")
            try browser.awaits("\(panel).includes('Bearer sesame')")

            // Sent again, it arrives at the service.
            try browser.press("r")
            try browser.awaits("document.querySelector('#detail').textContent.includes('/orders') && document.querySelectorAll('.row b').length === 1")
            let replayed = try scene.service.request(2, to: "/orders")
            #expect(replayed.body == #"{"count":3,"gift":true}"#)
            #expect(replayed.head.contains("Authorization: Bearer sesame"))

            // Edited and sent again, too.
            try browser.press("e")
            try browser.awaits("document.querySelector('#editor[open] form')")
            try browser.evaluate(
                "(() => { const [head, body] = document.querySelectorAll('#editor textarea'); head.value += '\\nX-Edited: yes'; body.value = 'other'; "
                    + "document.querySelectorAll('#editor input')[1].value = '/orders/7'; document.querySelector('#editor form').requestSubmit() })()")
            let edited = try scene.service.request(1, to: "/orders/7")
            #expect(edited.body == "other")
            #expect(edited.head.contains("X-Edited: yes"))
            #expect(edited.head.contains("Content-Length: 5"))

            // Forgotten.
            try browser.evaluate("document.getElementById('clear').click()")
            try browser.awaits("\(rows) === 0 && document.getElementById('detail').hidden")
            try browser.awaits("document.title === 'Inspector'")
            #expect(try browser.complaints().filter { !$0.contains("/api/requests/http/") } == [])
        }
    }

    /// Where the pictures are kept for people: `WS_TUNNEL_PICTURES`, else they go with the test's folder.
    @Test func `the page is drawn in light and dark, wide and narrow`() throws {
        try Stage.run { stage in
            let scene = try Scene(stage)
            for path in ["/shop?item=1", "/missing", "/picture.png", "/feed.xml", "/data.json"] { try scene.visit(path) }
            try scene.visit("/form", "-d", "name=Zo%C3%AB&city=Z%C3%BCrich")
            let browser = try Browser(stage)
            let folder = ProcessInfo.processInfo.environment["WS_TUNNEL_PICTURES"] ?? stage.folder
            try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
            var sizes: [String: Int] = [:]
            for (name, look) in [
                ("light", Browser.Look()), ("dark", Browser.Look(isDark: true)), ("narrow", Browser.Look(width: 360, height: 740)),
            ] {
                try browser.open("\(scene.inspector)/", look)
                try browser.awaits("document.querySelectorAll('.row').length === 6")
                #expect(try browser.evaluate("document.documentElement.scrollWidth <= innerWidth") as? Bool == true, "\(name) is too wide")
                try browser.picture(to: "\(folder)/inspector-\(name).png")
                try browser.evaluate("[...document.querySelectorAll('.row')].find(row => row.textContent.includes('/data.json')).click()")
                try browser.awaits("document.querySelector('#detail .u').textContent === '/data.json'")
                try browser.press("4")
                try browser.awaits("document.querySelector('[role=tabpanel] pre .k')")
                #expect(try browser.evaluate("document.documentElement.scrollWidth <= innerWidth") as? Bool == true, "\(name) is too wide")
                let path = "\(folder)/inspector-\(name)-detail.png"
                try browser.picture(to: path)
                sizes[name] = try Data(contentsOf: URL(fileURLWithPath: path)).count
                let color = try browser.text("getComputedStyle(document.body).color")
                #expect((color == "rgb(228, 231, 236)") == look.isDark)
            }
            #expect(sizes.values.allSatisfy { $0 > 5_000 })
            // A picture is shown as one.
            try browser.open("\(scene.inspector)/")
            try browser.awaits("document.querySelectorAll('.row').length === 6")
            try browser.evaluate("[...document.querySelectorAll('.row')].find(row => row.textContent.includes('/picture.png')).click()")
            try browser.awaits("document.querySelector('#detail .u').textContent === '/picture.png'")
            try browser.press("4")
            try browser.awaits("document.querySelector('img.shown').naturalWidth === 1")
            #expect(try browser.complaints() == [])
        }
    }

    @Test func `scripts find what ngrok's agent would tell them`() throws {
        try Stage.run { stage in
            let scene = try Scene(stage)
            try scene.visit("/shop", "-H", "Cookie: a=sesame")
            let tunnels = try scene.ask("/api/tunnels")
            #expect(tunnels.status == "200")
            #expect(tunnels.body.contains(#""public_url":"http"#))
            #expect(tunnels.body.contains("shop.tunnel.test"))
            try eventually("the request is not listed") { try scene.ask("/api/requests/http").body.contains(#""status_code":200"#) }
            let list = try scene.ask("/api/requests/http?limit=5")
            #expect(!list.body.contains("sesame"))
            let har = try scene.ask("/api/har?reveal=true")
            #expect(har.body.contains("sesame"))
            #expect((try? JSONSerialization.jsonObject(with: Data(har.body.utf8))) != nil)
            guard let start = list.body.range(of: #""id":""#), let end = list.body[start.upperBound...].firstIndex(of: "\"") else {
                throw Failure("no id in \(list.body)")
            }
            let id = list.body[start.upperBound..<end]
            let replay = try scene.ask(
                "/api/requests/http", "-H", "Content-Type: application/json", "-d", #"{"id":"\#(id)","tunnel_name":""}"#)
            #expect(replay.status == "204")
            #expect(try scene.service.request(2, to: "/shop").head.contains("Cookie: a=sesame"))
            #expect(try scene.ask("/api/requests/http", "-X", "DELETE").status == "204")
            #expect(!(try scene.ask("/api/requests/http").body.contains(String(id))))
        }
    }

    @Test func `other sites' pages are kept out`() throws {
        try Stage.run { stage in
            let scene = try Scene(stage)
            #expect(try scene.ask("/").status == "200")
            #expect(try scene.ask("/", "-H", "Host: evil.example").status == "403")
            #expect(try scene.ask("/api/requests/http", "-H", "Host: shop.tunnel.test").status == "403")
            #expect(try scene.ask("/api/requests/http", "-H", "Sec-Fetch-Site: cross-site").status == "403")
            let json = "Content-Type: application/json"
            #expect(try scene.ask("/api/requests/http", "-H", json, "-H", "Origin: http://evil.example", "-d", "{}").status == "403")
            #expect(try scene.ask("/api/requests/http", "-X", "DELETE", "-H", "Origin: null").status == "403")
            #expect(try scene.ask("/api/requests/http", "-d", #"{"id":"1"}"#).status == "415")
            let big = "\(stage.folder)/big"
            try Data(count: 2 << 20).write(to: URL(fileURLWithPath: big))
            #expect(try scene.ask("/api/requests/http", "-H", json, "-H", "Expect:", "--data-binary", "@\(big)").status == "413")
            let fields = try scene.ask("/api/tunnels", "-i").body.lowercased()
            #expect(!fields.contains("access-control"))
            #expect(fields.contains("x-content-type-options: nosniff"))
        }
    }

    @Test func `the next free port is taken, and without HTTP tunnels none is`() throws {
        try Stage.run { stage in
            let first = try Scene(stage)
            let taken = first.inspector.split(separator: ":").last.map(String.init) ?? ""
            let second = try stage.client(
                [
                    "--server", first.server.url, "--expose", "http://127.0.0.1:\(first.service.port)", "--inspect", "127.0.0.1:\(taken)",
                    "--state-dir", "\(stage.folder)/second",
                ])
            let url = try second.event("inspector")["url"] ?? ""
            let port = Int(url.split(separator: ":").last ?? "") ?? 0
            #expect((Int(taken) ?? 0) + 1...(Int(taken) ?? 0) + 20 ~= port)
            let echo = try stage.echo()
            let third = try stage.client(["--server", first.server.url, "--expose", "\(echo.port)", "--state-dir", "\(stage.folder)/third"])
            try third.event("tunnel")
            let fourth = try stage.client(
                [
                    "--server", first.server.url, "--expose", "http://127.0.0.1:\(first.service.port)", "--inspect", "off", "--state-dir",
                    "\(stage.folder)/fourth",
                ])
            try fourth.event("tunnel")
            #expect(third.events("inspector").isEmpty && fourth.events("inspector").isEmpty)
            let open = try stage.client(["--server", first.server.url, "--expose", "http://127.0.0.1:1", "--inspect", "0.0.0.0:4040"])
            #expect(try open.ended() == .code(78))
        }
    }
}

/// A small HTTP service that remembers what it was asked.
private final class InspectedService: @unchecked Sendable {
    struct Request: Sendable {
        let head: String
        let body: String
        var path: String { self.head.split(separator: " ").dropFirst().first.map(String.init) ?? "" }
    }

    private let condition = NSCondition()
    private var requests: [Request] = []
    private var service: Service?

    init() throws {
        self.service = try Service { [unowned self] connection in
            var received: [UInt8] = []
            while true {
                while received.end(of: "\r\n\r\n") == nil {
                    guard let more = try connection.receiveSome(atMost: 1 << 16) else { return }
                    received += more
                }
                guard let end = received.end(of: "\r\n\r\n") else { return }
                let head = String(decoding: received[..<end], as: UTF8.self)
                received.removeFirst(end)
                let length = head.lowercased().components(separatedBy: "content-length: ").dropFirst().first
                    .flatMap { Int($0.prefix { $0.isNumber }) } ?? 0
                if received.count < length { received += try connection.receive(length - received.count) }
                let request = Request(head: head, body: String(decoding: received[..<length], as: UTF8.self))
                received.removeFirst(length)
                self.condition.withLock {
                    self.requests.append(request)
                    self.condition.broadcast()
                }
                try connection.send(Self.answer(to: request.path))
            }
        }
    }

    var port: UInt16 { self.service?.port ?? 0 }

    /// - Parameter number: Counted from 1 among those to the path.
    func request(_ number: Int, to path: String) throws -> Request {
        let end = Date() + Patience.usual
        self.condition.lock()
        defer { self.condition.unlock() }
        while true {
            let all = self.requests.filter { $0.path == path }
            if all.count >= number { return all[number - 1] }
            guard self.condition.wait(until: end) else {
                throw Failure("request \(number) to \(path) has not come: \(self.requests.map(\.path))")
            }
        }
    }

    private static func answer(to path: String) -> [UInt8] {
        let (status, type, body): (String, String, [UInt8]) = switch path.split(separator: "?")[0] {
        case "/missing": ("404 Not Found", "text/plain", Array("nothing here".utf8))
        case "/data.json": ("200 OK", "application/json", Array(#"{"id":12345678901234567890,"list":[1,true,null],"name":"Zoë"}"#.utf8))
        case "/feed.xml": ("200 OK", "application/xml", Array("<a><b>1</b><c/></a>".utf8))
        // One transparent pixel.
        case "/picture.png":
            (
                "200 OK", "image/png",
                Array(Data(base64Encoded: "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==") ?? Data())
            )
        default: ("200 OK", "text/plain", Array("ok".utf8))
        }
        let head = "HTTP/1.1 \(status)\r\nContent-Type: \(type)\r\nContent-Length: \(body.count)\r\nSet-Cookie: s=1\r\n\r\n"
        return Array(head.utf8) + body
    }
}

extension [UInt8] {
    /// Behind the first place where these bytes are.
    fileprivate func end(of text: String) -> Int? {
        self.firstRange(of: Array(text.utf8))?.upperBound
    }
}
