import HTTPMessages
import NIOHTTP1
import Testing

struct FieldEditsTests {
    @Test func `fields are removed, replaced and added, in this order`() throws {
        var edits = FieldEdits()
        try edits.add(line: "X-New:  a: b ")
        try edits.replace(line: "Server: mine")
        try edits.remove("X-Powered-By")
        try edits.add("Set-Cookie", "b")
        var fields: HTTPHeaders = ["Host": "a", "server": "theirs", "SERVER": "again", "x-powered-by": "x", "Set-Cookie": "a"]
        edits.apply(to: &fields)
        #expect(fields.map { "\($0.name): \($0.value)" } == ["Host: a", "Set-Cookie: a", "Server: mine", "X-New: a: b", "Set-Cookie: b"])
    }

    @Test(arguments: [
        "Content-Length: 3", "transfer-encoding: chunked", "Connection: close", "Upgrade: x", "Host: a", "TE: trailers", "Content_Length: 3",
        "X Y: z", ": z", "X", "X: a\r\nb", "X: a\0",
    ])
    func `an edit that would change the framing, or cannot be written, is refused`(line: String) {
        var edits = FieldEdits()
        #expect(throws: FieldEditError.self) { try edits.add(line: line) }
        #expect(edits.isEmpty)
    }

    @Test func `Host is kept, the service's, or a chosen one`() throws {
        var fields: HTTPHeaders = ["Host": "a", "X": "y"]
        HostHeader("preserve")?.apply(to: &fields, service: "127.0.0.1:3000")
        #expect(fields["Host"] == ["a"])
        HostHeader("rewrite")?.apply(to: &fields, service: "127.0.0.1:3000")
        #expect(fields["Host"] == ["127.0.0.1:3000"] && fields.first?.name == "Host")
        HostHeader("local.test:80")?.apply(to: &fields, service: "127.0.0.1:3000")
        #expect(fields["Host"] == ["local.test:80"] && fields.count == 2)
        #expect(HostHeader("a b") == nil && HostHeader("") == nil && HostHeader("a\r\nb") == nil)
    }
}
