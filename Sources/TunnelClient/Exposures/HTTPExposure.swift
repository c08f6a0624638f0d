internal import HTTPMessages
public import TunnelTransport

/// What an HTTP tunnel does with the requests for its service, and whom it lets pass.
public struct HTTPExposure: Sendable, Hashable {
    /// Which Host the service sees.
    public enum HostField: Sendable, Hashable {
        /// The one the visitor asked for.
        case preserve
        /// The service's own address.
        case rewrite
        /// This one.
        case value(String)
    }

    /// A change to the fields of a head. Removals come first, so that removing and adding replaces.
    public enum FieldEdit: Sendable, Hashable {
        case add(name: String, value: String)
        case remove(name: String)
    }

    /// Who may pass, by HTTP's Basic authentication (RFC 7617).
    public struct Credentials: Sendable, Hashable {
        /// Without a colon.
        public var user: String
        public var password: String

        public init(user: String, password: String) {
            self.user = user
            self.password = password
        }
    }

    /// Whether the service speaks TLS.
    public var isSecure: Bool
    /// Whether the service's certificate has to be good for its host, by the system's authorities.
    public var verifiesCertificate: Bool
    public var hostField: HostField
    /// Visitors who show one of these pass; empty: nobody is asked. They leave this machine only as salted hashes.
    public var credentials: [Credentials]
    /// A file with further credentials, `user:password` on each line; it is read when the client starts.
    public var credentialsFile: String?
    /// Done to each request before the service gets it.
    public var requestFields: [FieldEdit]
    /// Done to each response of the service.
    public var responseFields: [FieldEdit]
    /// Bytes of a request's body; `nil`: any number.
    public var maximumBodyBytes: UInt64?
    /// How long the service may be silent before its response begins: without taking anything of the request, without answering.
    public var timeout: Duration
    /// A path that answers 2xx or 3xx while the service is well; asked every five seconds. `nil`: it is taken to be well.
    public var healthPath: String?

    /// Reverse proxies commonly wait a minute.
    public static let usualTimeout = Duration.seconds(60)

    public init(
        isSecure: Bool = false, verifiesCertificate: Bool = true, hostField: HostField = .preserve, credentials: [Credentials] = [],
        credentialsFile: String? = nil, requestFields: [FieldEdit] = [],
        responseFields: [FieldEdit] = [], maximumBodyBytes: UInt64? = nil, timeout: Duration = Self.usualTimeout,
        healthPath: String? = nil
    ) {
        self.isSecure = isSecure
        self.verifiesCertificate = verifiesCertificate
        self.hostField = hostField
        self.credentials = credentials
        self.credentialsFile = credentialsFile
        self.requestFields = requestFields
        self.responseFields = responseFields
        self.maximumBodyBytes = maximumBodyBytes
        self.timeout = timeout
        self.healthPath = healthPath
    }
}

extension HTTPExposure.FieldEdit {
    /// Fields that say where a message ends and what becomes of its connection (RFC 9110 §7.6.1, RFC 9112 §6), and Host, which has a
    /// rule of its own.
    private static let fixed: Set<String> = [
        "host", "connection", "content-length", "expect", "keep-alive", "proxy-connection", "te", "trailer", "transfer-encoding", "upgrade",
    ]

    /// - Throws: A sentence, for a name or a value that HTTP does not allow, or that is not for a user to change.
    static func check(_ name: String, _ value: String) throws(Invalid) {
        guard HTTPText.isToken(name) else { throw Invalid(sentence: "\(name) is not the name of a field") }
        guard HTTPText.isValue(value) else { throw Invalid(sentence: "the value for \(name) has a control character in it") }
        guard !self.fixed.contains(name.lowercased()) else {
            throw Invalid(sentence: "\(name) cannot be changed this way: it belongs to the connection")
        }
    }

    struct Invalid: Error {
        let sentence: String
    }

    /// `Name: value`
    public static func adding(_ text: String) throws(OperatorError) -> Self {
        let parts = text.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
        guard parts.count == 2 else {
            throw OperatorError(.badConfiguration, "a header field has no colon in it", remedy: "Write Name: value.")
        }
        let (name, value) = (String(parts[0]), parts[1].trimmed)
        do {
            try self.check(name, value)
        } catch {
            throw OperatorError(.badConfiguration, error.sentence)
        }
        return .add(name: name, value: value)
    }

    /// `Name`
    public static func removing(_ name: String) throws(OperatorError) -> Self {
        do {
            try self.check(name, "")
        } catch {
            throw OperatorError(.badConfiguration, error.sentence)
        }
        return .remove(name: name)
    }

    /// `+Name:value` or `-Name`
    init(_ text: some StringProtocol) throws(OperatorError) {
        switch text.first {
        case "+": self = try .adding(String(text.dropFirst()))
        case "-": self = try .removing(String(text.dropFirst()))
        default:
            throw OperatorError(.badConfiguration, "\(text) neither adds nor removes a field", remedy: "Write +Name:value or -Name.")
        }
    }
}

extension HTTPExposure.Credentials {
    /// `user:password`; everything behind the first colon is the password.
    public init(_ text: some StringProtocol) throws(OperatorError) {
        let parts = text.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
        // Nothing of the text is repeated: it may be a password.
        guard parts.count == 2, !parts[0].isEmpty, !parts[1].isEmpty, HTTPText.isValue(String(text)) else {
            throw OperatorError(
                .badConfiguration, "the credentials for visitors are not a user and a password", remedy: "Write user:password.")
        }
        self.init(user: String(parts[0]), password: String(parts[1]))
    }
}

extension Substring {
    /// Without blanks and tabs around it.
    fileprivate var trimmed: String {
        var text = self
        while let first = text.first, first == " " || first == "\t" { text.removeFirst() }
        while let last = text.last, last == " " || last == "\t" { text.removeLast() }
        return String(text)
    }
}
