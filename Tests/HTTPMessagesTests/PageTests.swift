import Foundation
import HTTPMessages
import NIOCore
import NIOHTTP1
import Testing

struct PageTests {
    private static let pages: [Page] = [
        .noSuchTunnel(host: "a.example.com"), .noDomain, .clientAway(host: "a"), .resuming(host: "a"), .unwell(host: "a"), .busy,
        .unauthorized, .forbidden, .tooLarge(limit: 10), .refused(MessageRefusal(400, "it has no Host")),
        .serviceUnreachable(service: "127.0.0.1:3000", host: "a"), .noAnswer(service: "127.0.0.1:3000"),
        .timedOut(service: "127.0.0.1:3000"), .invalidAnswer(service: "127.0.0.1:3000", MessageRefusal(502, "it has both lengths")),
        .interrupted,
    ]

    @Test(arguments: pages) func `every page comes in three forms, as long as it says`(page: Page) throws {
        for (accept, type) in [("text/html", "text/html; charset=utf-8"), ("application/json", "application/json"), ("*/*", "text/plain; charset=utf-8")] {
            let (head, body) = page.response(accept: [accept], id: "req-1")
            #expect(head.status == page.status && !head.reason.isEmpty && head.reason != "Error")
            #expect(head.fields["Content-Type"] == [type])
            #expect(head.fields["Cache-Control"] == ["no-store"] && head.fields["X-Request-Id"] == ["req-1"])
            #expect(head.body == .bytes(UInt64(body.readableBytes)))
            #expect(String(buffer: body).contains("req-1"))
        }
        #expect(Set(Self.pages.map(\.code)).count == Self.pages.count)
    }

    @Test(arguments: pages) func `a page fetches nothing from elsewhere`(page: Page) {
        let text = String(buffer: page.response(accept: ["text/html"], id: "id").body)
        for word in ["<script", "<link", "<img", "url(", "http://", "https://", "@import"] { #expect(!text.contains(word)) }
        #expect(text.contains("prefers-color-scheme: dark"))
    }

    @Test(arguments: pages) func `JSON can be read, and says what a script needs`(page: Page) throws {
        let body = page.response(accept: ["application/json"], id: "a\"\\\u{1}").body
        let object = try #require(try JSONSerialization.jsonObject(with: Data(body.readableBytesView)) as? [String: Any])
        #expect(object["error"] as? String == page.code && object["requestId"] as? String == "a\"\\\u{1}")
        #expect(object["status"] as? Int == Int(page.status) && (object["message"] as? String)?.isEmpty == false)
    }

    @Test func `what comes from outside cannot become markup, or steer a terminal`() {
        let page = Page.noSuchTunnel(host: "<script>alert('x')</script>\"&\u{1B}[2J")
        let html = String(buffer: page.response(accept: ["text/html"], id: "<b>").body)
        #expect(html.contains("&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt;&quot;&amp;") && !html.contains("<script>") && !html.contains("<b>"))
        #expect(!String(buffer: page.response(accept: [], id: "id").body).contains("\u{1B}"))
    }

    @Test(arguments: [
        (["text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"], "text/html; charset=utf-8"),
        (["*/*"], "text/plain; charset=utf-8"), ([], "text/plain; charset=utf-8"), (["application/json"], "application/json"),
        (["application/problem+json"], "application/json"), (["text/html;q=0.1, application/json"], "application/json"),
        (["text/html;q=0"], "text/plain; charset=utf-8"), (["application/json;q=0.5", "text/html;q=0.50"], "application/json"),
        (["text/plain, text/html"], "text/plain; charset=utf-8"), (["TEXT/HTML; Q=1.000"], "text/html; charset=utf-8"),
        ([";;;,,q=,text/html;q=x"], "text/plain; charset=utf-8"),
    ]) func `the form is the one that is wanted most`(accept: [String], type: String) {
        #expect(Page.busy.response(accept: accept, id: "id").head.fields["Content-Type"] == [type])
    }

    @Test func `a visitor is told when to come again, and for what to be asked`() {
        #expect(Page.resuming(host: "a").response(accept: [], id: "id").head.fields["Retry-After"] == ["5"])
        #expect(Page.unauthorized.response(accept: [], id: "id").head.fields["WWW-Authenticate"].first?.hasPrefix("Basic realm=") == true)
        #expect(Page.serviceUnreachable(service: "s", host: "a").response(accept: [], id: "id").head.failure == .unreachable)
        #expect(String(buffer: Page.serviceUnreachable(service: "127.0.0.1:3000", host: "a").response(accept: [], id: "i").body).contains("is 127.0.0.1:3000 running?"))
    }
}
