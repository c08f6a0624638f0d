import Foundation
import NIOCore
import Testing
import TunnelClient

@Suite struct JSONValueTests {
    @Test func `values of every kind are read`() throws {
        let text = #" {"a":[1,-0.5e+1,true,false,null,[]],"b":{"c":"\u0041\ud83d\ude00\n\/\"é"}, "":0} "#
        #expect(try JSONValue(ByteBuffer(string: text)) == .object([
            "a": .array([.number(1), .number(-5), .bool(true), .bool(false), .null, .array([])]),
            "b": .object(["c": .string("A😀\n/\"é")]), "": .number(0),
        ]))
    }

    @Test(arguments: [
        "", " ", "{", "[", "[1", "[1,", "[1,]", "{\"a\"", "{\"a\":}", "{\"a\":1,}", "{a:1}", "{'a':1}", "\"", "\"\\", "\"\\x\"", "\"\\u12\"", "\"\\ud83d\"",
        "\"\\ud83d\\u0041\"", "\"\\udc00\"", "\"\u{1}\"", "\"\n\"", "01", "1.", ".5", "+1", "-", "1e", "1e999", "nul", "True", "1 2", "{} x", "NaN",
        "{\"a\":1,\"a\":2}", "// c\n1", "\u{FEFF}1", "\"\\u00 1\"",
    ])
    func `what is not JSON is refused`(text: String) {
        #expect(throws: JSONValue.Malformed.self) { try JSONValue(ByteBuffer(string: text)) }
    }

    @Test func `every prefix of a text is refused`() throws {
        let text = #"{"id":"1","headers":[["a","\u00e9"]],"n":-1.5e3,"t":true}"#
        for count in 0..<text.utf8.count {
            #expect(throws: JSONValue.Malformed.self) { try JSONValue(ByteBuffer(bytes: text.utf8.prefix(count))) }
        }
        _ = try JSONValue(ByteBuffer(string: text))
    }

    @Test func `bytes that are not UTF-8 and what is nested too deeply are refused`() {
        #expect(throws: JSONValue.Malformed.self) { try JSONValue(ByteBuffer(bytes: [0x22, 0xFF, 0x22])) }
        let deep = String(repeating: "[", count: 100_000)
        #expect(throws: JSONValue.Malformed.self) { try JSONValue(ByteBuffer(string: deep)) }
        let allowed = String(repeating: "[", count: JSONValue.depthLimit) + String(repeating: "]", count: JSONValue.depthLimit)
        #expect(throws: Never.self) { try JSONValue(ByteBuffer(string: allowed)) }
    }

    @Test func `what is written is read as the same by others`() throws {
        let odd = "quote \" back \\ line\n\r\t null\u{0} del\u{7F} c1\u{9B} sep\u{2028} é 😀 </script>"
        var json = JSONWriter()
        json.object { json in
            json.member(odd, odd)
            json.member("list", array: { json in
                json.value(1)
                json.null()
                json.value(true)
                json.array { _ in }
                json.object { $0.member("a", -5) }
                json.milliseconds(.microseconds(1_042))
            })
        }
        #expect(!json.text.contains("\n"))
        let read = try #require(try JSONSerialization.jsonObject(with: Data(json.text.utf8)) as? [String: Any])
        #expect(read[odd] as? String == odd)
        let list = try #require(read["list"] as? [Any])
        #expect(list.count == 6)
        #expect(list[5] as? Double == 1.042)
        #expect(try JSONValue(json.bytes)[odd] == .string(odd))
    }
}
