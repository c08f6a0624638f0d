/// What is wrong with an HTTP head. The other side is at fault, always.
package enum HeadError: Error, Equatable, Sendable {
    case bareLineFeed
    case bareCarriageReturn
    case controlCharacter(UInt8)
    case lineTooLong(limit: Int)
    case headTooLong(limit: Int)
    case tooManyFields(limit: Int)
    case malformedStartLine
    case malformedMethod
    case malformedTarget
    case malformedVersion
    case unsupportedVersion
    case malformedStatus
    case foldedLine
    case missingColon
    case blankBeforeColon
    case malformedFieldName

    /// The status with which a server answers.
    package var status: Int {
        switch self {
        // RFC 6585 §5. The request line too: where its target alone is too long, RFC 9112 §3 has 414, and clients do
        // not tell them apart.
        case .lineTooLong, .headTooLong, .tooManyFields: 431
        case .unsupportedVersion: 505
        case .bareLineFeed, .bareCarriageReturn, .controlCharacter, .malformedStartLine, .malformedMethod,
            .malformedTarget, .malformedVersion, .malformedStatus, .foldedLine, .missingColon, .blankBeforeColon,
            .malformedFieldName:
            400
        }
    }

    package var sentence: String {
        switch self {
        case .bareLineFeed: "a line ends in LF without CR"
        case .bareCarriageReturn: "a CR is not followed by LF"
        case .controlCharacter(let byte): "the head has a control character in it (\(byte))"
        case .lineTooLong(let limit): "a line of the head is longer than \(limit) bytes"
        case .headTooLong(let limit): "the head is longer than \(limit) bytes"
        case .tooManyFields(let limit): "the head has more than \(limit) fields"
        case .malformedStartLine: "the first line is not one of HTTP/1"
        case .malformedMethod: "the method is not a token"
        case .malformedTarget: "the request target has a character that no URI has"
        case .malformedVersion: "the version is not one of HTTP"
        case .unsupportedVersion: "the version is not HTTP/1"
        case .malformedStatus: "the status is not a number from 100 to 599"
        case .foldedLine: "a line begins with a blank, which RFC 9112 §5.2 no longer allows"
        case .missingColon: "a field has no colon"
        case .blankBeforeColon: "a field has a blank before its colon"
        case .malformedFieldName: "the name of a field is not a token"
        }
    }
}
