"""Carries a body of any size and checks every byte of it, in constant memory.

    bodies.py down PORT HOST BYTES length|chunked|close
    bodies.py up PORT HOST BYTES length|chunked

Prints {"event": "body", "verdict": "intact", "bytes": ..., "seconds": ...}; other verdicts say what is wrong.
"""
import json, socket, sys, time
from pattern import Pattern

way, port, host, count, framing = sys.argv[1], int(sys.argv[2]), sys.argv[3], int(sys.argv[4]), sys.argv[5]
block = bytearray(1 << 20)
view = memoryview(block)


def head(reader):
    lines = []
    while (line := reader.readline()) not in (b"\r\n", b""):
        lines.append(line.decode("latin-1").strip())
    fields = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:])}
    return lines[0] if lines else "nothing", fields


def fill(reader, limit):
    """Up to `limit` bytes into the block."""
    return reader.readinto(view[:min(limit, len(block))])


def down(near, reader):
    query = "" if framing == "length" else f"?{framing}"
    near.sendall(f"GET /bytes/{count}{query} HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
    line, fields = head(reader)
    if " 200 " not in line:
        return line
    pattern = Pattern()
    if fields.get("transfer-encoding") == "chunked":
        while size := int(reader.readline(), 16):
            while size:
                got = fill(reader, size)
                if not got:
                    return f"the end after {pattern.offset} bytes"
                pattern.check(view[:got])
                size -= got
            if reader.readline() != b"\r\n":
                return "a chunk that does not end"
        if reader.readline() != b"\r\n":
            return "trailers"
    else:
        length = int(fields.get("content-length", -1))
        if framing == "length" and length != count:
            return f"Content-Length: {length}"
        while length < 0 or pattern.offset < length:
            got = fill(reader, len(block) if length < 0 else length - pattern.offset)
            if not got:
                break
            pattern.check(view[:got])
    if pattern.offset != count:
        return f"{pattern.offset} bytes"
    return "intact" if pattern.is_intact else "damaged"


def up(near, reader):
    kind = f"Content-Length: {count}" if framing == "length" else "Transfer-Encoding: chunked"
    near.sendall(f"POST /upload HTTP/1.1\r\nHost: {host}\r\n{kind}\r\n\r\n".encode())
    pattern = Pattern()
    while pattern.offset < count:
        part = pattern.take(count - pattern.offset)
        if framing == "chunked":
            near.sendall(b"%x\r\n" % len(part))
        near.sendall(part)
        if framing == "chunked":
            near.sendall(b"\r\n")
    if framing == "chunked":
        near.sendall(b"0\r\n\r\n")
    line, fields = head(reader)
    if " 200 " not in line:
        return line
    if fields.get("transfer-encoding") == "chunked":
        answer = reader.read(int(reader.readline(), 16))
    else:
        answer = reader.read(int(fields.get("content-length", 0)))
    told = json.loads(answer)
    if told["bytes"] != count:
        return f"{told['bytes']} bytes arrived"
    return "intact" if told["intact"] else "damaged"


began = time.monotonic()
with socket.create_connection(("127.0.0.1", port)) as near:
    near.settimeout(120)
    reader = near.makefile("rb", buffering=1 << 20)
    try:
        verdict = down(near, reader) if way == "down" else up(near, reader)
    except (OSError, ValueError) as error:
        verdict = f"{type(error).__name__}: {error}"
print(json.dumps({"event": "body", "verdict": verdict, "bytes": count, "seconds": round(time.monotonic() - began, 3)}), flush=True)
