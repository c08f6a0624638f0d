internal import TunnelProtocol

/// The ports to try for one tunnel, in order: the wanted one, then, unless it is required, any other the policy has.
struct PortCandidates: IteratorProtocol {
    private var wanted: UInt16?
    private var rest: [UInt16]

    init(_ listen: Frame.Listen, _ policy: ServerConfiguration.PortPolicy) {
        self.wanted = listen.port.flatMap { policy.allows($0) ? $0 : nil }
        if listen.portIsRequired, listen.port != nil {
            self.rest = []
        } else {
            switch policy {
            // Port 0: the system picks a free one.
            case .any: self.rest = [0]
            // In random order, so that a port's number says nothing about who else is here.
            case .range(let range): self.rest = range.shuffled()
            }
        }
    }

    mutating func next() -> UInt16? {
        if let wanted = self.wanted {
            self.wanted = nil
            return wanted
        }
        return self.rest.popLast()
    }
}

extension ServerConfiguration.PortPolicy: CustomStringConvertible {
    func allows(_ port: UInt16) -> Bool {
        switch self {
        // Below lie the ports of the system's own services.
        case .any: port >= 1_024
        case .range(let range): range.contains(port)
        }
    }

    public var description: String {
        switch self {
        case .any: "any from 1024"
        case .range(let range): "\(range.lowerBound)-\(range.upperBound)"
        }
    }
}
