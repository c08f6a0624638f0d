internal import struct NIOCore.ByteBuffer

extension Link {
    package mutating func receive(_ output: FrameDecoder.Output) throws(PeerViolation) {
        switch output {
        case .data(let id, let bytes, let isLast):
            try self.receive(bytes, on: id, isLast: isLast)
        case .frame(let frame):
            try self.requireNothingUnfinished()
            try self.receive(frame)
            self.received += 1
        case .ignored:
            try self.requireNothingUnfinished()
            self.received += 1
        }
        self.countReceived(0)
    }

    /// The peer has received this many frames of the link.
    package mutating func acknowledge(_ count: UInt64) throws(PeerViolation) {
        try self.replay.acknowledge(count)
    }

    /// Part of a DATA frame. Of a frame that an earlier connection had brought in part, that part is left out.
    private mutating func receive(_ bytes: ByteBuffer, on id: StreamID, isLast: Bool) throws(PeerViolation) {
        guard self.unfinished == nil || self.unfinished == id else { throw Self.notRepeated }
        self.unfinished = id
        for part in self.withheld.receive(bytes, isLast: isLast) { try self.handOn(part, on: id) }
        guard isLast else { return }
        guard self.brought == self.handedOn else { throw Self.notRepeated }
        self.brought = 0
        self.handedOn = 0
        self.unfinished = nil
        self.received += 1
    }

    private mutating func handOn(_ bytes: ByteBuffer, on id: StreamID) throws(PeerViolation) {
        var bytes = bytes
        let count = bytes.readableBytes
        let known = min(count, self.handedOn - self.brought)
        self.brought += count
        if known > 0 { bytes.moveReaderIndex(forwardBy: known) }
        self.handedOn = max(self.handedOn, self.brought)
        self.bytesUntold += count
        try self.receive(bytes, on: id)
    }

    private func requireNothingUnfinished() throws(PeerViolation) {
        guard self.unfinished == nil else { throw Self.notRepeated }
    }

    private static let notRepeated = PeerViolation(
        .acknowledgement, "a frame that was cut off was not sent again as it was")

    private mutating func receive(_ bytes: ByteBuffer, on id: StreamID) throws(PeerViolation) {
        guard let stream = self.streams[id] else { return try self.requireKnown(id, "DATA") }
        try stream.receive(bytes.readableBytes)
        if bytes.readableBytes > 0 { self.events.append(.data(id, bytes)) }
    }

    private mutating func receive(_ frame: Frame) throws(PeerViolation) {
        switch frame {
        case .open(let open): try self.receive(open)
        case .opened(let id):
            guard self.isOwn(id) else { throw PeerViolation(.streamState, "OPENED for its own stream \(id)") }
            try self.requireKnown(id, "OPENED")
            guard let stream = self.streams[id] else { return }
            guard !stream.isConnected else { throw PeerViolation(.streamState, "OPENED twice on stream \(id)") }
            stream.isConnected = true
            self.events.append(.connected(id))
        case .finish(let id):
            try self.requireKnown(id, "FIN")
            guard let stream = self.streams[id] else { return }
            try stream.finishReceived()
            self.events.append(.finished(id))
            self.removeIfFinished(stream)
        case .reset(let id, let code):
            try self.requireKnown(id, "RESET")
            if self.remove(id) { self.events.append(.reset(id, code)) }
        case .credit(let id, let bytes):
            try self.requireKnown(id, "CREDIT")
            guard bytes > 0 else { throw PeerViolation(.flowControl, "CREDIT of 0 bytes on stream \(id)") }
            guard let stream = self.streams[id] else { return }
            try stream.addCredit(bytes)
            if stream.hasSomethingToSend { self.scheduler.enqueue(stream) }
            if stream.takesBytesAgain(upTo: self.queueLimit) { self.events.append(.sendable(id)) }
        case .listen(let listen):
            guard self.role == .server else { throw PeerViolation(.unexpectedFrame, "LISTEN from a server") }
            self.events.append(.listen(listen))
        case .listening(let listening):
            guard self.role == .client else { throw PeerViolation(.unexpectedFrame, "LISTENING from a client") }
            self.events.append(.listening(listening))
        case .refused(let refused):
            guard self.role == .client else { throw PeerViolation(.unexpectedFrame, "REFUSED from a client") }
            self.events.append(.refused(refused))
        case .unlisten(let tunnel): self.events.append(.unlisten(tunnel))
        case .health(let tunnel, let isWell): self.events.append(.health(tunnel, isWell: isWell))
        case .hello, .welcome, .acknowledgement, .ping, .pong, .goAway:
            preconditionFailure("a connection's frame reached its link")
        }
    }

    private mutating func receive(_ open: Frame.Open) throws(PeerViolation) {
        let id = open.stream
        guard !self.isOwn(id), id.value > self.highestPeerStream else {
            throw PeerViolation(.streamState, "OPEN of stream \(id), which is not a new one of the sender's")
        }
        self.highestPeerStream = id.value
        guard self.peerStreams < self.terms.streams else {
            self.send(.reset(id, .tooManyStreams))
            return
        }
        self.peerStreams += 1
        self.streams[id] = self.newStream(id)
        self.events.append(.opened(open))
    }
}
