internal import struct NIOCore.ByteBuffer

/// Takes the lines of an HTTP head off a stream of bytes.
///
/// Each byte is looked at once, when it comes, and is then the scanner's: a head that trickles in costs what it would
/// have cost at once, and the buffer's reader index is right behind the last line taken. What no line may hold is
/// refused as it comes, without waiting for a line's end: a TLS hello sent to a plain port fails on its first byte.
struct LineScanner: Sendable {
    private let lineLimit: Int
    private let headLimit: Int
    private var line: [UInt8] = []
    private var endsInCarriageReturn = false
    private var headLength = 0

    init(limits: WebSocketLimits) {
        self.lineLimit = limits.line
        self.headLimit = limits.head
    }

    /// The next line without its CRLF, or nil when all bytes were taken and it is still unfinished.
    mutating func nextLine(from bytes: inout ByteBuffer) throws(HeadError) -> [UInt8]? {
        var taken = 0
        defer { bytes.moveReaderIndex(forwardBy: taken) }
        for byte in bytes.readableBytesView {
            taken += 1
            if try self.finishesLine(byte) {
                defer { self.line.removeAll(keepingCapacity: true) }
                return self.line
            }
        }
        return nil
    }

    /// The head is over: what follows is counted from zero.
    mutating func beginNextHead() {
        self.headLength = 0
    }

    private mutating func finishesLine(_ byte: UInt8) throws(HeadError) -> Bool {
        guard self.headLength < self.headLimit else { throw .headTooLong(limit: self.headLimit) }
        self.headLength += 1
        if self.endsInCarriageReturn {
            guard byte == HTTPSyntax.lineFeed else { throw .bareCarriageReturn }
            self.endsInCarriageReturn = false
            return true
        }
        // RFC 9112 §2.2 lets a recipient take LF alone for a line's end. Two readers that differ on it are smuggled
        // past.
        guard byte != HTTPSyntax.lineFeed else { throw .bareLineFeed }
        if byte == HTTPSyntax.carriageReturn {
            self.endsInCarriageReturn = true
            return false
        }
        guard !HTTPSyntax.isControl(byte) else { throw .controlCharacter(byte) }
        guard self.line.count < self.lineLimit else { throw .lineTooLong(limit: self.lineLimit) }
        self.line.append(byte)
        return false
    }
}
