internal import struct NIOCore.IOError
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
    guard strerror_r(number, &text, text.count) == 0 else { return "error \(number)" }
    let sentence = String(decoding: text.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    // "Connection refused" but not "SSL error": only a word's first letter is lowered.
    guard let first = sentence.first, let second = sentence.dropFirst().first, second.isLowercase else { return sentence }
    return first.lowercased() + sentence.dropFirst()
}

/// Whether a port could not be opened because somebody has it, or because this user may not have it.
package func isAddressTaken(_ error: any Error) -> Bool {
    guard let error = error as? IOError else { return false }
    return error.errnoCode == EADDRINUSE || error.errnoCode == EACCES
}

/// Likewise, because somebody has it.
package func isAddressInUse(_ error: any Error) -> Bool { (error as? IOError)?.errnoCode == EADDRINUSE }

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
