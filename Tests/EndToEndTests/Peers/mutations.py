"""Seeded mutations of HTTP requests against a server with a tunnel, whose service is in this program.

    mutations.py SEED        prints "port N", the service's; then obeys lines of standard input:

    run PORT HOST FIRST COUNT      COUNT mutations from number FIRST on, against the server at PORT

Each mutation is a connection: one to four requests, changed in a way that follows from SEED and its number, sent in pieces,
then the end of the visitor's direction. A strict reading of the same bytes (class Reading below: RFC 9112 without any of its
leniencies) says which requests the sender meant. Smuggled is whatever reaches the service and is none of these, or reaches
it twice. Refusing more than the reading does is the server's right.

Prints {"event": "ran", "mutations": ..., "meant": ..., "arrived": ..., "untouched": ..., "untouchedArrived": ...,
"statuses": {...}, "faults": [...]}; each fault names its mutation, and

    mutations.py SEED show N HOST PORT     prints the bytes of mutation N.
"""
import collections, json, random, socket, sys, threading, time
import origin

TOKEN = origin.TOKEN
DIGITS = frozenset(b"0123456789")
HEX = frozenset(b"0123456789abcdefABCDEF")
WORKERS = 8
EXPECTED = {200, 400, 404, 405, 408, 411, 413, 414, 417, 421, 426, 431, 501, 505}


class Refused(Exception):
    pass


class Incomplete(Exception):
    pass


# What the sender meant


class Reading:
    """The requests in some bytes, as only one reader of them can see them."""

    def __init__(self, data, authority):
        self.data, self.place = data, 0
        self.host = authority.split(":")[0]
        self.complete, self.partial = [], None
        self.is_clean = False
        try:
            while self.place < len(data):
                if not self.request():
                    return
            self.is_clean = True
        except (Refused, Incomplete):
            pass

    def line(self):
        end = self.data.find(b"\n", self.place)
        if end < 0:
            raise Incomplete()
        line = self.data[self.place:end]
        if not line.endswith(b"\r"):
            raise Refused("a bare LF")
        line = line[:-1]
        if b"\r" in line or b"\0" in line:
            raise Refused("a CR or NUL")
        self.place = end + 1
        return line

    def fields(self):
        fields = []
        while line := self.line():
            name, colon, value = line.partition(b":")
            if not colon or not name or any(byte not in TOKEN for byte in name):
                raise Refused("a field's name, obs-fold or blanks among them")
            value = value.strip(b" \t")
            if any(byte < 32 and byte != 9 or byte == 127 for byte in value):
                raise Refused("a control character")
            fields.append((name.lower(), value))
        return fields

    def request(self):
        """Reads one; whether another may follow."""
        while self.data.startswith(b"\r\n", self.place):
            self.place += 2
        if self.place >= len(self.data):
            return False
        words = self.line().split(b" ")
        if len(words) != 3 or not words[0] or any(byte not in TOKEN for byte in words[0]):
            raise Refused("a request line")
        method, target, version = words
        if version not in (b"HTTP/1.1", b"HTTP/1.0"):
            raise Refused("a version")
        if not target or any(byte <= 32 or byte == 127 for byte in target):
            raise Refused("a target")
        fields = self.fields()
        hosts = [value for name, value in fields if name == b"host"]
        if len(hosts) != 1 or not hosts[0]:
            raise Refused("not one Host")
        host = self.bare(hosts[0])
        if target[:7].lower() == b"http://" or target[:8].lower() == b"https://":
            authority, slash, path = target.partition(b"://")[2].partition(b"/")
            if self.bare(authority) != host:
                raise Refused("a target of another host")
            target = b"/" + path
        if not target.startswith(b"/") and not (target == b"*" and method == b"OPTIONS"):
            raise Refused("a target's form")
        lengths = [value for name, value in fields if name == b"content-length"]
        codings = [value for name, value in fields if name == b"transfer-encoding"]
        if len(lengths) + len(codings) > 1 or codings and version == b"HTTP/1.0":
            raise Refused("more than one framing")
        if codings and codings[0].lower() != b"chunked":
            raise Refused("a Transfer-Encoding")
        if lengths and (not lengths[0] or any(byte not in DIGITS for byte in lengths[0]) or len(lengths[0]) > 18):
            raise Refused("a Content-Length")
        is_ours = host == self.host.encode()
        if is_ours:
            self.partial = (method, target)
        if lengths:
            body = self.take(int(lengths[0]))
        elif codings:
            body = self.chunks()
        else:
            body = b""
        self.partial = None
        if is_ours:
            # As much as the service tells of it.
            self.complete.append((method, target, body if len(body) <= 4096 else b""))
        options = [option.strip().lower() for name, value in fields if name == b"connection" for option in value.split(b",")]
        return version == b"HTTP/1.1" and b"close" not in options or version == b"HTTP/1.0" and b"keep-alive" in options

    @staticmethod
    def bare(authority):
        host = authority.lower()
        name, colon, port = host.rpartition(b":")
        if colon and all(byte in DIGITS for byte in port):
            host = name
        return host[:-1] if host.endswith(b".") else host

    def take(self, count):
        if len(self.data) - self.place < count:
            raise Incomplete()
        self.place += count
        return self.data[self.place - count:self.place]

    def chunks(self):
        body = b""
        while True:
            size = self.line()
            size, semicolon, extension = size.partition(b";")
            if any(byte < 32 and byte != 9 or byte == 127 for byte in extension):
                raise Refused("a chunk's extension")
            size = size.rstrip(b" \t") if semicolon else size
            if not size or any(byte not in HEX for byte in size) or len(size) > 15:
                raise Refused("a chunk's size")
            if int(size, 16) == 0:
                self.fields()
                return body
            body += self.take(int(size, 16))
            if self.take(2) != b"\r\n":
                raise Refused("a chunk's end")


# What is sent


LENGTHS = [b"+%d", b"-%d", b"0x%d", b"%d ", b" %d", b"%d,%d", b"%d, %d", b"0%d", b"%d\x00", b"%d\x0b", b"\x0b%d", b"", b"%d.0", b"%de0",
           b"1844674407370955161%d", b"99999999999999999999999999999%d", b"%d;", b"%d\r", b"%d\n", b"%d_0"]
CODINGS = [b"chunked", b"Chunked", b"CHUNKED", b"xchunked", b"chunkedx", b"chunked, identity", b"identity, chunked", b"identity", b"chunked,",
           b",chunked", b"chunked, chunked", b"gzip, chunked", b"chunked;q=1", b"\"chunked\"", b"chunked\x00", b"\x0bchunked", b"chunked\x0b",
           b"", b"\tchunked", b"chunked\t", b"chunked\r", b"\xffchunked", b"ch\xc5\xabnked"]
NAMES = [b"Transfer-Encoding ", b" Transfer-Encoding", b"Transfer_Encoding", b"Transfer-Encoding\t", b"Transfer-Encoding\x00", b"transfer-encoding",
         b"Transfer\rEncoding", b"X: y\nTransfer-Encoding", b"X: y\rTransfer-Encoding", b"Content-Length ", b"Content_Length", b"content-length",
         b"X: y\r\n Transfer-Encoding", b"X: y\r\n\tContent-Length", b"\x0bTransfer-Encoding", b"Content-Length\x0b", b"T\xe7ransfer-Encoding"]
SIZES = [b"0x%x", b"+%x", b"-%x", b" %x", b"%x ", b"0%x", b"%x;a=b", b"%x;a=\"b", b"%x ;a", b"%x\t", b"%x\n", b"%x\r", b"%x;\n", b"10000000000000000%x",
         b"%xg", b"", b"%x\x00", b"%x;\x00", b"%x,", b"%x;a\rb"]
EXTRAS = [b"Connection: close", b"Connection: keep-alive", b"Connection: Host", b"Connection: Content-Length", b"Connection: Transfer-Encoding",
          b"Connection: X-Forwarded-For, close", b"Expect: 100-continue", b"Expect: 200-maybe", b"Upgrade: h2c", b"Connection: Upgrade\r\nUpgrade: websocket",
          b"TE: trailers", b"Trailer: Content-Length", b"Proxy-Connection: keep-alive", b"Keep-Alive: timeout=1", b"X-Forwarded-Host: elsewhere",
          b"X-HTTP-Method-Override: DELETE", b"HTTP2-Settings: AAAA", b"Host: second", b"host:", b"Content-Length: 0", b": empty", b"Name", b"X" * 9000 + b": y",
          b"X: " + b"y" * 20_000, b"Sec-WebSocket-Protocol: ws-tunnel.1"]
METHODS = [b"GET", b"POST", b"PUT", b"DELETE", b"OPTIONS", b"PATCH", b"HEAD", b"get", b"CONNECT", b"TRACE", b"PRI", b"G\x00T", b"GE T", b"", b"QUERY"]
VERSIONS = [b"HTTP/1.1", b"HTTP/1.0", b"HTTP/1.2", b"HTTP/2.0", b"HTTP/0.9", b"http/1.1", b"HTTP/1.10", b"HTTP/1.", b"HTTP/11", b"HTTP /1.1", b"", b"HTTP/1.1 ", b"ICY/1.1"]
BYTES = [b"\r", b"\n", b"\r\n", b"\0", b" ", b"\t", b"\x0b", b"\x0c", b"\xff", b":", b";", b",", b"0", b"\r\n\r\n", b"\n\n", b"\r\r\n", b"\x85", b"\x1b", b"\x7f"]


class Mutation:
    def __init__(self, seed, number, authority):
        self.chance = random.Random(f"{seed} {number}")
        self.authority = authority.encode()
        self.token = f"{self.chance.getrandbits(64):016x}".encode()
        self.is_untouched = self.chance.random() < 0.1
        self.changes = []
        parts = [self.request(index) for index in range(self.chance.randint(1, 4))]
        if not self.is_untouched:
            for _ in range(self.chance.choice([1, 1, 1, 2, 2, 3])):
                parts = self.mutate(parts)
        self.data = b"".join(self.text(part) if isinstance(part, dict) else part for part in parts)

    def request(self, index):
        chance = self.chance
        inner = b"GET /t/%s/inner%d HTTP/1.1\r\nHost: %s\r\n\r\n" % (self.token, index, self.authority)
        body = chance.choice([b"", b"", b"x", b"hello, world", inner, inner + inner, b"0\r\n\r\n" + inner, b"\r\n" + inner, chance.randbytes(300)])
        request = {
            "method": b"POST" if body else chance.choice([b"GET", b"GET", b"DELETE"]), "target": b"/t/%s/%d" % (self.token, index),
            "version": b"HTTP/1.1", "fields": [(b"Host", self.authority), (b"User-Agent", b"mutations")], "body": body, "sizes": [], "end": b"0\r\n\r\n",
            "framing": chance.choice(["length", "chunked"]) if body else "none", "first": b"",
        }
        if request["framing"] == "length":
            request["fields"].append((b"Content-Length", b"%d" % len(body)))
        elif request["framing"] == "chunked":
            request["fields"].append((b"Transfer-Encoding", b"chunked"))
            rest = body
            while rest:
                count = chance.randint(1, len(rest))
                request["sizes"].append([b"%x" % count, b"\r\n", rest[:count], b"\r\n"])
                rest = rest[count:]
        chance.shuffle(request["fields"])
        return request

    @staticmethod
    def text(request):
        head = request["first"] + b" ".join([request["method"], request["target"], request["version"]]) + b"\r\n"
        for name, value in request["fields"]:
            head += name + b": " + value + b"\r\n"
        head += b"\r\n"
        if request["framing"] == "chunked":
            return head + b"".join(b"".join(size) for size in request["sizes"]) + request["end"]
        return head + request["body"]

    def mutate(self, parts):
        chance = self.chance
        which = chance.randrange(len(parts))
        part = parts[which]
        kind = chance.choice([
            "bytes", "bytes", "delete", "flip", "slice", "truncate", "length", "coding", "name", "size", "end", "extra", "method", "version", "host",
            "absolute", "fold", "first", "both", "line ends", "target"])
        self.changes.append(kind)
        if kind in ("bytes", "delete", "flip", "slice", "truncate", "line ends") or not isinstance(part, dict):
            data = part if isinstance(part, bytes) else self.text(part)
            parts[which] = self.chop(kind, data) if data else data
            return parts
        fields, count = part["fields"], len(part["body"])

        def put(name, value):
            fields.insert(chance.randrange(len(fields) + 1), (name, value))
        if kind == "length":
            form = chance.choice(LENGTHS)
            number = chance.choice([count, count, 0, 1, max(0, count - 1), count + 1, 5])
            value = form % ((number,) * form.count(b"%d"))
            if chance.random() < 0.5:
                part["fields"] = [(name, value if name == b"Content-Length" else old) for name, old in fields]
            else:
                put(b"Content-Length", value)
        elif kind == "coding":
            if chance.random() < 0.5 and part["framing"] == "chunked":
                value = chance.choice(CODINGS)
                part["fields"] = [(name, value if name == b"Transfer-Encoding" else old) for name, old in fields]
            else:
                put(b"Transfer-Encoding", chance.choice(CODINGS))
        elif kind == "name":
            put(chance.choice(NAMES), chance.choice([b"chunked", b"%d" % count, b"0", b"5"]))
        elif kind == "size" and part["sizes"]:
            size = chance.choice(part["sizes"])
            form = chance.choice(SIZES)
            number = chance.choice([len(size[2]), len(size[2]), 0, len(size[2]) + 2, len(size[2]) - 1])
            size[0] = form % number if b"%x" in form else form
        elif kind == "end" and part["framing"] == "chunked":
            if part["sizes"] and chance.random() < 0.5:
                chance.choice(part["sizes"])[chance.choice([1, 3])] = chance.choice([b"", b"\n", b"\r", b"\n\r", b"\r\n\r\n", b"xx", b"x\r\n", b"\0\0"])
            else:
                part["end"] = chance.choice([
                    b"", b"0\r\n", b"0\n\n", b"0\r\n\n", b"0\r\r\n", b"00000\r\n\r\n", b"0;x\r\n\r\n", b"0\r\nX: y\r\n\r\n", b"0\r\nContent-Length: 9\r\n\r\n",
                    b"0\r\nHost: other\r\n\r\n", b"0\r\nX\r\n\r\n", b"0\r\n X: y\r\n\r\n", b"0\r\nX: a\0b\r\n\r\n", b"-0\r\n\r\n", b"0x0\r\n\r\n", b"0 \r\n\r\n",
                    b"0\r\nTransfer-Encoding: chunked\r\n\r\n", b"0\r\nX: y\n\r\n"])
        elif kind == "extra":
            name, _, value = chance.choice(EXTRAS).partition(b": ")
            put(name, value)
        elif kind == "method":
            part["method"] = chance.choice(METHODS)
        elif kind == "version":
            part["version"] = chance.choice(VERSIONS)
        elif kind == "host":
            value = chance.choice([
                b"", b"other.localhost", self.authority + b".", self.authority.upper(), b" ", b"a, b", self.authority + b"@x", b"x@" + self.authority,
                self.authority + b"/", b"[::1]", self.authority + b"\0", self.authority.replace(b".", b"..", 1), self.authority + b":1"])
            if chance.random() < 0.5:
                part["fields"] = [(name, value if name == b"Host" else old) for name, old in fields]
            elif chance.random() < 0.5:
                put(b"Host", chance.choice([value, self.authority]))
            else:
                part["fields"] = [(name, old) for name, old in fields if name != b"Host"]
        elif kind == "absolute":
            part["target"] = chance.choice([b"http://", b"https://", b"HTTP://", b"ftp://", b"http:", b"//"]) + chance.choice(
                [self.authority, b"other.localhost", b"", b"user@" + self.authority, self.authority.split(b":")[0]]) + part["target"]
        elif kind == "target":
            part["target"] = chance.choice([
                b"*", b"", b"t/%s/0" % self.token, part["target"] + b"#x", part["target"] + b"?\xff", part["target"] + b"\\", b"/../" + part["target"],
                part["target"] + b"%00", part["target"] + b"%0d%0aHost:%20x", part["target"] + b"\t", part["target"] + b"?" + b"q" * 9000])
        elif kind == "fold":
            index = chance.randrange(len(fields))
            fields[index] = (fields[index][0], fields[index][1] + chance.choice([b"\r\n folded", b"\r\n\tfolded: x", b"\n folded", b"\r folded", b"\r\n "]))
        elif kind == "first":
            part["first"] = chance.choice([b"\r\n", b"\n", b" ", b"\r\n\r\n", b"\0", b"\r", b"\xef\xbb\xbf", b"\t"])
        elif kind == "both":
            put(b"Content-Length", b"%d" % chance.choice([count, 0, 3]))
            put(b"Transfer-Encoding", b"chunked")
        return parts

    def chop(self, kind, data):
        chance = self.chance
        place = chance.randrange(len(data))
        other = chance.randrange(len(data))
        start, end = min(place, other), max(place, other)
        if kind == "delete":
            return data[:place] + data[place + chance.choice([1, 1, 2, 5]):]
        if kind == "flip":
            return data[:place] + bytes([data[place] ^ 1 << chance.randrange(8)]) + data[place + 1:]
        if kind == "slice":
            return data[:end] + data[start:end] + data[end:]
        if kind == "truncate":
            return data[:place]
        if kind == "line ends":
            lines = data.split(b"\r\n")
            spot = chance.randrange(max(1, len(lines) - 1))
            return b"\r\n".join(lines[:spot + 1]) + chance.choice([b"\n", b"\r", b"\r\r\n", b"\n\r", b"\0\r\n", b" \r\n", b"\r\n "]) + b"\r\n".join(lines[spot + 1:])
        return data[:place] + chance.choice(BYTES) + data[place:]

    def pieces(self):
        """What is sent at once, mostly few pieces."""
        cuts = sorted(self.chance.randrange(len(self.data) + 1) for _ in range(self.chance.choice([0, 0, 1, 2, 5])))
        return [piece for piece in (self.data[start:end] for start, end in zip([0] + cuts, cuts + [len(self.data)])) if piece]


# The run


class Run:
    def __init__(self, seed):
        self.seed = seed
        self.lock = threading.Lock()
        self.arrived, self.partial, self.odd = [], [], []
        self.heard = time.monotonic()

    def hear(self, event, **members):
        """The service's log."""
        with self.lock:
            self.heard = time.monotonic()
            if event in ("request", "incomplete"):
                fact = (members["method"].encode("latin-1"), members["target"].encode("latin-1"), members["text"].encode("latin-1"))
                (self.arrived if event == "request" else self.partial).append(fact)
            elif event == "odd":
                self.odd.append(members["message"])

    def go(self, port, authority, first, count):
        self.arrived, self.partial, self.odd = [], [], []
        statuses, faults = collections.Counter(), []
        meant, parts = collections.Counter(), collections.Counter()
        owners = {}
        untouched = []
        queue = iter(range(first, first + count))

        def work():
            while True:
                with self.lock:
                    number = next(queue, None)
                if number is None:
                    return
                mutation = Mutation(self.seed, number, authority)
                reading = Reading(mutation.data, authority)
                with self.lock:
                    for request in reading.complete:
                        meant[request] += 1
                        # Its body may be cut off when the server refuses what follows.
                        parts[request[:2]] += 1
                        owners[request[1]] = number
                    if reading.partial:
                        parts[reading.partial] += 1
                    if mutation.is_untouched:
                        untouched.extend(reading.complete)
                    owners[mutation.token] = number
                codes, fault = self.visit(port, mutation)
                with self.lock:
                    statuses.update(codes)
                    unexpected = [code for code in codes if code not in EXPECTED]
                    if unexpected:
                        fault = fault or f"answered {unexpected}"
                    if fault:
                        faults.append(f"mutation {number} ({', '.join(mutation.changes)}): {fault}")
        workers = [threading.Thread(target=work) for _ in range(WORKERS)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
        # What was sent last may still be on its way.
        while time.monotonic() - self.heard < 1:
            time.sleep(0.1)

        def owner(fact):
            tokens = [word for word in fact[1].split(b"/") if word in owners]
            return owners[tokens[0]] if tokens else owners.get(fact[1], "unknown")
        with self.lock:
            for fact, times in (collections.Counter(self.arrived) - meant).items():
                faults.append(f"mutation {owner(fact)}: smuggled, {times} times more than meant: {fact!r}")
            for fact in (collections.Counter(fact[:2] for fact in self.partial) - parts):
                faults.append(f"mutation {owner(fact)}: smuggled a head: {fact!r}")
            faults += [f"the service got something odd: {what}" for what in self.odd]
            arrived = collections.Counter(self.arrived)
            missing = collections.Counter(untouched) - arrived
            for fact in missing:
                faults.append(f"mutation {owner(fact)}: was good and did not arrive: {fact!r}")
            return {
                "mutations": count, "meant": sum(meant.values()), "arrived": len(self.arrived), "untouched": len(untouched),
                "untouchedArrived": len(untouched) - sum(missing.values()), "statuses": {str(code): n for code, n in sorted(statuses.items())},
                "faults": faults[:40], "faultCount": len(faults),
            }

    def visit(self, port, mutation):
        """The statuses of the answers, and what was wrong with them."""
        data = b""
        try:
            with socket.create_connection(("127.0.0.1", port), timeout=30) as near:
                near.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                try:
                    for piece in mutation.pieces():
                        near.sendall(piece)
                    near.shutdown(socket.SHUT_WR)
                except OSError:
                    # It has been refused and closed.
                    pass
                try:
                    while part := near.recv(65536):
                        data += part
                except socket.timeout:
                    return [], f"nothing for 30 s after {data[:200]!r}"
                except OSError:
                    pass
        except OSError as error:
            return [], f"no connection: {error}"
        return self.answers(data)

    @staticmethod
    def answers(data):
        codes = []
        while data:
            head, empty, rest = data.partition(b"\r\n\r\n")
            lines = head.split(b"\r\n")
            words = lines[0].split(b" ", 2)
            if not empty or not words[0].startswith(b"HTTP/1.") or len(words) < 2 or not words[1].isdigit():
                # A reset may have taken the end of the last answer.
                return codes, None if codes or not data else f"an answer of {data[:100]!r}"
            code = int(words[1])
            if code >= 200:
                codes.append(code)
            elif code == 101:
                return codes, "101 to a service that never says so"
            fields = {name.lower(): value.strip() for name, _, value in (line.partition(b":") for line in lines[1:])}
            if b"content-length" not in fields:
                if code < 200:
                    data = rest
                    continue
                return codes, None
            count = int(fields[b"content-length"])
            # A HEAD's answer has a length and no body.
            data = rest if rest.startswith(b"HTTP/1.") and not rest[count:count + 7] in (b"HTTP/1.", b"") else rest[count:]
        return codes, None


def main():
    seed = sys.argv[1]
    if sys.argv[2:3] == ["show"]:
        mutation = Mutation(seed, int(sys.argv[3]), f"{sys.argv[4]}:{sys.argv[5]}")
        print(mutation.changes, mutation.data, Reading(mutation.data, f"{sys.argv[4]}:{sys.argv[5]}").complete, sep="\n")
        return
    run = Run(seed)
    listener = origin.listen()
    threading.Thread(target=origin.serve, args=(listener, origin.State("smuggled", lambda **members: run.hear(**members))), daemon=True).start()
    print(f"port {listener.getsockname()[1]}", flush=True)
    for line in sys.stdin:
        _, port, host, first, count = line.split()
        print(json.dumps({"event": "ran", **run.go(int(port), host, int(first), int(count))}), flush=True)


main()
