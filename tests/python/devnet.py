"""A running devnet for a check: started, described by its own first line, and stopped.

Owns: the process `devnet`. What devnet starts is stopped by devnet itself, and it is an error if any of it stays.
"""

import contextlib
import json
import pathlib
import signal
import socket
import subprocess
import sys
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]

# It may have to build first, if it is not called by tests/run.
READY_WITHIN_S = 900.0

# Gateway and signer may take 30 s each to end in order.
ENDED_WITHIN_S = 100.0

POLL_S = 0.05


@contextlib.contextmanager
def running(*arguments):
    """The JSON object that devnet prints after its first payment, with the process itself as "process"."""
    # On Unix cargo replaces itself by the program that it runs: the process is devnet as soon as it is built.
    command = ["cargo", "run", "--quiet", "--bin", "devnet", "--", "--output", "json", *arguments]
    signal.signal(signal.SIGTERM, end_in_order)
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    late = threading.Timer(READY_WITHIN_S, process.terminate)
    late.start()
    try:
        line = process.stdout.readline()
        late.cancel()
        if not line:
            raise SystemExit(f"devnet ended with {process.wait()} and said nothing")
        described = json.loads(line)
        described["process"] = process
        print(f"devnet: serves at {described['endpoints']['gateway']}", flush=True)
        yield described
    except BaseException:
        late.cancel()
        stop(process)
        raise
    ended_with = stop(process)
    left = [f"{name} ({pid})" for name, pid in described["pids"].items() if alive(pid)]
    if left:
        raise SystemExit(f"devnet has ended and left behind: {', '.join(left)}")
    if ended_with != 0:
        raise SystemExit(f"devnet ended with {ended_with} after SIGTERM, must be 0")


def end_in_order(*_):
    """SIGTERM would end Python at once and leave devnet running."""
    raise SystemExit("stopped by SIGTERM")


def stop(process):
    """SIGTERM, and how it ended."""
    process.terminate()
    try:
        return process.wait(ENDED_WITHIN_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
        raise SystemExit(f"devnet still ran {ENDED_WITHIN_S:.0f} s after SIGTERM") from None


def alive(pid):
    """Whether a process still runs. One that has ended and is not reaped does not count."""
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def until(what, within_s, condition):
    """The condition's first true value."""
    deadline = time.monotonic() + within_s
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise SystemExit(f"{what}: not within {within_s:.0f} s")
        time.sleep(POLL_S)


def free_port():
    """A port of loopback that was free just now, for programs that cannot say which one they took."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return taken.getsockname()[1]


def run(script, *arguments):
    """A check of this folder in a process of its own, as a person would start it. Its standard output, if it succeeds."""
    path = pathlib.Path(__file__).with_name(script)
    command = [str(path)] if script.endswith(".sh") else [sys.executable, str(path)]
    done = subprocess.run(command + list(arguments), stdout=subprocess.PIPE, text=True, timeout=300)
    sys.stdout.write(done.stdout)
    sys.stdout.flush()
    if done.returncode != 0:
        raise SystemExit(f"{script} ended with {done.returncode}")
    return done.stdout
