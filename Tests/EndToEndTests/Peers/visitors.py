"""Many visitors at once, who each ask several names on one connection, and know what each of them has to answer.

    visitors.py PORT THREADS HOST=NAME...

Each visitor has an address of its own (127.1.0.N), and asks each name for a page that nobody else asks for, until standard
input ends. An answer is right when it comes from the service NAME (origin.py) and speaks of this very request: its path, its
body, and in X-Forwarded-For the visitor's own address, behind which only a load balancer's, 127.0.0.9, may stand. A visitor whose connection ends between two answers comes
again; one that ends before an answer has come is a failure.

Prints {"event": "flowing"} once every visitor has an answer of every name, and at the end {"event": "figures", "right": ...,
"wrong": ..., "failed": ..., "connections": ..., "by": {service: answers}, "first": <the first that was not right>}. NAME may
be `a|b`: any of these services may answer.
"""
import http.client, json, random, sys, threading

port, threads = int(sys.argv[1]), int(sys.argv[2])
names = [argument.split("=") for argument in sys.argv[3:]]
condition = threading.Condition()
figures = {"right": 0, "wrong": 0, "failed": 0, "connections": 0, "by": {}, "first": ""}
flowing, is_over = set(), False


def note(kind, what, by=None):
    with condition:
        figures[kind] += 1
        if by:
            figures["by"][by] = figures["by"].get(by, 0) + 1
        if kind in ("wrong", "failed") and not figures["first"]:
            figures["first"] = what


def visit(number):
    address = f"127.1.0.{number + 1}"
    chance = random.Random(number)
    connection, heard = None, set()
    while not is_over:
        host, wanted = chance.choice(names)
        path = f"/echo/{number}/{chance.getrandbits(64):016x}"
        body = chance.randbytes(chance.choice([0, 1, 700, 40_000])).hex() if chance.random() < 0.5 else None
        try:
            if connection is None:
                connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30, source_address=(address, 0))
                connection.connect()
                with condition:
                    figures["connections"] += 1
            connection.request("POST" if body else "GET", path, body=body, headers={"Host": host})
            response = connection.getresponse()
            data = response.read()
        except (OSError, http.client.HTTPException) as error:
            connection.close()
            connection = None
            note("failed", f"{host}{path}: {type(error).__name__} {error}")
            continue
        try:
            told = json.loads(data)
        except ValueError:
            told = {}
        hops = [hop.strip() for name, value in told.get("fields", []) if name.lower() == "x-forwarded-for" for hop in value.split(",")]
        fields = {name.lower(): value for name, value in told.get("fields", [])}
        by = told.get("name")
        right = (
            response.status == 200 and by in wanted.split("|") and response.headers["X-Origin"] == by and told["target"] == path
            and told["bytes"] == len(body or "") and (len(body or "") > 4096 or told["text"] == (body or ""))
            and fields.get("host") == host and hops[:1] == [address] and set(hops[1:]) <= {"127.0.0.9"})
        if right:
            note("right", "", by)
        else:
            note("wrong", f"{host}{path} of {address}: {response.status} {data[:700]!r}")
        if host not in heard:
            heard.add(host)
            if len(heard) == len(names):
                with condition:
                    flowing.add(number)
                    if len(flowing) == threads:
                        print(json.dumps({"event": "flowing"}), flush=True)
        if response.headers.get("Connection") == "close" or response.will_close:
            connection.close()
            connection = None


workers = [threading.Thread(target=visit, args=(number,)) for number in range(threads)]
for worker in workers:
    worker.start()
sys.stdin.read()
is_over = True
for worker in workers:
    worker.join()
print(json.dumps({"event": "figures", **figures}), flush=True)
