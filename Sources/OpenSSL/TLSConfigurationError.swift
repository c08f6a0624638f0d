/// A certificate, key, authority file or host name that cannot be used: the operator's to mend.
package struct TLSConfigurationError: Error, Equatable, CustomStringConvertible {
    /// A sentence without a full stop; it names the file or value and the cause.
    package let description: String

    init(_ description: String) {
        self.description = description
    }
}
