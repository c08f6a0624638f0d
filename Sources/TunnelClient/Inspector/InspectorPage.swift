internal import NIOCore
internal import NIOHTTP1
internal import OpenSSL
internal import WebSocketProtocol

/// The inspector's page: one answer with everything in it, from the files of the folder Page.
///
/// The page may run its own script and style, known by their digests, and talk to nobody but the inspector; pictures are made of
/// what it has. So whatever a visitor sent stays text.
enum InspectorPage {
    static let answer: InspectorAPI.Answer = {
        let style = PackageResources.inspector_css
        let script = PackageResources.inspector_js
        let policy = [
            "default-src 'none'", "style-src 'sha256-\(Self.digest(style))'", "script-src 'sha256-\(Self.digest(script))'",
            "img-src data: blob:", "connect-src 'self'", "base-uri 'none'", "form-action 'none'", "frame-ancestors 'none'",
        ]
        let page = String(decoding: PackageResources.inspector_html, as: UTF8.self)
        var body = ByteBuffer()
        for part in page.split(separator: "\n", omittingEmptySubsequences: false) {
            switch part {
            case "<style></style>": body.writeString("<style>\(String(decoding: style, as: UTF8.self))</style>\n")
            case "<script></script>": body.writeString("<script>\(String(decoding: script, as: UTF8.self))</script>\n")
            default: body.writeString("\(part)\n")
            }
        }
        return .response(
            .ok,
            ["Content-Type": "text/html; charset=utf-8", "Content-Security-Policy": policy.joined(separator: "; ")], body)
    }()

    private static func digest(_ bytes: [UInt8]) -> String { Base64.encode(Digest.sha256(bytes)) }
}
