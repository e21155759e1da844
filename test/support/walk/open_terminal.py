"""Runs a command in a pseudo-terminal of 80 columns: stdin is typed there, what it shows goes to stdout."""
import fcntl, os, pty, select, signal, struct, sys, termios

pid, fd = pty.fork()
if pid == 0:
    os.execvp(sys.argv[1], sys.argv[1:])
fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 80, 0, 0))
signal.signal(signal.SIGTERM, lambda *_: os.kill(pid, signal.SIGHUP))
sources = [fd, 0]
while True:
    for ready in select.select(sources, [], [])[0]:
        try:
            data = os.read(ready, 65536)
        except OSError:  # Linux: the last program of the terminal has ended.
            data = b""
        if ready == fd and not data:
            os._exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) & 255)
        if ready == 0 and not data:
            sources.remove(0)
        else:
            os.write(1 if ready == fd else fd, data)
