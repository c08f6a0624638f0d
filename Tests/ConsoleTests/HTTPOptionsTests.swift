import ArgumentParser
import Logging
import Testing
import TunnelClient
import TunnelTransport

@testable import ws_tunnel_client

/// The options that go with a single --expose.
@Suite struct HTTPOptionsTests {
    /// Each option, and what stands for its value in a key.
    static let options = [
        ("--subdomain", "app", "NAME"), ("--hostname", "app.example.com", "NAME"), ("--group", "blue", "NAME"),
        ("--health-path", "/healthz", "PATH"), ("--host-header", "rewrite", "RULE"), ("--basic-auth", "sam:secret", "PATH"),
        ("--basic-auth-file", "/etc/users", "PATH"), ("--allow-ip", "10.0.0.0/8", "CIDR"), ("--deny-ip", "10.0.0.0/8", "CIDR"),
        ("--add-request-header", "X-A: b", "NAME:VALUE"), ("--remove-request-header", "X-A", "NAME"),
        ("--add-response-header", "X-A: b", "NAME:VALUE"), ("--remove-response-header", "X-A", "NAME"), ("--max-body", "1MiB", "SIZE"),
        ("--timeout", "1.5s", "TIME"),
    ]

    @Test(arguments: Self.options)
    func `with several services the key is named that says the same`(option: String, value: String, placeholder: String) throws {
        let options = try HTTPOptions.parse(["\(option)=\(value)"])
        try options.check(exposures: 1)
        let error = #expect(throws: ValidationError.self) { try options.check(exposures: 2) }
        let message = try #require(error?.message)
        #expect(message.hasPrefix("\(option) goes with a single --expose; with several, write --expose ADDR,"))
        // It is one that there is: put behind an address as it is written there, it says what the option says.
        let key = try #require(message.split(separator: "ADDR,").last).dropLast()
        #expect(key.hasSuffix(placeholder))
        let keyed = try Exposure("http://3000,\(key.dropLast(placeholder.count))\(value)")
        guard option != "--basic-auth" else { return #expect(keyed.http?.credentialsFile == value) }
        var exposures = [try Exposure("http://3000")]
        try options.apply(to: &exposures, environment: [:], Logger(label: "test"))
        #expect(exposures == [keyed])
    }

    @Test(arguments: [(["--group", ""], "--group is empty"), (["--timeout", "0s"], "no time at all")])
    func `what says nothing is refused`(arguments: [String], sentence: String) throws {
        let options = try HTTPOptions.parse(arguments)
        var exposures = [try Exposure("http://3000")]
        let error = #expect(throws: OperatorError.self) { try options.apply(to: &exposures, environment: [:], Logger(label: "test")) }
        #expect(error?.code == .badConfiguration && error?.message.contains(sentence) == true)
    }
}
