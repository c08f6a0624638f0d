import Intermediaries
import Testing
import TunnelClient
import TunnelTransport

/// What `--expose` takes.
@Suite struct ExposureTests {
    @Test(arguments: [
        ("8000", "127.0.0.1:8000"), ("tcp://db:5432", "db:5432"), ("unix:/run/app", "unix:/run/app"), ("[::1]:80", "[::1]:80"),
        ("http://127.0.0.1:3000", "http://127.0.0.1:3000"), ("http://127.0.0.1:3000/", "http://127.0.0.1:3000"),
        ("http://localhost", "http://localhost:80"), ("https://localhost", "https://localhost:443"), ("http://[::1]", "http://[::1]:80"),
        ("http://[::1]:81", "http://[::1]:81"), ("http://3000", "http://127.0.0.1:3000"), ("https://10.0.0.1:8443", "https://10.0.0.1:8443"),
        ("http+unix:/run/app.sock", "http+unix:/run/app.sock"), ("tls://db:5432", "tls://db:5432"), ("tls+unix:/run/x", "tls+unix:/run/x"),
    ])
    func `an address is read with its scheme`(text: String, target: String) throws {
        #expect(try Exposure(text).target == target)
    }

    @Test(arguments: [
        "", "0", "host", "ftp://host:21", "http://", "http://host:0", "http://host:65536", "http://host/path", "http://host?x", "http://u:p@host",
        "http://::1:80", "tls://host", "http+unix:", "http://ho st",
    ])
    func `what is no address is refused`(text: String) {
        #expect(throws: OperatorError.self) { try Exposure(text) }
    }

    @Test func `keys of an HTTP tunnel are read`() throws {
        let exposure = try Exposure(
            """
            http://localhost:3000,name=shop,subdomain=shop,group=blue,health-path=/up?x=1,host-header=rewrite,allow-ip=10.0.0.0/8+::1,\
            deny-ip=10.1.0.0/16,request-header=+X-From: tunnel,request-header=-Cookie,response-header=-Server,max-body=10MiB,timeout=1500ms,\
            basic-auth-file=/etc/users
            """)
        #expect(exposure.name == "shop")
        #expect(exposure.hostname == "shop")
        #expect(exposure.group == "blue")
        let http = try #require(exposure.http)
        #expect(http.healthPath == "/up?x=1")
        #expect(http.hostField == .rewrite)
        #expect(exposure.allowedNetworks == [try CIDR("10.0.0.0/8"), try CIDR("::1")])
        #expect(exposure.deniedNetworks == [try CIDR("10.1.0.0/16")])
        #expect(http.requestFields == [.add(name: "X-From", value: "tunnel"), .remove(name: "Cookie")])
        #expect(http.responseFields == [.remove(name: "Server")])
        #expect(http.maximumBodyBytes == 10 << 20)
        #expect(http.timeout == .milliseconds(1_500))
        #expect(http.credentialsFile == "/etc/users")
    }

    @Test(arguments: [
        "http://a:1,port=80", "http://a:1,send-proxy=v1", "8000,subdomain=a", "8000,health-path=/", "tls://a:1,timeout=3s", "http://a:1,colour=red",
        "http://a:1,subdomain", "http://a:1,subdomain=a.b", "http://a:1,subdomain=-a", "http://a:1,hostname=a", "http://a:1,subdomain=a,hostname=a.b",
        "http://a:1,group=", "http://a:1,health-path=up", "http://a:1,health-path=/a b", "http://a:1,host-header=", "http://a:1,host-header=a b",
        "http://a:1,allow-ip=10.0.0.1/8", "http://a:1,deny-ip=x", "http://a:1,request-header=X:y", "http://a:1,request-header=+Host:y",
        "http://a:1,request-header=-Content-Length", "http://a:1,response-header=+Transfer-Encoding:x", "http://a:1,response-header=+X y:z",
        "http://a:1,max-body=10x", "http://a:1,max-body=-1", "http://a:1,timeout=0s", "http://a:1,timeout=soon", "http://a:1,tls-verify=off",
        "https://a:1,tls-verify=maybe", "http://a:1,timeout=1e-12s", "http://a:1,timeout=-1s", "http://a:1,timeout=nans",
    ])
    func `a key that does not fit is refused`(text: String) {
        #expect(throws: OperatorError.self) { try Exposure(text) }
    }

    @Test(arguments: ["1.5s", "1500ms", "1.5"])
    func `a timeout is read as all spans of time are`(text: String) throws {
        #expect(try Exposure("http://a:1,timeout=\(text)").http?.timeout == .milliseconds(1_500))
    }

    @Test(arguments: [
        ("8000,port=1,port=2", "port"), ("8000,name=a,name=a", "name"), ("8000,send-proxy=v1,send-proxy=v1", "send-proxy"),
        ("http://a:1,subdomain=a,subdomain=b", "subdomain"), ("http://a:1,timeout=1s,timeout=2s", "timeout"),
    ])
    func `a key that is given twice is named`(text: String, key: String) {
        let error = #expect(throws: OperatorError.self) { try Exposure(text) }
        #expect(error?.message.hasSuffix(": \(key) is given twice") == true, "\(error?.message ?? "")")
    }

    @Test func `keys that add to each other may be repeated`() throws {
        let exposure = try Exposure("http://a:1,allow-ip=::1,allow-ip=10.0.0.0/8,deny-ip=::2,deny-ip=::3,response-header=-A,response-header=-B")
        #expect(exposure.allowedNetworks.count == 2 && exposure.deniedNetworks.count == 2)
        #expect(exposure.http?.responseFields.count == 2)
    }

    @Test(arguments: ["wss://localhost:0", "ws://[::1]:0/path"])
    func `no server is at port 0`(text: String) {
        let error = #expect(throws: OperatorError.self) { try ServerURL(text) }
        #expect(error?.code == .badConfiguration && error?.message.hasSuffix("0 is no port") == true)
    }

    @Test(arguments: [
        ("https://localhost", false), ("https://127.9.9.9:1", false), ("https://[::1]", false), ("https://127.example.org", true),
        ("https://example.org", true), ("https://example.org,tls-verify=off", false), ("https://localhost,tls-verify=on", true),
    ])
    func `certificates are verified unless the service is on this machine, or told otherwise`(text: String, verifies: Bool) throws {
        #expect(try Exposure(text).http?.verifiesCertificate == verifies)
    }

    @Test(arguments: ["", "ann", "ann:", ":hunter2", "an\nn:hunter2"])
    func `credentials that are none are refused, and not repeated`(text: String) {
        let error = #expect(throws: OperatorError.self) { try HTTPExposure.Credentials(text) }
        #expect(text.isEmpty || error?.description.contains(text) == false)
    }

    @Test(arguments: [
        "http://3000,request-header=+Authorization:Bearer hunter2,foo=1", "http://3000,request-header=+X:a,hunter2",
        "http://3000,request-header=+Authorization hunter2", "http://ann:hunter2@localhost:80", "tcp://ann:hunter2@localhost", "http://localhost/hunter2@x",
    ])
    func `what may be a secret is not repeated in an error`(text: String) {
        let error = #expect(throws: OperatorError.self) { try Exposure(text) }
        #expect(error?.description.contains("hunter2") == false, "\(error?.description ?? "")")
        let address = text.replacingOccurrences(of: "http", with: "https")
        let other = #expect(throws: OperatorError.self) { try ServerURL(address) }
        #expect(!address.contains("@") || other?.description.contains("hunter2") == false, "\(other?.description ?? "")")
    }

    @Test func `the password begins behind the first colon`() throws {
        #expect(try HTTPExposure.Credentials("a:b:c") == HTTPExposure.Credentials(user: "a", password: "b:c"))
    }
}
