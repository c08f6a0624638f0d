internal import TunnelProtocol

#if canImport(Glibc)
internal import Glibc
#elseif canImport(Musl)
internal import Musl
#else
internal import Darwin
#endif

/// What the C library says about an errno value, beginning in lower case: "connection refused".
package func systemMessage(_ number: Int32) -> String {
    var text = [CChar](repeating: 0, count: 256)
    #if canImport(Glibc)
    // glibc's own strerror_r returns the text, which may lie elsewhere.
    guard let message = strerror_r(number, &text, text.count) else { return "error \(number)" }
    let sentence = String(cString: message)
    #else
    guard strerror_r(number, &text, text.count) == 0 else { return "error \(number)" }
    let sentence = String(cString: text)
    #endif
    // "Connection refused" but not "SSL error": only a word's first letter is lowered.
    guard let first = sentence.first, let second = sentence.dropFirst().first, second.isLowercase else { return sentence }
    return first.lowercased() + sentence.dropFirst()
}

extension ResetCode {
    /// What a failed connection to a service means for its stream.
    init(errno number: Int32) {
        switch number {
        case ECONNREFUSED, ENOENT: self = .refused
        case ETIMEDOUT: self = .timedOut
        case EHOSTUNREACH, ENETUNREACH, ENETDOWN, EHOSTDOWN, EADDRNOTAVAIL: self = .unreachable
        case ECONNRESET, EPIPE: self = .connectionReset
        default: self = .internalError
        }
    }
}
