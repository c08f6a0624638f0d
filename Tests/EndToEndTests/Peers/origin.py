"""A service that speaks HTTP/1.1 by hand: it answers in many ways, and says what it was asked, byte for byte.

    origin.py [name=NAME] [port=N] [unix=PATH] [tls=CERTIFICATE,KEY]

Prints "port N", then one JSON object for each connection and each request:

    {"event": "connection", "connection": 1}
    {"event": "request", "name": ..., "connection": 1, "head": <the head as it came>, "method": ..., "target": ...,
     "fields": [[name, value], ...], "bytes": <of the body>, "adler32": ..., "trailers": [[name, value], ...]}
    {"event": "odd", ...}           something that no good proxy sends
    {"event": "incomplete", ...}    a request whose body ended too early
    {"event": "gone", ...}          the other side left while an answer was being written or waited for

Paths, by their beginning:

    /echo           the request's line as JSON, with the body as text when it is short
    /bytes/N        N bytes of the pattern; ?chunked, or ?close for a body until the end of the connection
    /upload         whether the body is the pattern
    /hold           waits for an order `release` before it answers
    /answer-later   takes the head, answers after `release`, and reads the body then
    /answer-unread  takes the head, answers after `release`, and reads the body after another
    /hang-up        answers an upgrade, ends its direction, and says what it hears before the other one ends
    /events         Server-Sent Events: the first at once, each further one after `release`, ?all for three at once
    /websocket      a WebSocket that sends back what it gets
    /die            ?length=N&after=M, ?chunked&after=M: leaves in the middle of its body; ?head leaves before it says anything
    /http10         an answer of HTTP/1.0 without a length
    /trailers       chunked, with a trailer field
    /hints          103 Early Hints, then 200
    /status/N       an answer with this status
    /redirect       to /echo
    /refuse         403 as soon as the head is there, the body unread, and the end of the connection
    /refuse-and-read  403 at once; the body is read afterwards
    /raw?HEX        exactly these bytes, and the end of the connection; /raw-open?HEX leaves it open
    /page           HTML with a hundred assets, a WebSocket and an EventSource; its title tells what came of them
    /health         200, or what the order `health N` said

Orders on standard input, one a line: `release`, `health N`, and `say N`, which is repeated as {"event": "said", "number": N}. The end
of standard input means nothing.
"""
import base64, hashlib, json, socket, ssl, struct, sys, threading, urllib.parse, zlib
from pattern import Pattern

TOKEN = frozenset(b"!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz")
REASONS = {200: "OK", 204: "No Content", 302: "Found", 304: "Not Modified", 403: "Forbidden", 404: "Not Found", 503: "Service Unavailable"}


class Odd(Exception):
    """The other side broke the rules."""


class Gone(Exception):
    """The other side left."""


class State:
    def __init__(self, name="origin", say=None):
        self.name = name
        self.say = say or self.print
        self.condition = threading.Condition()
        self.released, self.health, self.connections = 0, 200, 0
        self.printing = threading.Lock()

    def print(self, **members):
        line = json.dumps(members)
        with self.printing:
            print(line, flush=True)

    def wait(self, seen):
        """Until one more `release` than `seen`."""
        with self.condition:
            self.condition.wait_for(lambda: self.released > seen, timeout=120)

    def obey(self, order):
        if order.startswith("say "):
            return self.say(event="said", number=int(order.split()[1]))
        with self.condition:
            if order == "release":
                self.released += 1
            elif order.startswith("health "):
                self.health = int(order.split()[1])
            self.condition.notify_all()


class Connection:
    def __init__(self, socket, state, number):
        self.socket, self.state, self.number = socket, state, number
        self.buffer = b""

    # Reading

    def more(self):
        part = self.socket.recv(1 << 18)
        if not part:
            raise Gone()
        return part

    def head(self):
        """Bytes up to and with the empty line; nothing at the end of the connection."""
        while (end := self.buffer.find(b"\r\n\r\n")) < 0:
            if len(self.buffer) > 1 << 20:
                raise Odd("a head without end")
            part = self.socket.recv(1 << 16)
            if not part:
                if self.buffer:
                    raise Odd("the connection ended in a head")
                return None
            self.buffer += part
        head, self.buffer = self.buffer[:end + 4], self.buffer[end + 4:]
        return head

    def line(self):
        while (end := self.buffer.find(b"\r\n")) < 0:
            if len(self.buffer) > 1 << 16:
                raise Odd("a line without end")
            self.buffer += self.more()
        line, self.buffer = self.buffer[:end], self.buffer[end + 2:]
        if b"\r" in line or b"\n" in line or b"\0" in line:
            raise Odd("a bare CR or LF, or NUL, in a line")
        return line

    def take(self, count, sink):
        while count:
            if not self.buffer:
                self.buffer = self.more()
            part, self.buffer = self.buffer[:count], self.buffer[count:]
            sink(part)
            count -= len(part)

    def body(self, fields, sink):
        """Feeds the body to `sink`; returns the trailers."""
        lengths = [value for name, value in fields if name.lower() == "content-length"]
        codings = [value for name, value in fields if name.lower() == "transfer-encoding"]
        if len(lengths) + len(codings) > 1:
            raise Odd("more than one framing")
        if lengths:
            if not lengths[0].isascii() or not lengths[0].isdigit():
                raise Odd("a Content-Length that is none")
            self.take(int(lengths[0]), sink)
        if not codings:
            return []
        if codings[0] != "chunked":
            raise Odd("a Transfer-Encoding other than chunked")
        while True:
            size = self.line()
            if not size or any(digit not in b"0123456789abcdefABCDEF" for digit in size) or len(size) > 16:
                raise Odd(f"a chunk's size of {size!r}")
            if int(size, 16) == 0:
                break
            self.take(int(size, 16), sink)
            if self.line():
                raise Odd("a chunk that does not end where it says")
        trailers = []
        while line := self.line():
            trailers.append(field(line))
        return trailers

    # Writing

    def send(self, data):
        self.socket.sendall(data)

    def answer(self, request, status=200, body=b"", fields=(), reason=None):
        if isinstance(body, str):
            body = body.encode()
        head = f"HTTP/1.1 {status} {reason or REASONS.get(status, 'Status')}\r\n"
        for name, value in fields:
            head += f"{name}: {value}\r\n"
        if status not in (204, 304):
            head += f"Content-Length: {len(body)}\r\n"
        head += f"X-Origin: {self.state.name}\r\n\r\n"
        self.send(head.encode("latin-1") + (b"" if request.method == "HEAD" else body))

    def close(self, by_reset=False):
        if by_reset:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        else:
            try:
                self.socket.shutdown(socket.SHUT_WR)
            except OSError:
                pass
        raise Gone()

    # A request

    def serve(self):
        try:
            while (head := self.head()) is not None:
                self.handle(Request(head))
        except Odd as odd:
            self.state.say(event="odd", name=self.state.name, connection=self.number, message=str(odd))
        except (Gone, OSError):
            pass
        finally:
            self.socket.close()

    def handle(self, request):
        path, _, query = request.target.partition("?")
        options = dict(urllib.parse.parse_qsl(query, keep_blank_values=True))
        seen = self.state.released
        answered = False
        if path == "/die" and "head" in options:
            self.note(request, "request")
            self.close(by_reset="reset" in options)
        if path in ("/refuse", "/refuse-and-read", "/answer-later", "/answer-unread"):
            self.state.say(event="head", name=self.state.name, target=request.target)
            if path == "/answer-later":
                self.state.wait(seen)
            elif path == "/answer-unread":
                self.state.wait(seen)
                self.answer(request, 200, "unread\n")
                answered = True
                self.state.wait(seen + 1)
            else:
                self.answer(request, 403, "not here\n", [("Connection", "close")] if path == "/refuse" else [])
                answered = True
            if path == "/refuse":
                self.note(request, "refused")
                self.close()
        upload = Pattern() if path == "/upload" else None
        text = []

        def sink(part):
            request.bytes += len(part)
            if upload:
                upload.check(part)
            else:
                request.adler = zlib.adler32(part, request.adler)
                if request.bytes <= 4096:
                    text.append(part)
        try:
            request.trailers = self.body(request.fields, sink)
        except (Gone, OSError):
            self.note(request, "incomplete")
            raise
        request.text = b"".join(text) if request.bytes <= 4096 else b""
        if upload:
            request.intact = upload.is_intact
        self.note(request, "request")
        if answered:
            return
        try:
            self.respond(request, path, options, seen)
        except (Gone, OSError):
            if not path.startswith(("/die", "/raw", "/http10", "/websocket")) and "close" not in options:
                self.note(request, "gone")
            raise
        if request.wants_close:
            self.close()

    def note(self, request, event):
        self.state.say(event=event, **self.facts(request))

    def facts(self, request):
        return {
            "name": self.state.name, "connection": self.number, "head": request.head.decode("latin-1"), "method": request.method,
            "target": request.target, "fields": request.fields, "bytes": request.bytes, "adler32": request.adler,
            "trailers": request.trailers, "text": request.text.decode("latin-1"), "intact": request.intact,
        }

    def respond(self, request, path, options, seen):
        number = int(path.rsplit("/", 1)[1].split(".")[0] or 0) if path.startswith(("/bytes/", "/status/", "/asset/")) else 0
        if path.startswith("/bytes/"):
            self.bytes(request, number, options)
        elif path == "/upload":
            self.answer(request, 200, json.dumps({"bytes": request.bytes, "intact": request.intact}))
        elif path == "/hold":
            self.wait_for_release(request, seen)
            self.answer(request, 200, "held\n")
        elif path == "/events":
            self.events(request, options, seen)
        elif path == "/websocket":
            self.websocket(request)
        elif path == "/hang-up":
            self.hang_up()
        elif path == "/die":
            self.die(options)
        elif path == "/http10":
            self.send(b"HTTP/1.0 200 OK\r\nContent-Type: text/plain\r\n\r\nas in 1996\n")
            self.close()
        elif path == "/trailers":
            self.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n5\r\nhello\r\n6\r\n world\r\n"
                      b"0\r\nX-Sum: 1a0b045d\r\n\r\n")
        elif path == "/hints":
            self.send(b"HTTP/1.1 103 Early Hints\r\nLink: </style.css>; rel=preload\r\n\r\n")
            self.answer(request, 200, "after the hints\n")
        elif path.startswith("/status/"):
            self.answer(request, number, "" if number in (204, 304) else f"status {number}\n", [("ETag", '"one"')])
        elif path == "/redirect":
            self.answer(request, 302, "", [("Location", "/echo")])
        elif path in ("/raw", "/raw-open"):
            self.send(bytes.fromhex(request.target.partition("?")[2]))
            if path == "/raw":
                self.close()
        elif path == "/health":
            self.answer(request, self.state.health, "")
        elif path == "/page" or path.startswith("/asset/"):
            from page import content
            kind, body = content(path, number)
            self.answer(request, 200, body, [("Content-Type", kind), ("Cache-Control", "no-store")])
        else:
            self.answer(request, 200, json.dumps(self.facts(request)), [("Content-Type", "application/json")])

    def hang_up(self):
        self.send(b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: words\r\n\r\n")
        self.socket.shutdown(socket.SHUT_WR)
        heard, end = self.buffer, "in order"
        try:
            while part := self.socket.recv(1 << 16):
                heard += part
        except OSError:
            end = "reset"
        self.state.say(event="heard", text=heard.decode("latin-1"), end=end)
        raise Gone()

    def wait_for_release(self, request, seen):
        """What is asked to wait is told from what is asked already."""
        self.state.say(event="held", name=self.state.name, target=request.target)
        self.state.wait(seen)

    def bytes(self, request, count, options):
        chunked = "chunked" in options
        framing = "Transfer-Encoding: chunked" if chunked else "Connection: close" if "close" in options else f"Content-Length: {count}"
        self.send(f"HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\n{framing}\r\n\r\n".encode())
        if request.method == "HEAD":
            return
        pattern = Pattern()
        while pattern.offset < count:
            part = pattern.take(count - pattern.offset)
            if chunked:
                self.send(b"%x\r\n" % len(part))
            self.send(part)
            if chunked:
                self.send(b"\r\n")
        if chunked:
            self.send(b"0\r\n\r\n")
        if "close" in options:
            self.close()

    def events(self, request, options, seen):
        self.send(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nCache-Control: no-store\r\nTransfer-Encoding: chunked\r\n\r\n")
        number = 0
        while True:
            event = b"data: event %d\n\n" % number
            self.send(b"%x\r\n%s\r\n" % (len(event), event))
            number += 1
            if "all" not in options:
                with self.state.condition:
                    while self.state.released <= seen:
                        if not self.state.condition.wait(timeout=0.2):
                            self.look()
                seen += 1
            elif number == 3:
                # A browser that gets an end asks again.
                while self.socket.recv(1024):
                    pass
                raise Gone()

    def look(self):
        """Whether the other side is still there."""
        self.socket.setblocking(False)
        try:
            if not self.socket.recv(1, socket.MSG_PEEK):
                raise Gone()
        except (BlockingIOError, ValueError, ssl.SSLError):
            pass
        finally:
            self.socket.setblocking(True)

    def die(self, options):
        after = int(options.get("after", 0))
        if "chunked" in options:
            self.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n" % (after + 10))
        else:
            self.send(f"HTTP/1.1 200 OK\r\nContent-Length: {options.get('length', 0)}\r\n\r\n".encode())
        self.send(Pattern().take(after))
        self.close(by_reset="reset" in options)

    def websocket(self, request):
        key = dict((name.lower(), value) for name, value in request.fields).get("sec-websocket-key", "")
        proof = hashlib.sha1((key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11").encode()).digest()
        self.send(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: "
                  + base64.b64encode(proof) + b"\r\n\r\n")

        def read(count):
            while len(self.buffer) < count:
                self.buffer += self.more()
            part, self.buffer = self.buffer[:count], self.buffer[count:]
            return part
        while True:
            first, second = read(2)
            length = second & 127
            if length > 125:
                length = int.from_bytes(read(2 if length == 126 else 8), "big")
            mask = read(4) if second & 128 else bytes(4)
            payload = bytearray(read(length))
            for index in range(length):
                payload[index] ^= mask[index & 3]
            size = bytes([length]) if length < 126 else b"\x7e" + length.to_bytes(2, "big") if length < 65536 else b"\x7f" + length.to_bytes(8, "big")
            self.send(bytes([first]) + size + payload)
            if first & 15 == 8:
                self.close()


class Request:
    def __init__(self, head):
        self.head = head
        self.bytes, self.adler, self.trailers, self.text, self.intact = 0, 1, [], b"", None
        lines = head[:-4].split(b"\r\n")
        words = lines[0].split(b" ")
        if len(words) != 3 or words[2] not in (b"HTTP/1.1", b"HTTP/1.0"):
            raise Odd(f"a request line of {lines[0]!r}")
        if b"\n" in head.replace(b"\r\n", b"") or b"\r" in head.replace(b"\r\n", b"") or b"\0" in head:
            raise Odd(f"a bare CR or LF, or NUL, in {head!r}")
        self.method, self.target, self.version = (word.decode("latin-1") for word in words)
        self.fields = [field(line) for line in lines[1:]]
        if sum(name.lower() == "host" for name, _ in self.fields) != 1:
            raise Odd(f"no Host, or several, in {head!r}")
        self.wants_close = any(name.lower() == "connection" and "close" in value.lower() for name, value in self.fields)


def field(line):
    name, colon, value = line.partition(b":")
    if not colon or not name or any(byte not in TOKEN for byte in name):
        raise Odd(f"a field of {line!r}")
    return [name.decode("latin-1"), value.strip(b" \t").decode("latin-1")]


def listen(port=0):
    return socket.create_server(("127.0.0.1", port), backlog=1024)


def serve(listener, state, context=None):
    def handle(near, number):
        try:
            near.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        except OSError:
            pass
        try:
            if context:
                near = context.wrap_socket(near, server_side=True)
        except OSError as error:
            state.say(event="no TLS", name=state.name, message=str(error))
            return near.close()
        Connection(near, state, number).serve()
    while True:
        try:
            near, _ = listener.accept()
        except OSError:
            return
        state.connections += 1
        state.say(event="connection", name=state.name, connection=state.connections)
        threading.Thread(target=handle, args=(near, state.connections), daemon=True).start()


def main():
    options = dict(argument.split("=", 1) for argument in sys.argv[1:])
    state = State(options.get("name", "origin"))
    if "unix" in options:
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(options["unix"])
        listener.listen(128)
        port = 0
    else:
        listener = listen(int(options.get("port", 0)))
        port = listener.getsockname()[1]
    context = None
    if "tls" in options:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*options["tls"].split(","))
    print(f"port {port}", flush=True)
    threading.Thread(target=lambda: [state.obey(line.strip()) for line in sys.stdin], daemon=True).start()
    serve(listener, state, context)


if __name__ == "__main__":
    main()
