#!/usr/bin/env python3
"""A headless Chromium for the tests: commands in, answers out, one JSON object a line.

    browser.py CHROMIUM FOLDER         FOLDER holds its profile

    {"open": URL, "width": 1200, "height": 800, "dark": false}    a page in place of the one before, loaded
    {"evaluate": "1 + 1"}                                         a value, awaited if it is a promise
    {"until": "document.title", "seconds": 10}                    the first value that JavaScript takes for true
    {"press": "j"} {"type": "text"}                               keys, as a person would
    {"look": {"width": 360, "height": 740, "dark": true}}         another size or another scheme of colours
    {"picture": "/path.png"}                                      a screenshot
    {"complaints": true}                                          errors, violations of policies, failed loads so far

An answer is {"value": ...} or {"error": "..."}. DevTools are spoken over a pipe (--remote-debugging-pipe): messages that end with NUL.
"""
import base64
import json
import os
import select
import signal
import subprocess
import sys
import time

KEYS = {
    "Enter": ("Enter", 13, "\r"), "Escape": ("Escape", 27, ""), "Tab": ("Tab", 9, ""), "ArrowDown": ("ArrowDown", 40, ""),
    "ArrowUp": ("ArrowUp", 38, ""), "ArrowLeft": ("ArrowLeft", 37, ""), "ArrowRight": ("ArrowRight", 39, ""),
}


class Failure(Exception):
    pass


class Browser:
    def __init__(self, program, folder):
        theirs_in, self.out = os.pipe()
        self.inward, theirs_out = os.pipe()

        def arrange():
            # Chromium reads commands from 3 and writes to 4. Both are moved out of the way first: either may be the other's number.
            reading, writing = os.dup(theirs_in), os.dup(theirs_out)
            reading, writing = os.dup(reading), os.dup(writing)
            os.dup2(reading, 3)
            os.dup2(writing, 4)

        arguments = [
            program, "--remote-debugging-pipe", "--user-data-dir=" + folder, "--no-first-run", "--disable-gpu", "--hide-scrollbars",
            "--disable-background-networking", "--disable-component-update", "--no-proxy-server", "--ignore-certificate-errors",
            # Names below localhost are this machine, whatever resolver there is.
            "--host-resolver-rules=MAP *.localhost 127.0.0.1, MAP *.test 127.0.0.1", "about:blank",
        ]
        if os.geteuid() == 0:
            arguments.insert(1, "--no-sandbox")
        self.process = subprocess.Popen(
            arguments, preexec_fn=arrange, close_fds=False, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL)
        os.close(theirs_in)
        os.close(theirs_out)
        self.bytes = b""
        self.number = 0
        self.session = None
        self.loaded = False
        self.complaints = []
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self.session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(domain + ".enable")

    def message(self, deadline):
        while b"\0" not in self.bytes:
            if not select.select([self.inward], [], [], max(0, deadline - time.monotonic()))[0]:
                raise Failure("the browser does not answer")
            part = os.read(self.inward, 1 << 20)
            if not part:
                raise Failure("the browser has ended")
            self.bytes += part
        text, self.bytes = self.bytes.split(b"\0", 1)
        return json.loads(text)

    def learn(self, message):
        method, told = message.get("method"), message.get("params", {})
        if method == "Page.loadEventFired":
            self.loaded = True
        elif method == "Runtime.exceptionThrown":
            details = told["exceptionDetails"]
            self.complaints.append(details.get("exception", {}).get("description") or details.get("text", ""))
        elif method == "Log.entryAdded" and told["entry"]["level"] == "error":
            self.complaints.append(told["entry"]["text"] + " " + told["entry"].get("url", ""))

    def call(self, method, seconds=30, **parameters):
        self.number += 1
        message = {"id": self.number, "method": method, "params": parameters}
        if self.session:
            message["sessionId"] = self.session
        os.write(self.out, json.dumps(message).encode() + b"\0")
        deadline = time.monotonic() + seconds
        while True:
            answer = self.message(deadline)
            if answer.get("id") == self.number:
                if "error" in answer:
                    raise Failure(method + ": " + answer["error"]["message"])
                return answer["result"]
            self.learn(answer)

    def look(self, width=1200, height=800, dark=False):
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=width < 600)
        self.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}])

    def open(self, url, **look):
        self.look(**look)
        self.loaded = False
        error = self.call("Page.navigate", url=url).get("errorText")
        if error:
            raise Failure(url + ": " + error)
        deadline = time.monotonic() + 30
        while not self.loaded:
            self.learn(self.message(deadline))

    def evaluate(self, script):
        result = self.call("Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True, userGesture=True)
        if "exceptionDetails" in result:
            details = result["exceptionDetails"]
            raise Failure(details.get("exception", {}).get("description") or details["text"])
        return result["result"].get("value")

    def until(self, script, seconds=10):
        deadline = time.monotonic() + seconds
        while True:
            value = self.evaluate("(() => { try { const value = " + script + "; return value instanceof Node || value } catch { return null } })()")
            if value:
                return value
            if time.monotonic() > deadline:
                raise Failure("not within %s s: %s" % (seconds, script))
            self.evaluate("new Promise(done => setTimeout(done, 30))")

    def press(self, key):
        name, code, text = KEYS.get(key, (key, ord(key.upper()) if len(key) == 1 else 0, key))
        common = {"key": name, "windowsVirtualKeyCode": code}
        self.call("Input.dispatchKeyEvent", type="keyDown" if text else "rawKeyDown", text=text, **common)
        self.call("Input.dispatchKeyEvent", type="keyUp", **common)

    def picture(self, path):
        data = self.call("Page.captureScreenshot", format="png")["data"]
        with open(path, "wb") as file:
            file.write(base64.b64decode(data))

    def obey(self, command):
        if "open" in command:
            look = {key: command[key] for key in ("width", "height", "dark") if key in command}
            return self.open(command["open"], **look)
        if "evaluate" in command:
            return self.evaluate(command["evaluate"])
        if "until" in command:
            return self.until(command["until"], command.get("seconds", 10))
        if "press" in command:
            return self.press(command["press"])
        if "type" in command:
            return self.call("Input.insertText", text=command["type"]) and None
        if "look" in command:
            return self.look(**command["look"])
        if "picture" in command:
            return self.picture(command["picture"])
        if "complaints" in command:
            return self.complaints
        raise Failure("unknown: %s" % command)


def main():
    # Asked to end, it takes the browser along.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    browser = Browser(sys.argv[1], sys.argv[2])
    try:
        print(json.dumps({"value": "ready"}), flush=True)
        for line in sys.stdin:
            try:
                answer = {"value": browser.obey(json.loads(line))}
            except Failure as failure:
                answer = {"error": str(failure)}
            print(json.dumps(answer), flush=True)
    finally:
        browser.process.kill()
        browser.process.wait()


main()
