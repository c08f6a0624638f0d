"""Steady traffic in both directions of many streams, each byte of it checked.

    traffic.py serve                         listens on a free port, prints it, takes any number of connections
    traffic.py visit PORT STREAMS RATE       so many streams, so many bytes a second each way, until standard input ends

A visitor first says its seed and its rate (8 bytes each). Then each direction carries blocks:

    seed (8)   number (8)   length (4)   kind (4)   bytes, cut from a pool at a place that follows from seed and number

and a block of kind 1 at the end, before the end of file; the service ends its direction after the visitor has. A block of
kind 2 says that nothing follows for a while; the service answers with its own, and goes on when the visitor does. Whatever
was held up is made up for, so the rate holds on average. Both sides print one JSON line for each stream when it is over,

    {"event": "stream", "verdict": "intact", "sent": ..., "received": ..., "silence": <the longest, in milliseconds>}

and the visitor {"event": "flowing"} once bytes have come back on all of them. Other verdicts: "lost", "doubled", "damaged",
"cut off", each with what was found where. On its standard input the visitor takes orders, one a line:

    carry BYTES     {"event": "carried"} once all streams that are open have sent so many more, and received as many
    rest            {"event": "resting"} once neither side has anything under way any more
    flow            goes on after that
"""
import json, os, random, selectors, socket, struct, sys, time

BLOCK = 16_384
HEADER = struct.Struct("!QQII")
GREETING = struct.Struct("!QQ")
POOL = random.Random("the same on both sides").randbytes(1 << 20)
DATA, END, REST = 0, 1, 2


def contents(seed, number, length):
    place = (seed + number * 7_919) % (len(POOL) - BLOCK)
    return POOL[place:place + length]


class Wrong(Exception):
    pass


class Stream:
    def __init__(self, connection, visitor=None):
        self.connection = connection
        connection.setblocking(False)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.is_visitor = visitor is not None
        self.out, self.sent, self.ending, self.said_end, self.finished = bytearray(), 0, False, False, False
        self.coming, self.received, self.ended, self.heard_out = bytearray(), 0, False, False
        self.heard, self.silence = time.monotonic(), 0
        # Since when nothing is to be sent; whether that has been said, and the other side has said the same.
        self.rested, self.said_rest, self.heard_rest = None, False, False
        if visitor:
            self.begin(*visitor)
            self.out += GREETING.pack(*visitor)
        else:
            self.seed = None

    def begin(self, seed, rate):
        self.seed, self.rate, self.start = seed, rate, time.monotonic()
        # The two directions differ.
        self.mine, self.theirs = (seed, seed ^ 1) if self.is_visitor else (seed ^ 1, seed)

    def send(self, now):
        """Whatever is due; ends by itself once it is to."""
        if self.seed is None or self.finished:
            return
        for _ in range(16):
            if not self.out:
                if self.said_end:
                    self.connection.shutdown(socket.SHUT_WR)
                    self.finished = True
                    return
                if self.ending:
                    self.out += HEADER.pack(self.mine, self.sent, 0, END)
                    self.said_end = True
                elif self.rested is not None:
                    if self.said_rest:
                        return
                    self.out += HEADER.pack(self.mine, self.sent, 0, REST)
                    self.said_rest = True
                elif self.sent * BLOCK <= (now - self.start) * self.rate:
                    self.out += HEADER.pack(self.mine, self.sent, BLOCK, DATA) + contents(self.mine, self.sent, BLOCK)
                    self.sent += 1
                else:
                    return
            try:
                del self.out[:self.connection.send(self.out)]
            except BlockingIOError:
                return

    def rest(self, now):
        self.rested, self.said_rest, self.heard_rest = now, False, False

    def flow(self, now):
        self.start += now - self.rested
        self.heard, self.rested = now, None

    @property
    def is_resting(self):
        return self.said_rest and self.heard_rest and not self.out

    def receive(self, now):
        part = self.connection.recv(1 << 18)
        if not part:
            if not self.ended:
                raise Wrong("cut off", f"end of file after {self.received} blocks")
            if self.coming:
                raise Wrong("damaged", "more after the end")
            self.heard_out = True
            return
        if self.received and self.rested is None:
            self.silence = max(self.silence, now - self.heard)
        self.heard = now
        self.coming += part
        if self.seed is None:
            if len(self.coming) < GREETING.size:
                return
            self.begin(*GREETING.unpack(self.coming[:GREETING.size]))
            del self.coming[:GREETING.size]
        place = 0
        while len(self.coming) - place >= HEADER.size:
            seed, number, length, kind = HEADER.unpack_from(self.coming, place)
            where = f"block {number} where block {self.received} should be"
            if seed != self.theirs or length > BLOCK or kind > REST or self.ended:
                raise Wrong("damaged", f"no header of this stream after {self.received} blocks")
            if number != self.received:
                raise Wrong("lost" if number > self.received else "doubled", where)
            if len(self.coming) - place - HEADER.size < length:
                break
            place += HEADER.size
            if self.coming[place:place + length] != contents(seed, number, length):
                raise Wrong("damaged", f"other bytes in block {number}")
            place += length
            if kind == REST:
                self.heard_rest = True
                if not self.is_visitor:
                    self.rest(now)
                continue
            if self.rested is not None and not self.is_visitor:
                self.flow(now)
            if kind == DATA:
                self.received += 1
            else:
                self.ended = True
                # The service answers the end with its own.
                self.ending = True
        del self.coming[:place]

    def round(self, now, is_readable):
        """Returns whether the stream is over, and then has said how."""
        try:
            if is_readable:
                self.receive(now)
            self.send(now)
            if not (self.heard_out and self.finished):
                return False
            self.say("intact")
        except Wrong as wrong:
            self.say(*wrong.args)
        except OSError as error:
            self.say("cut off", f"{type(error).__name__} after {self.received} blocks")
        return True

    def say(self, verdict, detail=""):
        line = {
            "event": "stream", "verdict": verdict, "detail": detail, "sent": self.sent * BLOCK,
            "received": self.received * BLOCK, "silence": int(self.silence * 1_000),
        }
        os.write(1, f"{json.dumps(line)}\n".encode())


class Orders:
    """What the visitor is told, and what it answers once all streams have done it."""

    def __init__(self, streams):
        self.streams, self.text, self.awaited = streams, b"", []
        self.expect("flowing", lambda stream: stream.received)

    def expect(self, event, is_done):
        self.awaited.append((event, is_done))

    def take(self, now):
        part = os.read(0, 4_096)
        *lines, self.text = (self.text + part).split(b"\n")
        for line in lines:
            order, *arguments = line.decode().split()
            if order == "carry":
                more = int(arguments[0]) // BLOCK
                goals = {stream: (stream.sent + more, stream.received + more) for stream in self.streams}
                self.expect("carried", lambda stream, goals=goals: all(
                    count >= goal for count, goal in zip((stream.sent, stream.received), goals[stream])))
            elif order == "rest":
                for stream in self.streams:
                    stream.rest(now)
                self.expect("resting", lambda stream: stream.is_resting)
            elif order == "flow":
                for stream in self.streams:
                    stream.flow(now)
        if not part:
            for stream in self.streams:
                stream.ending = True
        return bool(part)

    def answer(self):
        for entry in list(self.awaited):
            event, is_done = entry
            if self.streams and all(map(is_done, self.streams)):
                self.awaited.remove(entry)
                os.write(1, f'{json.dumps({"event": event})}\n'.encode())


def main():
    selector = selectors.DefaultSelector()
    streams, listener, orders = set(), None, None
    if sys.argv[1] == "serve":
        listener = socket.create_server(("127.0.0.1", 0), backlog=1_024)
        print(f"port {listener.getsockname()[1]}", flush=True)
        selector.register(listener, selectors.EVENT_READ, "listener")
    else:
        port, count, rate = map(int, sys.argv[2:5])
        for _ in range(count):
            visitor = (random.getrandbits(64), rate)
            streams.add(Stream(socket.create_connection(("127.0.0.1", port)), visitor))
        orders = Orders(streams)
        selector.register(sys.stdin, selectors.EVENT_READ, "orders")
        for stream in streams:
            selector.register(stream.connection, selectors.EVENT_READ, stream)

    while streams or listener:
        # A block is due every few milliseconds: rounds follow the clock, not the sockets.
        ready = selector.select(timeout=0.005 if streams else None)
        now = time.monotonic()
        for key, _ in ready:
            if key.data == "listener":
                stream = Stream(listener.accept()[0])
                streams.add(stream)
                selector.register(stream.connection, selectors.EVENT_READ, stream)
            elif key.data == "orders" and not orders.take(now):
                selector.unregister(sys.stdin)
        readable = {key.data for key, _ in ready if isinstance(key.data, Stream)}
        for stream in list(streams):
            is_over = stream.round(now, stream in readable)
            if (is_over or stream.heard_out) and stream.connection in selector.get_map():
                selector.unregister(stream.connection)
            if is_over:
                stream.connection.close()
                streams.discard(stream)
        if orders:
            orders.answer()


main()
