package import NIOHTTP1

/// Who may use the inspector.
///
/// It listens on loopback, where every program of this machine can reach it, and so can every web page that a browser here shows.
/// A page of another site is kept out twice: it does not get the inspector's name (a name of its own that leads to 127.0.0.1, "DNS
/// rebinding", is refused by Host), and it may not write (Origin, Sec-Fetch-Site, and a media type that a form cannot send). No
/// answer has fields that would allow it to read (CORS).
package enum InspectorAccess {
    package struct Refusal: Error, Equatable, Sendable {
        package let status: HTTPResponseStatus
        package let sentence: String
    }

    /// - Parameters:
    ///   - host: The address that is listened on, an IPv6 address without brackets.
    ///   - port: Likewise.
    package static func check(_ head: HTTPRequestHead, host: String, port: Int) throws(Refusal) {
        let hosts = head.headers["Host"]
        let names = ["127.0.0.1", "[::1]", "localhost", host.contains(":") ? "[\(host)]" : host]
        let own = Set(names.flatMap { port == 80 ? [$0, "\($0):80"] : ["\($0):\(port)"] })
        guard hosts.count == 1, own.contains(hosts[0].lowercased()) else {
            throw Refusal(status: .forbidden, sentence: "The inspector is at http://\(names[3]):\(port) only, under no other name.")
        }
        let path = head.uri.prefix { $0 != "?" }
        guard path == "/api" || path.hasPrefix("/api/") else { return }
        let sites = head.headers["Sec-Fetch-Site"]
        let isRead = head.method == .GET || head.method == .HEAD
        // "none": somebody typed the address.
        guard sites.allSatisfy({ $0 == "same-origin" || isRead && $0 == "none" }) else {
            throw Refusal(status: .forbidden, sentence: "Pages of other sites may not use the inspector.")
        }
        guard !isRead else { return }
        let origins = head.headers["Origin"]
        guard origins.allSatisfy({ $0 == "http://\(hosts[0].lowercased())" }) else {
            throw Refusal(status: .forbidden, sentence: "Pages of other sites may not use the inspector.")
        }
        guard head.method == .POST else { return }
        let type = head.headers.first(name: "Content-Type")?.split(separator: ";").first?.trimmed.lowercased()
        guard type == "application/json" else {
            throw Refusal(status: .unsupportedMediaType, sentence: "Send application/json.")
        }
    }
}

extension Substring {
    fileprivate var trimmed: Substring {
        var text = self.drop { $0 == " " || $0 == "\t" }
        while text.last == " " || text.last == "\t" { text.removeLast() }
        return text
    }
}
