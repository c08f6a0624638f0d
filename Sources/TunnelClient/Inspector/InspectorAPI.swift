package import HTTPMessages
internal import NIOConcurrencyHelpers
package import NIOCore
package import NIOHTTP1
package import TunnelProtocol

/// What the inspector answers, as ngrok's agent would: `/api/tunnels`, `/api/requests/http`, and more for its own page.
package final class InspectorAPI: ExchangeListener {
    package enum Answer: Sendable {
        case response(HTTPResponseStatus, HTTPHeaders, ByteBuffer)
        /// The live list, as long as somebody listens (`text/event-stream`).
        case events
    }

    /// Sends a request to a tunnel's service as if a visitor had: the request, its body, the tunnel, the exchange it repeats.
    package typealias Replay = @Sendable (RequestMessage, ByteBuffer, TunnelNumber, String) -> Void

    package let store: InspectorStore
    private let replay: Replay
    private let open = NIOLockedValueBox<[TunnelNumber: HTTPTunnel]>([:])

    /// Entries of one answer, unless a reader asks for fewer or more: as ngrok's agent has it.
    private static let listLimit = 50

    package init(store: InspectorStore, replay: @escaping Replay) {
        self.store = store
        self.replay = replay
    }

    package func began(_ exchange: Exchange) -> UInt64 { self.store.began(exchange) }

    package func ended(_ exchange: Exchange, at place: UInt64) { self.store.ended(exchange, at: place) }

    /// - Parameter tunnel: Takes the place of the one with its number.
    package func opened(_ tunnel: HTTPTunnel) {
        self.open.withLockedValue { $0[tunnel.number] = tunnel }
        self.store.tunnelsChanged()
    }

    package func closed(_ number: TunnelNumber) {
        guard self.open.withLockedValue({ $0.removeValue(forKey: number) }) != nil else { return }
        self.store.tunnelsChanged()
    }

    package var tunnels: [HTTPTunnel] {
        self.open.withLockedValue { $0.values.sorted { $0.number.value < $1.number.value } }
    }

    /// Also for exchanges of a tunnel that is closed by now.
    package func name(of exchange: Exchange) -> String {
        self.open.withLockedValue { $0[exchange.tunnel]?.name } ?? HTTPTunnel.host(of: exchange.url)
    }

    // MARK: Requests

    package func answer(_ method: HTTPMethod, _ uri: String, body: ByteBuffer) -> Answer {
        let parts = uri.split(separator: "?", maxSplits: 1, omittingEmptySubsequences: false)
        let path = parts[0].split(separator: "/").map { PercentCoding.decoded(String($0)) }
        let query = Query(parts.count > 1 ? parts[1] : "")
        let isRead = method == .GET || method == .HEAD
        switch (path.first ?? "", path.dropFirst().joined(separator: "/"), isRead) {
        case ("", _, true): return InspectorPage.answer
        case ("api", "tunnels", true): return self.listTunnels()
        case ("api", "events", true): return .events
        case ("api", "har", true): return self.archive(query)
        case ("api", "requests/http", true): return self.list(query)
        case ("api", "requests/http", false) where method == .POST: return self.replay(body)
        case ("api", "requests/http", false) where method == .DELETE:
            self.store.clear()
            return .response(.noContent, [:], ByteBuffer())
        case ("api", _, true) where path.count == 3 && path[1] == "tunnels": return self.tunnel(path[2])
        case ("api", _, true) where path.count >= 4 && path[1] == "requests" && path[2] == "http":
            return self.detail(path[3], Array(path.dropFirst(4)), query)
        case ("api", _, false): return Self.refusal(.methodNotAllowed, "\(method.rawValue) is not for \(parts[0]).")
        default: return Self.refusal(.notFound, "There is nothing at \(parts[0]).")
        }
    }

    package static func refusal(_ status: HTTPResponseStatus, _ sentence: String) -> Answer {
        var json = JSONWriter()
        json.object {
            $0.member("status_code", UInt(status.code))
            $0.member("msg", sentence)
        }
        return .response(status, ["Content-Type": "application/json"], json.bytes)
    }

    private static func json(_ write: (inout JSONWriter) -> Void) -> Answer {
        var json = JSONWriter()
        write(&json)
        return .response(.ok, ["Content-Type": "application/json"], json.bytes)
    }

    // MARK: Tunnels

    private func listTunnels() -> Answer {
        Self.json { json in
            json.object { json in
                json.member("tunnels", array: { json in for tunnel in self.tunnels { self.write(tunnel, into: &json) } })
                json.member("uri", "/api/tunnels")
            }
        }
    }

    private func tunnel(_ name: String) -> Answer {
        guard let tunnel = self.tunnels.first(where: { $0.name == name }) else {
            return Self.refusal(.notFound, "No tunnel is called \(name).")
        }
        return Self.json { self.write(tunnel, into: &$0) }
    }

    package func write(_ tunnel: HTTPTunnel, into json: inout JSONWriter) {
        json.object { json in
            json.member("name", tunnel.name)
            json.member("ID", tunnel.id)
            json.member("uri", "/api/tunnels/\(PercentCoding.encodedSegment(tunnel.name))")
            json.member("public_url", tunnel.url)
            json.member("proto", String(tunnel.url.prefix { $0 != ":" }))
            json.member("config", object: { json in
                json.member("addr", tunnel.service)
                json.member("inspect", true)
            })
            json.member("metrics", object: { json in
                json.member("http", object: { $0.member("count", self.store.total(of: tunnel.number)) })
            })
        }
    }

    // MARK: Exchanges

    private func list(_ query: Query) -> Answer {
        let limit = query["limit"].flatMap { Int($0) } ?? Self.listLimit
        guard limit >= 0 else { return Self.refusal(.badRequest, "limit is a number.") }
        let named = query["tunnel_name"].flatMap { $0.isEmpty ? nil : $0 }
        let entries = self.store.entries().lazy.filter { named == nil || self.name(of: $0.exchange) == named }.prefix(limit)
        return Self.json { json in
            json.object { json in
                json.member("uri", "/api/requests/http")
                json.member("requests", array: { json in
                    for entry in entries {
                        ExchangeText(exchange: entry.exchange, reveals: query.reveals)
                            .write(tunnel: self.name(of: entry.exchange), into: &json)
                    }
                })
            }
        }
    }

    private func detail(_ id: String, _ more: [String], _ query: Query) -> Answer {
        guard let exchange = self.store.entry(id)?.exchange else {
            return Self.refusal(.notFound, "No request \(id) is kept: the last \(InspectorStore.capacity) are.")
        }
        switch more {
        case []:
            return Self.json { ExchangeText(exchange: exchange, reveals: query.reveals).write(tunnel: self.name(of: exchange), into: &$0) }
        case ["curl"]:
            let text = CurlCommand.text(exchange, reveals: query.reveals)
            return .response(.ok, ["Content-Type": "text/plain; charset=utf-8"], ByteBuffer(string: text + "\n"))
        case ["request", "body"]: return Self.download(exchange.requestBody, exchange.request.id + "-request")
        case ["response", "body"]: return Self.download(exchange.responseBody, exchange.request.id + "-response")
        default: return Self.refusal(.notFound, "A request has curl, request/body and response/body.")
        }
    }

    /// Never shown by a browser as what it claims to be: it would be a stranger's page with the inspector's name.
    private static func download(_ body: CapturedBody, _ name: String) -> Answer {
        .response(
            .ok, ["Content-Type": "application/octet-stream", "Content-Disposition": "attachment; filename=\"\(name).bin\""],
            body.beginning)
    }

    private func archive(_ query: Query) -> Answer {
        let entries: [InspectorStore.Entry]
        if let id = query["id"] {
            guard let entry = self.store.entry(id) else { return Self.refusal(.notFound, "No request \(id) is kept.") }
            entries = [entry]
        } else {
            entries = self.store.entries().reversed()
        }
        return .response(
            .ok, ["Content-Type": "application/json", "Content-Disposition": "attachment; filename=\"ws-tunnel.har\""],
            HARExport.archive(entries, reveals: query.reveals))
    }

    private func replay(_ body: ByteBuffer) -> Answer {
        do {
            let wanted = try ReplayRequest(try JSONValue(body))
            guard let exchange = self.store.entry(wanted.id)?.exchange else {
                return Self.refusal(.notFound, "No request \(wanted.id) is kept.")
            }
            let tunnels = self.tunnels
            let chosen = tunnels.first { tunnel in
                if let name = wanted.tunnel { tunnel.name == name } else { tunnel.number == exchange.tunnel }
            }
            guard let tunnel = chosen else { return Self.refusal(.notFound, "\(wanted.tunnel ?? "Its tunnel") is not open.") }
            let (request, body) = try wanted.applied(to: exchange)
            self.replay(request, body, tunnel.number, exchange.request.id)
            return .response(.noContent, [:], ByteBuffer())
        } catch let error as ReplayRequest.Refusal {
            return Self.refusal(.badRequest, error.sentence)
        } catch {
            return Self.refusal(.badRequest, "The request is not JSON: \(error).")
        }
    }
}

/// What follows the question mark.
private struct Query {
    private let pairs: [(name: String, value: String)]

    init(_ text: Substring) {
        self.pairs = text.split(separator: "&").map { pair in
            let parts = pair.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            return (PercentCoding.decoded(String(parts[0])), parts.count > 1 ? PercentCoding.decoded(String(parts[1])) : "")
        }
    }

    subscript(name: String) -> String? { self.pairs.first { $0.name == name }?.value }

    /// Whether the reader asks for what is hidden otherwise.
    var reveals: Bool { self["reveal"] == "true" || self["reveal"] == "1" }
}
