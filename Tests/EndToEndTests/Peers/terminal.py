"""Runs a program on a terminal of its own, and says what a person would see there.

    terminal.py COLUMNSxROWS PROGRAM [ARGUMENT...]

Prints one JSON object a line: {"event": "screen", "text": ...} whenever the terminal has come to rest with something
else on it, scrolled-off rows first; at the end {"event": "ended", "code": ..., "column": ..., "escapes": ..., "text": ...}
with the cursor's column and how many escape sequences there were. Obeys lines on standard input:

    type HEX      what a person types
    signal NUMBER to the program
"""
import fcntl, json, os, pty, re, select, struct, sys, termios


class Screen:
    """As much of ECMA-48 as the programs use; anything else is a fault and shown as one."""

    def __init__(self, columns, rows):
        self.columns, self.rows = columns, rows
        self.scrolled, self.lines = [], [""] * rows
        self.row = self.column = self.escapes = 0
        self.pending = ""

    def feed(self, text):
        text, self.pending = self.pending + text, ""
        while text:
            if text[0] == "\x1b":
                match = re.match(r"\x1b\[([0-9;?]*)([@-~])", text)
                if not match and len(text) < 16:
                    self.pending = text
                    return
                self.obey(match)
                text = text[match.end() if match else 1:]
            else:
                self.put(text[0])
                text = text[1:]

    def obey(self, match):
        self.escapes += 1
        number, command = (match[1], match[2]) if match else ("", "")
        if command == "A" and number.isdigit():
            self.row = max(0, self.row - int(number))
        elif command == "J" and number == "":
            self.lines[self.row] = self.lines[self.row][:self.column]
            self.lines[self.row + 1:] = [""] * (self.rows - self.row - 1)
        else:
            self.lines[self.row] += f"<unknown escape sequence {match and match[0][1:]}>"

    def put(self, character):
        if character == "\r":
            self.column = 0
        elif character == "\n":
            if self.row + 1 == self.rows:
                self.scrolled.append(self.lines.pop(0))
                self.lines.append("")
            else:
                self.row += 1
        elif character < " ":
            self.lines[self.row] += f"<control character {ord(character)}>"
        else:
            if self.column == self.columns:
                self.put("\r")
                self.put("\n")
            line = self.lines[self.row].ljust(self.column)
            self.lines[self.row] = line[:self.column] + character + line[self.column + 1:]
            self.column += 1

    def text(self):
        return "\n".join(self.scrolled + self.lines).rstrip("\n")


def say(**members):
    print(json.dumps(members), flush=True)


def main():
    columns, rows = map(int, sys.argv[1].split("x"))
    child, terminal = pty.fork()
    if child == 0:
        fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        os.execvp(sys.argv[2], sys.argv[2:])
    screen, said, orders = Screen(columns, rows), "", [terminal, 0]
    while True:
        ready, _, _ = select.select(orders, [], [], 0.03)
        if not ready and screen.text() != said:
            said = screen.text()
            say(event="screen", text=said)
        if 0 in ready:
            words = os.read(0, 4096).decode().split()
            if not words:
                orders.remove(0)
            for order, value in zip(words[::2], words[1::2]):
                if order == "type":
                    os.write(terminal, bytes.fromhex(value))
                else:
                    os.kill(child, int(value))
        if terminal in ready:
            try:
                part = os.read(terminal, 65536)
            except OSError:  # Linux says so when nobody has the other end open.
                part = b""
            if not part:
                break
            # No character beyond ASCII is expected, but one must not end this.
            screen.feed(part.decode("utf-8", "replace"))
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    say(event="ended", code=status, column=screen.column, escapes=screen.escapes, text=screen.text())


main()
