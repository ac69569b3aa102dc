#!/usr/bin/env python3
"""Runs the commands of the runbooks as they stand there against a devnet: each `sh` block's lines, once.

A devnet has other addresses and paths than a host, and the words in capitals are the reader's to fill in; both are replaced, nothing else.
What a devnet cannot do, `tests/run --full fired` does on a host of its own, under faults: together nearly all of them.

Owns: which commands cannot run here, and why. That list may become shorter: a new command that does not run fails.
"""

import json
import os
import pathlib
import subprocess
import tempfile

import devnet
import runbooks

TARGET = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", devnet.ROOT / "target")) / "debug"
COMMAND_WITHIN_S = 90

# What cannot run beside a devnet: the beginning of the command, and the reason. All but the last line run in part `fired`.
NOT_HERE = {
    "systemctl ": "systemd is not the first process of a test machine",
    "journalctl ": "likewise: a devnet's logs are files",
    "dmesg ": "the kernel of a test machine does not show its log",
    "paygate-signer init ": "a person types at a terminal",
    "chown paygate-signer: ": "likewise, of the keystore that init makes",
    "paygate-signer show ": "likewise",
    "paygate restore ": "devnet's gateway would have to be stopped, and devnet ends with it",
    "paygate-signer recover ": "likewise, its signer",
    "paygate-signer adopt-store ": "likewise",
    "paygate rebuild --config /etc/paygate/paygate.toml --ids ": "of a list of ids, which a story of part `fired` has",
    **runbooks.NOWHERE,
}

# Commands that rightly end with something else than 0 on a devnet where all is well.
ENDS_WITH = {
    "grep -E 'UNKNOWN|INTERNAL": (0, 1),  # No request failed: nothing to show.
    "| grep denied": (0, 1),  # No request was denied.
    "paygatectl rollout rollback ": (3,),  # A devnet has no roll-out.
    "paygatectl cancel ": (1,),  # The devnet's payment is PAID, which a cancel reports as 1.
    "paygatectl resume ": (0, 3),  # Nothing is paused.
}

# At least this share of the different commands runs.
RUN_SHARE_MIN = 0.55


def main():
    commands = runbooks.everything()
    here = {command: page for command, page in commands.items() if not any(command.startswith(start) for start in NOT_HERE)}
    unused = [start for start in NOT_HERE if not any(command.startswith(start) for command in commands)]
    expect(not unused, f"what cannot run here is in a runbook, not {unused}")
    share = len(here) / len(commands)
    expect(share >= RUN_SHARE_MIN, f"{RUN_SHARE_MIN:.0%} of the commands run, not {share:.0%}")
    with devnet.running("--close-ms", "500") as world, tempfile.TemporaryDirectory() as folder:
        values = replacements(world)
        for command, page in here.items():
            run(command, page, values, folder)
    print(f"runbooks: {len(here)} of {len(commands)} different commands run as they stand; {len(NOT_HERE)} kinds need a person or a host")


def replacements(world):
    directory, endpoints = world["directory"], world["endpoints"]
    status = paygatectl(endpoints["gateway"], "--output", "json", "status")
    validated = int(json.loads(status)["ledger"]["validated_ledger_index"])
    return {
        "http://127.0.0.1:50051": f"http://{endpoints['gateway']}",
        "http://127.0.0.1:50052": f"http://{endpoints['health']}",
        "http://127.0.0.1:9090": f"http://{endpoints['metrics'].removeprefix('http://').removesuffix('/metrics')}",
        "unix:/run/paygate-signer/signer.sock": endpoints["signer"].replace("unix://", "unix:"),
        "/etc/paygate/paygate.toml": f"{directory}/gateway/gateway.toml",
        "/etc/paygate-signer/paygate-signer.toml": f"{directory}/signer/signer.toml",
        "/var/lib/paygate": f"{directory}/gateway",
        "PAYMENT_ID": world["payment_id"],
        "TX_HASH": "A" * 64,
        # Announcements end within a thousand ledgers; the next payments wait for it.
        "LEDGER_INDEX": str(validated + 40),
        # Nobody's account on a fresh ledger: the amount has to create it.
        "pay 0.001 --to ADDRESS": "pay 12 --to rPT1Sjq2YGrBMTttX4GZHjKu9dyfzbpAYe",
        "ADDRESS": "rPT1Sjq2YGrBMTttX4GZHjKu9dyfzbpAYe",
    }


def run(command, page, values, folder):
    text = command
    for old, new in values.items():
        text = text.replace(old, new)
    path = f"{TARGET}:{os.environ['PATH']}"
    environment = {**os.environ, "PATH": path, "PAYGATE_ENDPOINT": values["http://127.0.0.1:50051"]}
    done = subprocess.run(["bash", "-c", text], env=environment, cwd=folder, stdin=subprocess.DEVNULL,
                          capture_output=True, text=True, timeout=COMMAND_WITHIN_S, check=False)
    ends = next((codes for part, codes in ENDS_WITH.items() if part in command), (0,))
    expect(done.returncode in ends, f"{page}: {command!r} ends with {ends}, not {done.returncode}:\n{done.stdout}{done.stderr}")


def paygatectl(gateway, *arguments):
    done = subprocess.run([TARGET / "paygatectl", "--endpoint", f"http://{gateway}", *arguments],
                          capture_output=True, text=True, timeout=COMMAND_WITHIN_S, check=True)
    return done.stdout


def expect(holds, what):
    if not holds:
        raise SystemExit(f"runbooks: expected that {what}")


if __name__ == "__main__":
    main()
