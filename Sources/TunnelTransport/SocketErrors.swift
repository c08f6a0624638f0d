internal import NIOCore

/// A socket error in words: the system's own text, without the wrapping.
package func describe(_ error: any Error) -> String {
    switch error {
    case let error as IOError:
        return systemMessage(error.errnoCode)
    case let error as ChannelError:
        if case .connectTimeout = error { return "timed out" }
        return "\(error)"
    case let error as SocketAddressError.UnknownHost:
        return error.host.isEmpty ? "no host is named" : "the name \(error.host) does not resolve"
    default:
        return "\(error)"
    }
}
