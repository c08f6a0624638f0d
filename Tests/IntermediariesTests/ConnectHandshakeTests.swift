import Intermediaries
import struct NIOCore.ByteBuffer
import Testing
import WebSocketProtocol

@Suite struct ConnectHandshakeTests {
    private func handshake(_ credentials: ProxyCredentials? = nil) throws -> ConnectHandshake {
        try ConnectHandshake(host: "tunnel.example.com", port: 8443, credentials: credentials, agent: "test/1")
    }

    private func answer(_ text: String) throws -> ProxyProgress {
        var handshake = try self.handshake()
        var bytes = ByteBuffer(string: text)
        let progress = try handshake.receive(&bytes)
        #expect(bytes.readableBytes == 0)
        return progress
    }

    private func refusal(_ text: String) throws -> ConnectRefusal {
        do {
            _ = try self.answer(text)
        } catch ProxyRefusal.status(let refusal) {
            return refusal
        }
        throw ProxyRefusal.notSOCKS
    }

    @Test func `the request has the target with its port, a Host, and Basic if there are credentials`() throws {
        var plain = try self.handshake()
        #expect(
            String(buffer: plain.start())
                == "CONNECT tunnel.example.com:8443 HTTP/1.1\r\nHost: tunnel.example.com:8443\r\nUser-Agent: test/1\r\n\r\n")
        var known = try self.handshake(ProxyCredentials(user: "user", password: "p@ss:w0rd"))
        #expect(String(buffer: known.start()).contains("\r\nProxy-Authorization: Basic dXNlcjpwQHNzOncwcmQ=\r\n"))
        var six = try ConnectHandshake(host: "2001:db8::1", port: 443, credentials: nil, agent: "test/1")
        #expect(String(buffer: six.start()).hasPrefix("CONNECT [2001:db8::1]:443 HTTP/1.1\r\nHost: [2001:db8::1]:443\r\n"))
    }

    @Test func `a host that no Host field can carry is refused`() {
        #expect(throws: UnwritableRequest.host) {
            try ConnectHandshake(host: "a\r\nb", port: 1, credentials: nil, agent: "test/1")
        }
    }

    @Test func `any 2xx will do, and what comes with it is discarded`() throws {
        #expect(try self.answer("HTTP/1.1 200 Connection established\r\n\r\n") == .established)
        #expect(try self.answer("HTTP/1.0 204\r\nContent-Length: 5\r\n\r\nhello") == .established)
        #expect(try self.answer("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n\r\njunk") == .established)
    }

    @Test func `cut anywhere it comes to the same`() throws {
        let text = Array("HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\nVia: 1.1 proxy\r\n\r\n".utf8)
        for cut in 0..<text.count {
            var handshake = try self.handshake()
            var (head, tail) = (ByteBuffer(bytes: text[..<cut]), ByteBuffer(bytes: text[cut...]))
            #expect(try handshake.receive(&head) == .wantsMore)
            #expect(try handshake.receive(&tail) == .established)
        }
    }

    @Test func `407 tells the schemes apart from their parameters`() throws {
        let schemes: [(String, [String])] = [
            ("Basic realm=\"corp, inc\"", ["Basic"]), ("Negotiate, NTLM", ["Negotiate", "NTLM"]),
            ("NTLM TlRMTVNTUAACAAAA==, basic realm=\"a\\\", Digest b\", charset=\"UTF-8\"", ["NTLM", "basic"]),
            ("Digest realm=\"x\", qop=\"auth,auth-int\" , nonce = abc,Basic realm=x", ["Digest", "Basic"]),
            ("", []), (",,", []), ("\"", []),
        ]
        for (value, expected) in schemes {
            let refusal = try self.refusal("HTTP/1.0 407 Proxy Auth\r\nProxy-Authenticate: \(value)\r\n\r\n")
            #expect(refusal.schemes == expected, "\(value)")
            #expect(refusal.offersBasic == expected.contains { $0.lowercased() == "basic" })
        }
        let lines = try self.refusal("HTTP/1.1 407 A\r\nProxy-Authenticate: Negotiate\r\nproxy-authenticate: NTLM\r\n\r\n")
        #expect(lines.schemes == ["Negotiate", "NTLM"])
    }

    @Test func `a refusal says who answered, fit for a terminal`() throws {
        let refusal = try self.refusal("HTTP/1.1 403 For\u{9B}bidden\r\nServer: squid/5.7\r\nVia: 1.1 other\r\n\r\n<html>")
        #expect(refusal.status == 403)
        #expect(refusal.reason == "Forbidden")
        #expect(refusal.agent == "squid/5.7")
        #expect(try self.refusal("HTTP/1.1 302 Found\r\nVia: 1.1 gate\r\n\r\n").agent == "1.1 gate")
        #expect(try self.refusal("HTTP/1.1 500 \(String(repeating: "x", count: 4_000))\r\n\r\n").reason.count == 200)
    }

    @Test func `what is not HTTP is refused, and refused again`() throws {
        var handshake = try self.handshake()
        var bytes = ByteBuffer(string: "SSH-2.0-OpenSSH\r\n")
        #expect(throws: ProxyRefusal.notHTTP(.malformedStartLine)) { try handshake.receive(&bytes) }
        bytes.writeString("HTTP/1.1 200 OK\r\n\r\n")
        #expect(throws: ProxyRefusal.notHTTP(.malformedStartLine)) { try handshake.receive(&bytes) }
        #expect(throws: ProxyRefusal.tooManyInterimResponses) {
            try self.answer(String(repeating: "HTTP/1.1 102 Processing\r\n\r\n", count: 9))
        }
    }

    @Test func `no success follows a refusal`() throws {
        var handshake = try self.handshake()
        var bytes = ByteBuffer(string: "HTTP/1.1 403 Forbidden\r\n\r\nHTTP/1.1 200 OK\r\n\r\n")
        #expect(throws: ProxyRefusal.self) { try handshake.receive(&bytes) }
        bytes.writeString("HTTP/1.1 200 OK\r\n\r\n")
        #expect(throws: ProxyRefusal.self) { try handshake.receive(&bytes) }
    }
}
