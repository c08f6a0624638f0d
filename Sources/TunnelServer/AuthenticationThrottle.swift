internal import NIOConcurrencyHelpers
internal import TunnelProtocol
internal import TunnelTransport

/// Slows down who tries keys: each address may fail `burst` times, then once every `refill`. While it has no try left it is
/// refused before its key is looked at.
///
/// An IPv6 address counts as its /64, which is what one site has.
final class AuthenticationThrottle: Sendable {
    /// Enough for somebody who mistypes, a restart loop of a few clients behind one address included.
    static let burst = 10.0
    static let refill = Duration.seconds(6)
    /// About 100 bytes each. When full, the address that was quiet longest is forgotten.
    static let addresses = 4_096

    private struct Record {
        var tries: Double
        var last: Instant
    }

    private let records = NIOLockedValueBox<[Endpoint.Address: Record]>([:])

    /// - Returns: How long the address has to wait before it may try; `nil` when it may now.
    func wait(for address: Endpoint.Address, now: Instant) -> Duration? {
        let key = Self.site(address)
        return self.records.withLockedValue { records in
            guard var record = records[key] else { return nil }
            record = Self.refilled(record, now)
            if record.tries >= Self.burst {
                records[key] = nil
            } else {
                records[key] = record
            }
            return record.tries >= 1 ? nil : Self.refill * (1 - record.tries)
        }
    }

    func failed(_ address: Endpoint.Address, now: Instant) {
        let key = Self.site(address)
        self.records.withLockedValue { records in
            if records[key] == nil, records.count >= Self.addresses,
                let oldest = records.min(by: { $0.value.last < $1.value.last })
            {
                records[oldest.key] = nil
            }
            var record = Self.refilled(records[key] ?? Record(tries: Self.burst, last: now), now)
            record.tries = max(0, record.tries - 1)
            records[key] = record
        }
    }

    private static func refilled(_ record: Record, _ now: Instant) -> Record {
        let earned = (now - record.last) / Self.refill
        return Record(tries: min(Self.burst, record.tries + earned), last: now)
    }

    private static func site(_ address: Endpoint.Address) -> Endpoint.Address {
        switch address {
        case .v4: address
        case .v6(let bytes): .v6(Opaque16(high: bytes.high, low: 0))
        }
    }
}
