#!/usr/bin/env python3
"""Builds the two images and runs them for real: a payment through both containers, and what each of them cannot do, tried from inside.

The engine is dockerd of the distribution, in a network, a mount and a process namespace of its own: nothing of it stays, and it needs no
registry, because the base images are made here, of the distribution's packages and of this machine's Rust.

Owns: what an image must be and must refuse. May not: change a Dockerfile, or start a container with more rights than deploy/compose.yml does.
"""

import argparse
import contextlib
import ctypes
import errno
import json
import os
import pathlib
import resource
import signal
import socket
import subprocess
import sys
import tarfile
import tempfile
import time

import devnet
import pay
import yaml

ROOT = devnet.ROOT
DEPLOY = ROOT / "deploy"
TARGET = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "debug"

# The well-known seed "masterpassphrase" of the simulated ledger's first account, which holds everything: no secret of anybody, but one here.
SEED = "snoPBrXtMeMyMHUVTgbuqAfg1SUTb"
WALLET = "rHb9CJAWyB4rj91VRWn96DkukG4bwdtyTh"
DESTINATION = "rPT1Sjq2YGrBMTttX4GZHjKu9dyfzbpAYe"
DROPS = 12_000_000

GATEWAY_UID, SIGNER_UID, GROUP = 10001, 10002, 10000

CLOSE_MS = 500
BUILD_WITHIN_S = 3 * 3600
TOOL_WITHIN_S = 300
READY_WITHIN_S = 60.0
PAID_WITHIN_S = 60.0

# Of the container's mounts, what the signer may write to.
WRITABLE = ("/var/lib/paygate-signer", "/run/paygate-signer")
SHELLS = ("sh", "bash", "dash", "busybox", "ash", "apt", "apt-get", "dpkg", "perl", "python3")

# linux/sched.h
CLONE_NEWNS, CLONE_NEWNET = 0x00020000, 0x40000000
# linux/capability.h
CAP_SYS_RESOURCE = 24


def main():
    parser = argparse.ArgumentParser(description="Builds the images and runs them. As root.")
    parser.add_argument("--data", type=pathlib.Path, help="where the engine keeps its layers; they stay there, so that a second build is quick")
    parser.add_argument("--built", action="store_true", help="the images paygate and paygate-signer are in --data already")
    parser.add_argument("--inside", type=pathlib.Path, help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    expect(os.geteuid() == 0, "this is root, as an engine needs it")
    if chosen.inside:
        return inside(chosen.inside, chosen.data or chosen.inside / "data", chosen.built)
    with tempfile.TemporaryDirectory(prefix="paygate-images-") as folder:
        folder = pathlib.Path(folder)
        if not chosen.built:
            bases(folder)
        command = ["unshare", "--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc", sys.executable, __file__, "--inside", str(folder)]
        command += (["--data", str(chosen.data.resolve())] if chosen.data else []) + (["--built"] if chosen.built else [])
        code = subprocess.run(command, timeout=BUILD_WITHIN_S, check=False).returncode
    return code


def inside(folder, data, built):
    """In the namespaces: the loopback of this network is the host's for the containers."""
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True, timeout=TOOL_WITHIN_S)
    with engine(folder, data) as docker:
        if not built:
            build(docker, folder)
        images(docker)
        compose()
        with ledger() as world:
            runs(docker, folder, world)
    print("images: both have paid; no network, no writable root, no shell and no secret where none may be")
    return 0


# === base images and builds ===

def bases(folder):
    """The builder has a C compiler and this machine's Rust with the sources of the dependencies; the runtime libc, libgcc_s and authorities."""
    subprocess.run(["cargo", "fetch", "--locked"], cwd=ROOT, check=True, timeout=TOOL_WITHIN_S)
    rust = subprocess.run(["rustc", "--print", "sysroot"], cwd=ROOT, capture_output=True, text=True, check=True, timeout=TOOL_WITHIN_S).stdout.strip()
    registry = pathlib.Path(os.environ.get("CARGO_HOME", pathlib.Path.home() / ".cargo")) / "registry"
    tree = folder / "builder"
    debootstrap(tree, "gcc,libc6-dev,ca-certificates,coreutils,dash")
    local = tree / "usr" / "local"
    for source, target in ((f"{rust}/bin/cargo", local / "bin"), (f"{rust}/bin/rustc", local / "bin"), (f"{rust}/lib", local),
                           (registry / "cache", local / "cargo" / "registry"), (registry / "index", local / "cargo" / "registry")):
        target.mkdir(parents=True, exist_ok=True)
        subprocess.run(["cp", "--archive", str(source), str(target)], check=True, timeout=TOOL_WITHIN_S)
    # No script of a package has run: the other name of the compiler is missing.
    (tree / "usr" / "bin" / "cc").unlink(missing_ok=True)
    (tree / "usr" / "bin" / "cc").symlink_to("gcc")
    subprocess.run(["tar", "--create", "--file", str(folder / "builder.tar"), "--directory", str(tree), "--numeric-owner", "--owner=0", "--group=0", "."],
                   check=True, timeout=TOOL_WITHIN_S)
    debootstrap(folder / "runtime.tar", "libc6,libgcc-s1,ca-certificates")


def debootstrap(target, packages):
    """A folder or an archive with these packages and what they need, unpacked."""
    suite = dict(line.split("=", 1) for line in pathlib.Path("/etc/os-release").read_text().splitlines() if "=" in line)["VERSION_CODENAME"]
    command = ["mmdebstrap", "--quiet", "--variant=extract", f"--include={packages}", suite, str(target)]
    subprocess.run(command, check=True, timeout=TOOL_WITHIN_S)


def build(docker, folder):
    environment = ["--change", "ENV PATH=/usr/local/bin:/usr/bin:/bin CARGO_HOME=/usr/local/cargo CARGO_NET_OFFLINE=true"]
    docker("import", *environment, str(folder / "builder.tar"), "paygate-builder")
    docker("import", str(folder / "runtime.tar"), "paygate-runtime")
    for name, tag in (("gateway", "paygate"), ("signer", "paygate-signer")):
        began = time.monotonic()
        docker("build", "--network", "none", "--file", str(DEPLOY / "docker" / f"{name}.Dockerfile"), "--tag", tag,
               "--build-arg", "BUILDER=paygate-builder", "--build-arg", "RUNTIME=paygate-runtime", str(ROOT), within=BUILD_WITHIN_S)
        print(f"images: {tag} was compiled and built in {time.monotonic() - began:.0f} s", flush=True)


@contextlib.contextmanager
def engine(folder, data):
    """dockerd, and what calls it. It is told to end, and its namespace ends whatever it leaves."""
    run = folder / "engine"
    run.mkdir()
    data.mkdir(exist_ok=True)
    address = f"unix://{run}/socket"
    log = (run / "log").open("w")
    # No bridge: containers have the network of this namespace, or none. CAP_SYS_RESOURCE may be missing, so limits are only lowered.
    process = subprocess.Popen(
        ["dockerd", "--data-root", str(data), "--exec-root", str(run / "exec"), "--host", address, "--pidfile", str(run / "pid"),
         "--bridge", "none", "--iptables=false", "--default-ulimit", "nofile=1024:4096"], stdout=log, stderr=log)

    def docker(*arguments, within=TOOL_WITHIN_S, fails=False):
        done = subprocess.run(["docker", "--host", address, *arguments], capture_output=True, text=True, timeout=within, check=False,
                              env={**os.environ, "DOCKER_BUILDKIT": "0"})
        said = done.stdout + done.stderr
        expect(fails is None or (done.returncode != 0) == fails, f"docker {arguments[0]} {'fails' if fails else 'succeeds'}: {said[-4000:]}")
        # A program's own log is on its standard error.
        return said if fails or arguments[0] == "logs" else done.stdout

    def answers():
        expect(process.poll() is None, f"dockerd runs:\n{(run / 'log').read_text()[-4000:]}")
        return subprocess.run(["docker", "--host", address, "version"], capture_output=True, timeout=TOOL_WITHIN_S, check=False).returncode == 0

    try:
        devnet.until("the engine answers", READY_WITHIN_S, answers)
        yield docker
    finally:
        process.terminate()
        process.wait(READY_WITHIN_S)
        log.close()


# === what they are ===

def images(docker):
    for tag, user, program in (("paygate", GATEWAY_UID, "paygate"), ("paygate-signer", SIGNER_UID, "paygate-signer")):
        config = json.loads(docker("image", "inspect", tag))[0]["Config"]
        expect(config["User"] == f"{user}:{GROUP}", f"{tag} runs as {user}:{GROUP}, not {config['User']}")
        expect(config["Entrypoint"] == [f"/usr/local/bin/{program}"], f"{tag} starts its program, not {config['Entrypoint']}")
        expect(config["Healthcheck"]["Test"][:3] == ["CMD", f"/usr/local/bin/{program}", "probe"], f"{tag} is probed by its own program")
        said = docker("run", "--rm", "--network", "none", "--entrypoint", "/bin/sh", tag, "-c", "true", fails=True)
        expect("no such file" in said, f"{tag} has no shell: {said}")
        with contextlib.ExitStack() as stack:
            container = docker("create", "--network", "none", tag).strip()
            stack.callback(docker, "rm", container)
            names = files(docker, container)
        found = [name for name in names if pathlib.PurePosixPath(name).name in SHELLS and "/bin" in f"/{name}"]
        expect(not found, f"{tag} has no shell and no package manager, not {found}")
        print(f"images: {tag} is of user {user}, group {GROUP}, without a shell; version {docker('run', '--rm', '--network', 'none', tag, '--version').strip()}")


def files(docker, container):
    with tempfile.NamedTemporaryFile(suffix=".tar") as file:
        docker("export", "--output", file.name, container)
        with tarfile.open(file.name) as tree:
            members = tree.getmembers()
    loose = [member.name for member in members if member.isfile() and member.mode & 0o6000]
    expect(not loose, f"no program takes another's rights (setuid), not {loose}")
    return [member.name for member in members if not member.isdir()]


def compose():
    done = subprocess.run(["docker-compose", "-f", str(DEPLOY / "compose.yml"), "config"], capture_output=True, text=True, timeout=TOOL_WITHIN_S, check=False)
    expect(done.returncode == 0, f"docker-compose takes deploy/compose.yml: {done.stderr}")
    services = yaml.safe_load(done.stdout)["services"]
    expect(services["signer"]["network_mode"] == "none", "the signer has no network in deploy/compose.yml as docker-compose reads it")
    print(f"images: docker-compose takes deploy/compose.yml with {len(services)} services")


# === running ===

@contextlib.contextmanager
def ledger():
    """The simulated ledger, a process beside the containers."""
    process = subprocess.Popen([str(TARGET / "xrpl-sim"), "--ws-port", "0", "--rpc-port", "0", "--close-ms", str(CLOSE_MS)],
                               stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    try:
        yield json.loads(process.stdout.readline())
    finally:
        process.terminate()
        process.wait(READY_WITHIN_S)


def runs(docker, folder, world):
    signer_file, gateway_file = configurations(folder, world)
    seed = folder / "seed"
    seed.write_text(SEED + "\n")
    seed.chmod(0o400)
    os.chown(seed, SIGNER_UID, GROUP)
    # As deploy/compose.yml has them, but for the gateway's network: the ledger is on this loopback.
    confined = ["--read-only", "--cap-drop", "ALL", "--security-opt", "no-new-privileges:true"]
    removes(docker)  # What an earlier run left in --data.
    started = []
    try:
        docker("create", *confined, "--name", "signer", "--network", "none", "--memory", "256m", "--memory-swap", "256m", "--pids-limit", "64",
               "--ulimit", f"memlock={locked_bytes()}", "--ulimit", "core=0", "--volume", f"{signer_file}:/etc/paygate-signer/paygate-signer.toml:ro",
               "--volume", f"{seed}:/run/secrets/seed:ro", "--volume", "signer-journal:/var/lib/paygate-signer",
               "--volume", "signer-socket:/run/paygate-signer", "paygate-signer")
        started.append("signer")
        docker("start", "signer")
        healthy(docker, "signer")
        docker("create", *confined, "--name", "gateway", "--network", "host", "--memory", "512m", "--pids-limit", "128",
               "--volume", f"{gateway_file}:/etc/paygate/paygate.toml:ro", "--volume", "gateway-store:/var/lib/paygate",
               "--volume", "signer-socket:/run/paygate-signer:ro", "paygate")
        started.append("gateway")
        docker("start", "gateway")
        healthy(docker, "gateway")
        pays()
        for name, uid in (("gateway", GATEWAY_UID), ("signer", SIGNER_UID)):
            confines(docker, name, uid)
        secrets_stay(docker)
        for name in ("gateway", "signer"):
            docker("stop", "--time", "60", name)
            state = json.loads(docker("inspect", name))[0]["State"]
            expect(state["ExitCode"] == 0 and not state["OOMKilled"], f"{name} ends with 0 when it is told to, not {state}")
    except BaseException:
        for name in started:
            print(f"--- the log of {name}\n{docker('logs', '--tail', '40', name)}", flush=True)
        raise
    finally:
        removes(docker)


def locked_bytes():
    """As deploy/compose.yml says, or as much as this machine lets anybody have: without CAP_SYS_RESOURCE no engine can raise a limit."""
    wanted = yaml.safe_load((DEPLOY / "compose.yml").read_text())["services"]["signer"]["ulimits"]["memlock"]
    capable = int(pathlib.Path("/proc/self/status").read_text().split("CapEff:\t")[1].split()[0], 16) & 1 << CAP_SYS_RESOURCE
    most = resource.getrlimit(resource.RLIMIT_MEMLOCK)[1]
    if capable or most in (-1, resource.RLIM_INFINITY) or most >= wanted:
        return wanted
    print(f"images: this machine allows no more than {most} bytes of locked memory, where compose.yml says {wanted}")
    return most


def removes(docker):
    """The two containers and their volumes, as far as they are there."""
    docker("rm", "--force", "gateway", "signer", fails=None)
    docker("volume", "rm", "--force", "signer-socket", "signer-journal", "gateway-store", fails=None)


def configurations(folder, world):
    """What containers are given: the examples' keys, for the simulated ledger."""
    signer = folder / "paygate-signer.toml"
    signer.write_text(f"""profile = "dev"
[listen]
allowed_uids = [{GATEWAY_UID}]
[wallet]
seed_file = "/run/secrets/seed"
network_id = {world["network_id"]}
[policy]
max_payment_xrp = "100"
max_day_xrp = "1000"
anchor_ledger_index = {world["anchor"]["index"]}
anchor_time = {int(time.time())}
ledger_min_close_ms = {CLOSE_MS * 4 // 5}
""")
    gateway = folder / "paygate.toml"
    gateway.write_text(f"""profile = "dev"
[store]
path = "/var/lib/paygate/paygate.db"
[signer]
allowed_uids = [{SIGNER_UID}]
[wallet]
address = "{WALLET}"
network_id = {world["network_id"]}
anchor = {{ index = {world["anchor"]["index"]}, hash = "{world["anchor"]["hash"]}" }}
[xrpl]
agreement = 1
[[xrpl.servers]]
url = "{world["ws"]}"
operator = "simulated"
own = true
[limits]
max_payment_xrp = "100"
daily_limit_xrp = "1000"
[security]
require_authentication = false
""")
    for file in (signer, gateway):
        file.chmod(0o644)
    folder.chmod(0o755)
    return signer, gateway


def healthy(docker, name):
    """By the image's own HEALTHCHECK."""
    def state():
        now = json.loads(docker("inspect", name))[0]["State"]
        expect(now["Running"], f"{name} runs: {docker('logs', name)}{now}")
        return now["Health"]["Status"] == "healthy"

    devnet.until(f"{name} is healthy by its own probe", READY_WITHIN_S, state)


def pays():
    deadline = time.monotonic() + PAID_WITHIN_S
    with pay.connect("127.0.0.1:50051") as channel:
        client = pay.Client(channel)
        client.create_surely(deadline, "image-1", DESTINATION, DROPS)
        shown = client.shown(client.until_final(deadline, "image-1"))
    expect(shown["state"] == "PAID", f"the payment is PAID, not {shown}")
    print(f"images: {shown['payment_id']} is PAID in ledger {shown['evidence']['ledger_index']}, delivered {shown['evidence']['delivered_drops']} drops")


# === what they cannot do ===

def confines(docker, name, uid):
    """The kernel's word on the process, and attempts from within its own namespaces, as its user."""
    described = json.loads(docker("inspect", name))[0]
    pid = described["State"]["Pid"]
    status = dict(line.split(":\t", 1) for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines() if ":\t" in line)
    expect(status["Uid"].split() == [str(uid)] * 4, f"{name} is user {uid} only, not {status['Uid']}")
    expect(status["Gid"].split() == [str(GROUP)] * 4, f"{name} is of group {GROUP}, not {status['Gid']}")
    expect(int(status["CapEff"], 16) == 0 and int(status["CapBnd"], 16) == 0, f"{name} has no capabilities, and can get none: {status['CapBnd']}")
    expect(status["NoNewPrivs"].strip() == "1" and status["Seccomp"].strip() == "2", f"{name} is filtered and gains no privileges")
    tried = attempts(pid, uid)
    expect(set(tried["writes"].values()) <= {"EROFS", "EACCES", "ENOENT", "EPERM"}, f"{name} writes nowhere on its root: {tried['writes']}")
    expect(tried["writes"]["/x"] == "EROFS", f"{name} has a read-only root: {tried['writes']}")
    print(f"images: {name} tried to write, and got {tried['writes']}")
    if name == "signer":
        expect(tried["interfaces"] in ([], ["lo"]), f"the signer has no interface but loopback, not {tried['interfaces']}")
        expect(set(tried["connects"].values()) <= {"ENETUNREACH", "ECONNREFUSED", "EADDRNOTAVAIL"}, f"the signer reaches nobody: {tried['connects']}")
        expect(tried["connects"]["192.0.2.1"] == "ENETUNREACH", f"the signer has no network: {tried['connects']}")
        print(f"images: signer has the interfaces {tried['interfaces']}, tried to connect, and got {tried['connects']}")


def attempts(pid, uid):
    """A child of ours moves into the container's network and files, becomes its user, and tries. The images have no program that could."""
    told, tells = os.pipe()
    child = os.fork()
    if child == 0:
        answer = {}
        try:
            answer = attempt(pid, uid)
        except BaseException as error:
            answer = {"error": repr(error)}
        finally:
            os.write(tells, json.dumps(answer).encode())
            os._exit(0)
    os.close(tells)
    with os.fdopen(told) as answer:
        tried = json.load(answer)
    os.waitpid(child, 0)
    expect("error" not in tried, f"the attempts could be made: {tried}")
    return tried


def attempt(pid, uid):
    libc = ctypes.CDLL(None, use_errno=True)
    spaces = [(os.open(f"/proc/{pid}/ns/{name}", os.O_RDONLY), kind) for name, kind in (("net", CLONE_NEWNET), ("mnt", CLONE_NEWNS))]
    interfaces = None
    for space, kind in spaces:
        if libc.setns(space, kind) != 0:
            raise OSError(ctypes.get_errno(), "setns")
        if kind == CLONE_NEWNET:
            interfaces = [name for _, name in socket.if_nameindex()]
    os.setgroups([])
    os.setgid(GROUP)
    os.setuid(uid)

    def outcome(act):
        try:
            act()
        except OSError as error:
            return errno.errorcode.get(error.errno, str(error))
        return "it worked"

    def writes(path):
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT, 0o600))

    def connects(host):
        with socket.socket() as connection:
            connection.settimeout(2)
            connection.connect((host, 53))

    return {
        "interfaces": interfaces,
        "writes": {path: outcome(lambda path=path: writes(path)) for path in ("/x", "/etc/x", "/usr/local/bin/paygate", "/etc/paygate/x", "/tmp/x")},
        "connects": {host: outcome(lambda host=host: connects(host)) for host in ("192.0.2.1", "127.0.0.1")},
    }


def secrets_stay(docker):
    """Not in what the engine tells, not in a log, not in a layer."""
    told = {
        "inspect": docker("inspect", "gateway", "signer", "paygate", "paygate-signer"),
        "history": "".join(docker("history", "--no-trunc", tag) for tag in ("paygate", "paygate-signer")),
        "logs": "".join(docker("logs", name) for name in ("gateway", "signer")),
    }
    for where, text in told.items():
        expect(text and SEED not in text, f"the seed is not in {where}")
    with tempfile.NamedTemporaryFile(suffix=".tar") as saved:
        docker("save", "--output", saved.name, "paygate", "paygate-signer")
        with tarfile.open(saved.name) as images_of:
            layers = [member for member in images_of.getmembers() if member.name.endswith("layer.tar") and member.isfile()]
            expect(layers, "the images have layers to look into")
            for member in layers:
                expect(SEED.encode() not in images_of.extractfile(member).read(), f"the seed is not in {member.name}")
    print(f"images: the seed is in none of {', '.join(told)} and {len(layers)} layers")


def expect(holds, what):
    if not holds:
        raise SystemExit(f"images: expected that {what}")


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, devnet.end_in_order)
    sys.exit(main())
