"""A host of its own for a check: systemd as its first process, the units, users and paths of deploy/, and a network of its own.

What a runbook says is typed there as it stands: its addresses, paths and units are real ones. Nothing of the machine is changed; root is
needed, because the host is made of namespaces.

Owns: the host's life, and who types what. May not: know what a command is for.
"""

import contextlib
import fcntl
import json
import os
import pathlib
import re
import shutil
import socket
import struct
import subprocess
import sys
import tempfile

import devnet

TARGET = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", devnet.ROOT / "target")) / "debug"
READY_WITHIN_S = 60.0
COMMAND_WITHIN_S = 150

# Set in the process that has entered a network of its own.
INSIDE = "PAYGATE_OWN_NETWORK"

# Where the host's processes are kept apart on the machine: systemd's own trees, of either version, or the one of version 2 alone.
CGROUPS = [pathlib.Path("/sys/fs/cgroup") / name for name in ("systemd", "unified", ".")]

# Who types a program's commands: the runbooks say "as the gateway's user", and a signer answers its own user alone.
USERS = {"paygate": "paygate", "paygate-signer": "paygate-signer"}

# ioctl(2): the flags of a network interface.
SIOCGIFFLAGS, SIOCSIFFLAGS, IFF_UP = 0x8913, 0x8914, 1


def enter_own_network():
    """Goes on in a network that has a loopback interface and nothing else, so that every port is free and has its usual number."""
    if os.geteuid() != 0:
        raise SystemExit("this check makes a host of namespaces: run it as root")
    if missing():
        raise SystemExit(f"this check needs {', '.join(missing())}")
    if INSIDE not in os.environ:
        os.environ[INSIDE] = "1"
        os.execvp("unshare", ["unshare", "--net", sys.executable, *sys.argv])
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        request = struct.pack("16sh14x", b"lo", 0)
        flags = struct.unpack("16sh14x", fcntl.ioctl(any_socket, SIOCGIFFLAGS, request))[1]
        fcntl.ioctl(any_socket, SIOCSIFFLAGS, struct.pack("16sh14x", b"lo", flags | IFF_UP))


@contextlib.contextmanager
def running():
    """A host on which nothing of ours runs yet."""
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        root, layer = folder / "root", folder / "layer"
        root.mkdir()
        layer.mkdir()
        groups = [path / f"paygate-host-{os.getpid()}" for path in CGROUPS if (path / "cgroup.procs").exists()]
        for group in groups:
            group.mkdir()
        script = pathlib.Path(__file__).with_name("host.sh")
        log = (folder / "log").open("w")
        begin = 'for group in $1; do echo $$ >"$group/cgroup.procs"; done; shift; exec unshare --mount --pid --fork --kill-child --uts --ipc --cgroup "$@"'
        process = subprocess.Popen(["bash", "-c", begin, "host", " ".join(map(str, groups)), script, root, TARGET, devnet.ROOT, layer],
                                   stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        try:
            yield Host(process, folder / "log")
        finally:
            process.kill()
            process.wait()
            log.close()
            devnet.until("the host's processes have ended", READY_WITHIN_S, lambda: remove(groups))


def remove(groups):
    """The host's groups of processes, the innermost first. False while some of them still end."""
    try:
        for group in groups:
            for path, _, _ in os.walk(group, topdown=False):
                os.rmdir(path)
    except OSError:
        return False
    return True


class Host:
    """What can be done there."""

    def __init__(self, process, log):
        self.process, self.log, self.first = process, log, None
        self.first = devnet.until("systemd runs", READY_WITHIN_S, self._first)
        devnet.until("the host is up", READY_WITHIN_S, self._is_up)

    def _first(self):
        if self.process.poll() is not None:
            raise SystemExit(f"the host has ended with {self.process.returncode}:\n{self.log.read_text()}")
        children = pathlib.Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        is_systemd = children and os.path.realpath(f"/proc/{children[0]}/exe").endswith("/systemd")
        return children[0] if is_systemd else None

    def _is_up(self):
        return self.types("systemctl is-system-running").stdout.strip() in ("running", "degraded")

    def types(self, command, user="root", within_s=COMMAND_WITHIN_S):
        """One command line in a shell there, and what came of it."""
        become = [] if user == "root" else ["runuser", "-u", user, "--"]
        return subprocess.run(self.enters([*become, "bash", "-c", command]), stdin=subprocess.DEVNULL,
                              capture_output=True, text=True, timeout=within_s, check=False)

    def enters(self, command):
        """The same command, there."""
        enter = ["nsenter", "--target", self.first, "--mount", "--pid", "--uts", "--ipc", "--cgroup", f"--root=/proc/{self.first}/root"]
        clean = ["env", "--chdir=/tmp", "-i", "PATH=/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin", "LC_ALL=C.UTF-8", "SYSTEMD_PAGER="]
        return [*enter, *clean, *command]

    def follows(self, command):
        """A command of a runbook, by whom it is for."""
        return self.types(command, USERS.get(command.split()[0], "root"))

    def does(self, command, user="root"):
        """A command that must succeed. Its standard output."""
        done = self.types(command, user)
        if done.returncode != 0:
            raise SystemExit(f"{command!r} ended with {done.returncode}:\n{done.stdout}{done.stderr}")
        return done.stdout

    def asks(self, arguments):
        """What paygatectl says as JSON."""
        done = self.types(f"paygatectl --output json {arguments}")
        return json.loads(done.stdout.splitlines()[0])

    def path(self, path):
        """A file of the host, seen from outside."""
        return pathlib.Path(f"/proc/{self.first}/root{path}")

    def writes(self, path, text, owner, mode):
        """A file of the host, whole."""
        target = self.path(path)
        target.write_text(text)
        target.chmod(mode)
        self.does(f"chown {owner} {path}")

    def edits(self, path, pattern, replacement):
        """What a person does to a file with an editor: one place is changed."""
        target = self.path(path)
        text, count = re.subn(pattern, lambda _: replacement, target.read_text(), count=1, flags=re.M)
        if count != 1:
            raise SystemExit(f"{path} has nothing like {pattern!r}")
        target.write_text(text)

    def uid(self, user):
        return int(self.does(f"id -u {user}"))


def missing():
    """Programs that a host needs and this machine lacks."""
    return [name for name in ("unshare", "nsenter", "runuser", "systemctl", "systemd-sysusers") if shutil.which(name) is None]
