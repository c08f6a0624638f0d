package import struct NIOCore.ByteBuffer

/// Parses the heads at the start of a stream, one after the other.
///
///     start line ──▶ field ──empty line──▶ the head, then a start line again
///                    │   ▲
///                    └───┘
///
/// Strict where leniency is how requests are smuggled: CRLF alone ends a line, no folding, no blank before a colon.
/// A parser that has failed fails again.
package struct HeadParser<Head: HTTPHead>: Sendable {
    private var scanner: LineScanner
    private let fieldLimit: Int
    private var head: Head?
    private var failure: HeadError?

    package init(limits: WebSocketLimits = WebSocketLimits()) {
        self.scanner = LineScanner(limits: limits)
        self.fieldLimit = limits.fields
    }

    /// Takes bytes as they come. Returns nil, all bytes taken, until a head is whole; then the head, with the reader
    /// index right behind it.
    package mutating func receive(_ bytes: inout ByteBuffer) throws(HeadError) -> Head? {
        if let failure { throw failure }
        do throws(HeadError) {
            return try self.parse(&bytes)
        } catch {
            self.failure = error
            throw error
        }
    }

    private mutating func parse(_ bytes: inout ByteBuffer) throws(HeadError) -> Head? {
        while let line = try self.scanner.nextLine(from: &bytes) {
            guard self.head != nil else {
                self.head = try Head(startLine: line)
                continue
            }
            if line.isEmpty {
                self.scanner.beginNextHead()
                return self.head.take()
            }
            try self.parseField(line)
        }
        return nil
    }

    private mutating func parseField(_ line: [UInt8]) throws(HeadError) {
        guard let first = line.first, !HTTPSyntax.isBlank(first) else { throw .foldedLine }
        guard let colon = line.firstIndex(of: HTTPSyntax.colon) else { throw .missingColon }
        let name = line[..<colon]
        if let last = name.last, HTTPSyntax.isBlank(last) { throw .blankBeforeColon }
        guard HTTPSyntax.isToken(name) else { throw .malformedFieldName }
        guard let count = self.head?.fields.all.count, count < self.fieldLimit else {
            throw .tooManyFields(limit: self.fieldLimit)
        }
        let value = HTTPSyntax.trimmed(line[(colon + 1)...])
        self.head?.fields.append(String(decoding: name, as: UTF8.self), String(decoding: value, as: UTF8.self))
    }
}
