"""A gateway with TLS and authentication, its signer and the simulated ledger, as a proxy of production finds them: started, and stopped.

Owns: their three processes and files. May not: leave one behind, or give the gateway a rule that deploy/paygate.production.toml has not.
"""

import contextlib
import json
import os
import pathlib
import subprocess
import time

import devnet

TARGET = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", devnet.ROOT / "target")) / "debug"

# The well-known seed "masterpassphrase", of the simulated ledger's first account, which holds everything.
SEED = "snoPBrXtMeMyMHUVTgbuqAfg1SUTb"
WALLET = "rHb9CJAWyB4rj91VRWn96DkukG4bwdtyTh"

CLOSE_MS = 500
ENDED_WITHIN_S = 60.0


@contextlib.contextmanager
def running(folder, proxy, client):
    """Endpoints and process ids. `proxy` and `client` are the credentials of who may hand callers on, and of who may pay and look."""
    subprocess.run(["cargo", "build", "--quiet", "--workspace", "--bins"], cwd=devnet.ROOT, check=True, timeout=devnet.READY_WITHIN_S)
    home = folder / "secured"
    home.mkdir()
    (home / "run").mkdir(mode=0o750)
    (home / "seed").write_text(SEED + "\n")
    (home / "seed").chmod(0o400)
    (folder / "gateway.key").chmod(0o400)
    ports = {name: f"127.0.0.1:{devnet.free_port()}" for name in ("gateway", "health", "metrics")}
    with contextlib.ExitStack() as started:
        def starts(name, *arguments, **more):
            log = started.enter_context((home / f"{name}.log").open("w"))
            process = subprocess.Popen([str(TARGET / name), *arguments], stderr=log, text=True, **more)
            started.callback(ends, process, home / f"{name}.log")
            return process

        ledger = starts("xrpl-sim", "--ws-port", "0", "--rpc-port", "0", "--close-ms", str(CLOSE_MS), stdout=subprocess.PIPE)
        world = json.loads(ledger.stdout.readline())
        (home / "signer.toml").write_text(signer(home, world))
        (home / "gateway.toml").write_text(gateway(folder, home, world, ports, proxy, client))
        signs = starts("paygate-signer", "serve", "--config", str(home / "signer.toml"), stdout=subprocess.DEVNULL)
        devnet.until("the signer listens", ENDED_WITHIN_S, (home / "run" / "signer.sock").exists)
        serves = starts("paygate", "serve", "--config", str(home / "gateway.toml"), stdout=subprocess.PIPE)
        if not serves.stdout.readline():
            raise SystemExit(f"the gateway does not serve:\n{(home / 'paygate.log').read_text()}")
        yield {"endpoints": ports, "pids": {"gateway": serves.pid, "signer": signs.pid, "xrpl-sim": ledger.pid}}


def ends(process, log):
    ended = process.poll()
    process.terminate()
    process.wait(ENDED_WITHIN_S)
    if ended is not None:
        raise SystemExit(f"{process.args[0]} ended by itself with {ended}:\n{log.read_text()[-4000:]}")


def signer(home, world):
    return f"""profile = "dev"
[listen]
socket_path = "{home}/run/signer.sock"
[wallet]
seed_file = "{home}/seed"
network_id = {world["network_id"]}
[policy]
max_payment_xrp = "100"
max_day_xrp = "1000"
anchor_ledger_index = {world["anchor"]["index"]}
anchor_time = {int(time.time())}
ledger_min_close_ms = {CLOSE_MS * 4 // 5}
[journal]
directory = "{home}/journal"
"""


def gateway(folder, home, world, ports, proxy, client):
    return f"""profile = "dev"
listen = "{ports["gateway"]}"
[health]
listen = "{ports["health"]}"
[monitoring]
metrics_listen = "{ports["metrics"]}"
[store]
path = "{home}/paygate.db"
[signer]
socket_path = "{home}/run/signer.sock"
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
[tls]
cert_file = "{folder}/gateway.pem"
key_file = "{folder}/gateway.key"
client_ca_file = "{folder}/clients-ca.pem"
client_certificates = "required"
[limits]
max_payment_xrp = "100"
daily_limit_xrp = "1000"
[security]
require_authentication = true
trusted_proxies = ["{proxy}"]
[[clients]]
client_id = "shop"
credentials = ["{client}"]
scopes = ["pay", "read"]
"""
