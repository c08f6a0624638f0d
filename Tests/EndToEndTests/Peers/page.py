"""A page with a hundred assets, for browsers: each of them has to arrive, and to be the right one."""

SHEETS, SCRIPTS, IMAGES = 20, 30, 50

HTML = """<!doctype html>
<html><head><meta charset="utf-8"><title>loading</title>
%(sheets)s
<script>window.scripts = new Set();</script>
%(scripts)s
</head><body>
%(images)s
<script>
"use strict";
const wrong = [];
function say(what, isRight) { if (!isRight) wrong.push(what); }
function socket() {
  return new Promise(done => {
    const socket = new WebSocket((location.protocol === "https:" ? "wss://" : "ws://") + location.host + "/websocket");
    const words = "over the wire ".repeat(10000);
    socket.onopen = () => socket.send(words);
    socket.onmessage = message => { say("websocket", message.data === words); socket.close(1000); };
    socket.onclose = close => { say("websocket end", close.code === 1000 && close.wasClean); done(); };
  });
}
function events() {
  return new Promise(done => {
    const source = new EventSource("/events?all");
    let count = 0;
    source.onerror = () => { say("events", false); source.close(); done(); };
    source.onmessage = message => {
      say("event " + count, message.data === "event " + count);
      if (++count === 3) { source.close(); done(); }
    };
  });
}
addEventListener("load", async () => {
  for (let n = 0; n < %(countSheets)d; n++)
    say("sheet " + n, getComputedStyle(document.documentElement).getPropertyValue("--sheet-" + n).trim() === String(n));
  for (let n = 0; n < %(countScripts)d; n++) say("script " + n, window.scripts.has(n));
  for (let n = 0; n < %(countImages)d; n++) say("image " + n, document.images[n].naturalWidth === n + 1);
  const statuses = performance.getEntriesByType("resource").filter(entry => entry.name.includes("/asset/"));
  say("a hundred assets, not " + statuses.length, statuses.length === 100);
  say("statuses", statuses.every(entry => entry.responseStatus === 200));
  await Promise.all([socket(), events()]);
  document.title = wrong.length === 0 ? "all right" : "wrong: " + wrong.join(", ");
});
</script></body></html>
"""


def content(path, number):
    """The type and the bytes of one path."""
    if path == "/page":
        return "text/html", HTML % {
            "sheets": "\n".join(f'<link rel="stylesheet" href="/asset/{n}.css">' for n in range(SHEETS)),
            "scripts": "\n".join(f'<script src="/asset/{n}.js"></script>' for n in range(SCRIPTS)),
            "images": "\n".join(f'<img src="/asset/{n}.svg" alt="">' for n in range(IMAGES)),
            "countSheets": SHEETS, "countScripts": SCRIPTS, "countImages": IMAGES,
        }
    padding = "x" * (number * 997)
    if path.endswith(".css"):
        return "text/css", f":root {{ --sheet-{number}: {number}; }} /* {padding} */"
    if path.endswith(".js"):
        return "text/javascript", f"window.scripts.add({number}); // {padding}"
    return "image/svg+xml", (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{number + 1}" height="10"><desc>{padding}</desc></svg>')
