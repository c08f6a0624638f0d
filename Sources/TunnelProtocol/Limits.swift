/// Every bound of the tunnel protocol, with its reason.
package enum Limits {
    /// Changing one of these changes the wire.
    package enum Specification {
        /// Types below this are ignored when unknown; from here on an unknown type ends the connection.
        package static let firstCriticalFrameType: UInt8 = 0x40

        /// Types below this belong to the connection: not numbered, never replayed.
        package static let firstLinkFrameType: UInt8 = 0x10

        /// Bytes of one frame other than DATA: room for every parameter at its own limit and for those of later
        /// versions, small enough to be collected whole.
        package static let controlFrameBytes = 16_384

        /// Bytes of one DATA frame's payload. A sender stays far below (`Implementation.dataFrameBytes`); the bound is
        /// what a receiver must be ready to count.
        package static let dataFrameBytes = 1 << 20

        /// Bytes of an agent name, a client id, a tunnel's label, a URL or a message: one line of a log.
        package static let textBytes = 512

        /// Bytes of a tunnel's policy: some hundred networks, and some dozen credentials. It leaves room for everything else in LISTEN.
        package static let policyBytes = 8_192

        /// The longest time between two PINGs that a client may ask for: a dead one is then noticed after 22.5 minutes.
        package static let pingIntervalMilliseconds: UInt64 = 600_000

        /// A window may not grow beyond this, so that a sum of credits never leaves 62 bits.
        package static let windowBytes: UInt64 = 1 << 40
    }

    /// Changing one of these changes speed and memory, not the wire.
    package enum Implementation {
        /// Where a stream's window starts: 256 KiB carry 20 Mbit/s at 100 ms of round trip.
        package static let initialWindowBytes = 256 * 1024

        /// What windows and replay buffers of one process may add up to beyond where each starts, unless the operator says
        /// otherwise. A quarter of it is what one stream can have on its way: 64 MiB carry 5 Gbit/s at 100 ms. Who asks for more
        /// than there is keeps what it has.
        package static let memoryBudgetBytes = 256 << 20

        /// Streams the peer may hold open at once on one link. A process has at most 20,000 descriptors on a usual
        /// machine, and each stream costs one.
        package static let streams = 16_384

        /// Unsent bytes of one stream at which its socket is no longer read: one frame of the largest kind. Half of it
        /// costs eight busy streams a tenth of their rate.
        package static let streamQueueBytes = 256 * 1024

        /// The same while all streams of a link together have more than `linkQueueBytes` waiting: what 200 of them leave unsent when
        /// nobody reads is then a quarter.
        package static let crowdedQueueBytes = 16 * 1024
        package static let linkQueueBytes = 16 << 20

        /// Payload of one DATA frame while its stream is alone: all that one read of a socket gives. With its own header and the
        /// WebSocket's, 23 bytes at most, it fills 16 TLS records and does not begin a 17th.
        package static let dataFrameBytes = 256 * 1024 - frameHeaderBytes

        /// Room left for both headers of a frame where its size is chosen.
        package static let frameHeaderBytes = 32

        /// Payload of one DATA frame while other streams wait too, and the share of one turn, as long as the line's rate is not
        /// known or low: 16 KiB take 13 ms at 10 Mbit/s, so nobody waits longer than that behind each other stream.
        package static let contendedFrameBytes = 16_384

        /// On a faster line the share is what it carries in this time, up to a whole `dataFrameBytes`: larger frames cost less
        /// on both sides.
        package static let contendedFrameTime = Duration.milliseconds(5)

        /// A piece up to this long is joined to the one it waits behind: copying it costs less than a frame of its own.
        package static let joinedBytes = 1_024

        /// Frames other than DATA that wait to be sent. A peer that makes us answer and does not read the answers is
        /// cut when they pile up. Four for each stream are honest (OPEN or OPENED, CREDIT for each half of a window that
        /// was granted, RESET), and some.
        package static let queuedControlFrames = 4 * streams + 1_024

        /// Frames other than DATA that wait to be sent at which no stream is opened any more. Visitors who come and go
        /// while the connection stands still leave two each; it is not the peer who has to answer for them.
        package static let queuedControlFramesAtOpen = streams

        /// What the frames that the peer has not acknowledged may take, on one link, without a part of the memory budget, before it
        /// takes no more data: 160 Mbit/s at 100 ms of round trip.
        package static let replayBytes = 2 << 20

        /// In such steps a replay buffer grows, as long as the budget has them; four that are not used go back.
        package static let replayStepBytes = 1 << 20

        /// Counted for each frame kept: a small read's buffer (1 KiB), and the entry.
        package static let keptFrameBytes = 1_152

        /// Frames other than DATA still go out beyond what it may hold of data, up to so much more; each answers the peer, who has
        /// then been silent about what it received for a long time.
        package static let replayReserveBytes = 4 << 20

        /// Received bytes, or frames, after which the sender is told: often enough to keep little there, seldom enough to cost
        /// nothing. What is left is told with the next PING or PONG.
        package static let acknowledgedBytes = 256 * 1024
        package static let acknowledgedFrames: UInt64 = 1_024

        /// The last bytes of a DATA frame in part: as many as a Close has at most (RFC 6455 §5.5: 2 of header, 4 of mask, 125).
        package static let withheldBytes = 131

        /// What bulk may leave unacknowledged while somebody waits for short answers, beyond what the line holds by itself: the
        /// step of an acknowledgement, and half of another, so that the next one is always due, however small the frames. 1 Gbit/s takes 3 ms for it.
        package static let attentiveBytes = acknowledgedBytes + acknowledgedBytes / 2

        /// A stream with no more than this to send is not bulk.
        package static let shortBytes = 2_048

        /// Links of one session.
        package static let links: UInt64 = 8

        /// Sessions of one server, those that wait for their client among them: as many as a process has descriptors for. Who
        /// connects and vanishes again and again leaves one each time, for the resume window.
        package static let sessions = 16_384

        /// Tunnels of one session: more than any configuration file lists by hand, few enough to keep a port range.
        package static let tunnels = 256
    }
}
