"""Types lines and a tab in an interactive bash, and prints the lines that this makes, in JSON.

Arguments: the program; `tab`, or `enter` for a return behind it, which runs what the line says; the lines in JSON.
"""

import json, os, pty, re, select, signal, sys, time

aiozfs, keys, lines = sys.argv[1], sys.argv[2], json.loads(sys.argv[3])
os.environ.update(PATH=os.path.dirname(aiozfs) + ":" + os.environ["PATH"], TERM="dumb", INPUTRC="/dev/null")
SETUP = r"""PS1='[1]' PS2='[2]' HISTFILE=; stty -echo columns 2000; bind 'set enable-bracketed-paste off'
show() { printf '<<%s>>' "$READLINE_LINE"; }; bind -x '"\C-x": show'; source <(aiozfs completions bash); echo READY''
"""


def made_of(line):
    child, tty = pty.fork()
    if child == 0:
        os.execvp("bash", ["bash", "--norc", "--noprofile", "-i"])
    said, until = "", time.monotonic() + 20

    def wait(pattern):
        nonlocal said
        while not (found := re.search(pattern, said, re.S)):
            if not select.select([tty], [], [], max(0, until - time.monotonic()))[0]:
                sys.exit(f"{line!r}: bash does not say {pattern}, but {said!r}")
            said += os.read(tty, 65536).decode(errors="replace")
        said = said[found.end():]
        return found[1]

    try:
        os.write(tty, SETUP.encode())
        wait(r"(READY)\r\n")
        os.write(tty, f"{line}\t\x18".encode())
        made = wait("<<(.*)>>")
        if keys == "enter":
            os.write(tty, b"\r")
            # Bash has run the line, or asks for the rest of it.
            wait(r"\[([12])\]")
        return made
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        os.close(tty)


print(json.dumps([made_of(line) for line in lines]))
