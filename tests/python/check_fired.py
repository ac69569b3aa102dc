#!/usr/bin/env python3
"""Alerts for real: a fault is made, real Prometheus and Alertmanager page for it, the runbook's commands are typed as they stand there,
and the alert ends.

Gateway and signer run under systemd on a host of their own (host.py), with the units of deploy/; the ledger is simulated. Afterwards the
commands that no story needed are typed as well, so that the whole of the runbooks was run.

Owns: which fault fires which alert, and what a person does with his own hands between a runbook's commands. May not: change a
command but for the reader's words in capitals, or a threshold.
"""

import contextlib
import dataclasses
import itertools
import json
import os
import pathlib
import re
import select
import signal
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request

import check_alerts
import devnet
import host
import monitoring
import runbooks

# The well-known first account of a new ledger: the treasury. And a wallet out of tests/vectors.
PASSPHRASE = "correct horse battery"
TREASURY, TREASURY_SEED = "rHb9CJAWyB4rj91VRWn96DkukG4bwdtyTh", "snoPBrXtMeMyMHUVTgbuqAfg1SUTb"
WALLET, WALLET_SEED = "rpuiTFT5sxcQv3XoePtEXdxzMRLdjA7xcc", "sEd7unWZtmZa7ZehCzPDDYsB9k5h6tp"
PAYEE = "rPT1Sjq2YGrBMTttX4GZHjKu9dyfzbpAYe"
# Nobody whom the signer is to pay.
DENIED = "rwX9gdipVsVS8vLmqTsYfUJc7NxjYP6U7"

NETWORK = 21337
DROPS_PER_XRP = 1_000_000
WALLET_XRP = 300
DAY_XRP = 2000
SERVERS = 3
CLOSE_EVERY_S = 0.5

# LedgerHalted's threshold is a minute of real time, and a fault is noticed by looks of some seconds.
FIRES_WITHIN_S = 150.0
# `increase(...[10m])` is 20 s here, and a group's next message another 10.
RESOLVES_WITHIN_S = 120.0
FLOWS_WITHIN_S = 90.0
CALL_WITHIN_S = 30.0
# A program that was just started is asked again.
AGAIN_WITHIN_S = 45.0

GATEWAY_FILE, SIGNER_FILE = "/etc/paygate/paygate.toml", "/etc/paygate-signer/paygate-signer.toml"

# At least this share of the different commands of all runbooks is run by this check.
RUN_SHARE_MIN = 0.90

# Commands that run nowhere, at most: the list of reasons does not grow.
UNTYPED_MAX = 2

# Different alerts that a real fault fires here, at least.
ALERTS_MIN = 17


@dataclasses.dataclass
class Story:
    """One fault, the alert that it fires, and how a person ends it."""

    # None: a procedure that no alert leads to.
    alert: str | None
    fault: str
    # Makes it.
    make: object
    # Whose commands are typed, page after page.
    pages: list
    # What is done by hand before the n-th time that a command comes: (command, n) -> what.
    hands: dict = dataclasses.field(default_factory=dict)
    # Commands that rightly end with something else than 0 while the fault is there.
    ends: dict = dataclasses.field(default_factory=dict)
    # What gets well by itself, outside, while the runbook says to wait.
    passes: object = lambda: None
    # Other alerts that the same fault fires.
    also: tuple = ()


class Stage:
    """The host, the ledger around it, and who is paged."""

    def __init__(self, machine, ledger, pager):
        self.host, self.ledger, self.pager = machine, ledger, pager
        self.typed, self.said, self.number = {}, {}, 0
        # The reader's words in capitals.
        self.words = {"ADDRESS": PAYEE}

    # === what happens ===

    def plays(self, story):
        """The story; its row of the table."""
        began = time.monotonic()
        story.make()
        awaited = (story.alert, *story.also) if story.alert else ()
        fired = {name: self.hears(name, "firing", began, FIRES_WITHIN_S) for name in awaited}
        for name, alert in fired.items():
            judge(name, alert)
        acted, commands = time.monotonic(), self.follows(story)
        story.passes()
        resolved = {name: self.hears(name, "resolved", acted, RESOLVES_WITHIN_S) for name in fired}
        self.flows()
        row = ["none: " + story.pages[0], "", story.fault, "", str(commands), ""]
        if story.alert:
            severity = fired[story.alert]["labels"]["severity"]
            seconds = (fired[story.alert]["at"] - began, resolved[story.alert]["at"] - acted)
            row = [", ".join(fired), severity, story.fault, f"{seconds[0]:.0f}", str(commands), f"{seconds[1]:.0f}"]
        print("fired: " + " | ".join(row), flush=True)
        return row

    def hears(self, name, status, since, within_s):
        deadline = time.monotonic() + within_s
        while (alert := self.pager.first(name, status, since)) is None:
            if time.monotonic() > deadline:
                status_now = self.host.types("paygatectl --timeout 2s status").stdout
                raise SystemExit(f"{name} is not {status} after {within_s:.0f} s; Prometheus has {monitoring.alerts()}\n{status_now}")
            time.sleep(devnet.POLL_S)
        return alert

    def follows(self, story):
        """Types the pages' commands, in their order. How many."""
        seen, count = {}, 0
        for page in story.pages:
            for command in runbooks.of(page):
                if runbooks.runs_nowhere(command):
                    continue
                seen[command] = seen.get(command, 0) + 1
                story.hands.get((command, seen[command]), lambda: None)()
                self.types(page, command, story.ends.get(command, (0,)))
                count += 1
        return count

    def types_the_rest(self):
        """The commands that no story has typed, once each."""
        for command, page in runbooks.everything().items():
            if command not in self.typed and not runbooks.runs_nowhere(command):
                self.types(page, command, (0,))
        self.flows()

    def types(self, page, command, ends):
        """A command as it stands in the text; only the words in capitals are the reader's."""
        text = command
        for word, value in self.words.items():
            text = re.sub(rf"(?<![A-Z_]){word}(?![A-Z_])", lambda _, value=value: value, text)
        deadline = time.monotonic() + (AGAIN_WITHIN_S if " probe " in command else 0)
        while True:
            done = converses(self.host, text) if text.startswith("paygate-signer init ") else self.host.follows(text)
            if done.returncode in ends:
                break
            if time.monotonic() > deadline:
                raise SystemExit(f"{page}: {text!r} ends with {ends}, not {done.returncode}:\n{done.stdout}{done.stderr}")
            time.sleep(devnet.POLL_S)
        self.typed[command], self.said[command] = page, done.stdout

    def flows(self):
        """The end state: a payment is PAID, and nothing stops the next one."""
        self.number += 1
        self.host.does(f"paygatectl pay 0.5 --to {PAYEE} --id canary-{self.number} --wait --wait-timeout {FLOWS_WITHIN_S:.0f}s")
        devnet.until("payments flow", FLOWS_WITHIN_S,
                     lambda: self.host.types("paygatectl status").stdout.startswith("payments flow"))

    # === what people and the world do ===

    def pays(self, xrp):
        self.number += 1
        self.host.does(f"paygatectl pay {xrp} --to {PAYEE} --id volume-{self.number} --wait --wait-timeout {FLOWS_WITHIN_S:.0f}s")

    def asks_for(self, how_many, *more):
        """Payments that nobody waits for."""
        for _ in range(how_many):
            self.number += 1
            done = self.host.types(f"paygatectl pay 0.01 --to {PAYEE} --id waiting-{self.number} {' '.join(more)}")
            expect(done.returncode == 2, f"waiting-{self.number} is stored, not:\n{done.stdout}{done.stderr}")
            self.words["PAYMENT_ID"] = f"waiting-{self.number}"

    def refills(self, xrp):
        """The treasury, with its own tool, and until it has arrived."""
        before = drops(self.host)
        self.ledger.sends(TREASURY_SEED, {"TransactionType": "Payment", "Account": TREASURY, "Destination": WALLET, "Amount": str(xrp * DROPS_PER_XRP)})
        devnet.until("the refill has arrived", CALL_WITHIN_S, lambda: drops(self.host) > before)

    def spoils(self, path, unit):
        """A slip in a file, and the program ends and cannot come back."""
        self.host.edits(path, r"\A", "no_such_key = 1\n")
        self.host.does(f"systemctl kill --signal KILL {unit}")
        # Its exit code says that no restart mends it.
        devnet.until(f"{unit} is not started again", CALL_WITHIN_S, lambda: self.host.types(f"systemctl is-failed {unit}").returncode == 0)

    def repairs(self, path):
        self.host.edits(path, r"^no_such_key = 1\n", "")

    def uses_server(self, number, instead_of):
        self.host.edits(GATEWAY_FILE, re.escape(server_entry(instead_of)), server_entry(number))


class Ledger:
    """The simulated network: closes a ledger twice a second, as long as nobody stops it."""

    def __init__(self, rpcs):
        self.rpcs, self.going, self.over = rpcs, threading.Event(), threading.Event()
        self.going.set()
        self.closer = threading.Thread(target=self._close, daemon=True)
        self.closer.start()

    def _close(self):
        while not self.over.wait(CLOSE_EVERY_S):
            if self.going.is_set():
                # Whatever keeps it from closing shows as a ledger that stands still.
                with contextlib.suppress(OSError):
                    self.ask(SERVERS, "ledger_accept")

    def ask(self, number, method, **params):
        body = json.dumps({"method": method, "params": [params]}).encode()
        with urllib.request.urlopen(urllib.request.Request(self.rpcs[number - 1], body), timeout=CALL_WITHIN_S) as answer:
            result = json.load(answer)["result"]
        expect(result["status"] == "success", f"{method} succeeds, not {result}")
        return result

    def suffers(self, fault, *numbers):
        for number in numbers:
            self.ask(number, "sim_script", fault=fault)

    def heals(self):
        for number in range(1, SERVERS + 1):
            self.ask(number, "sim_script", heal=True)

    def validated(self):
        return int(self.ask(SERVERS, "ledger", ledger_index="validated")["ledger_index"])

    def sends(self, seed, fields):
        """A transaction that its sender signs with a tool of his own. Its hash."""
        answer = self.ask(SERVERS, "submit", secret=seed, tx_json={**fields, "NetworkID": NETWORK})
        expect(answer["engine_result"] == "tesSUCCESS", f"{fields['TransactionType']} is taken, not {answer['engine_result']}")
        return answer["tx_json"]["hash"]


# === the stories ===

def stories(stage):
    """In an order in which none is in another's way."""
    machine, ledger = stage.host, stage.ledger
    restart = "systemctl restart paygate"
    check, signer_check = f"paygate check-config --config {GATEWAY_FILE}", f"paygate-signer check-config --config {SIGNER_FILE}"

    yield Story("BackupTooOld", "no copy of the database was ever made", lambda: None, ["BackupTooOld"])

    yield Story(
        "SignerDown", "a slip in the signer's file, and it is killed",
        lambda: stage.spoils(SIGNER_FILE, "paygate-signer"), ["SignerDown"],
        hands={("systemctl restart paygate-signer", 1): lambda: stage.repairs(SIGNER_FILE)},
        ends={signer_check: (64,), "systemctl status paygate-signer": (3,),
              "paygate-signer probe --addr unix:/run/paygate-signer/signer.sock": range(1, 128)})

    yield Story(
        "GatewayDown", "a slip in the gateway's file, and kill -9", lambda: stage.spoils(GATEWAY_FILE, "paygate"), ["GatewayDown"],
        hands={(restart, 1): lambda: stage.repairs(GATEWAY_FILE)},
        ends={check: (64,), "systemctl status paygate": (3,),
              "curl -s -o /dev/null -w '%{http_code}\\n' http://127.0.0.1:9090/livez": (7,)})

    yield Story(
        "XRPLServerDown", "one of two servers is gone", lambda: ledger.suffers("gone", 2), ["XRPLServerDown", "xrpl-connection-issues"],
        hands={(check, 1): lambda: stage.uses_server(3, instead_of=2)}, passes=ledger.heals)

    yield Story(
        "XRPLConnectionDown", "all servers are gone", lambda: ledger.suffers("gone", 1, 3), ["XRPLConnectionDown", "xrpl-connection-issues"],
        hands={(check, 1): lambda: (stage.uses_server(2, instead_of=3), ledger.heals())})

    yield Story("LedgerHalted", "the network validates no ledgers", ledger.going.clear, ["LedgerHalted", "ledger-halt"], passes=ledger.going.set)

    yield Story(
        "LowWalletBalance", "the wallet is spent down to 90 XRP", lambda: stage.pays(WALLET_XRP - 90), ["LowWalletBalance", "hot-wallet-refill"],
        hands={("paygatectl wallet", 3): lambda: (stage.refills(1), stage.refills(500))})

    yield Story(
        "CriticalWalletBalance", "the wallet is spent down to 15 XRP", lambda: stage.pays(drops(machine) // DROPS_PER_XRP - 15),
        ["CriticalWalletBalance", "hot-wallet-refill"],
        hands={("paygatectl wallet", 3): lambda: (stage.refills(1), stage.refills(4000))})

    yield Story(
        "SpendLimitNearlyUsed", "more than 90 % of the day's limit is paid", lambda: stage.pays(DAY_XRP * 92 // 100 - spent(machine)),
        ["SpendLimitNearlyUsed"],
        hands={(check, 1): lambda: [machine.edits(GATEWAY_FILE, '^daily_limit_xrp = .*$', 'daily_limit_xrp = "100000"'),
                                    machine.edits(SIGNER_FILE, '^max_day_xrp = .*$', 'max_day_xrp = "100000"')]})

    def deny():
        machine.edits(SIGNER_FILE, r"^denied_destinations = \[\]$", f'denied_destinations = ["{DENIED}"]')
        machine.does("systemctl restart paygate-signer")
        stage.flows()
        machine.types(f"paygatectl pay 20 --to {DENIED} --id denied")

    yield Story(
        "SignerDenials", "the signer's file denies a payee, the gateway's does not", deny, ["SignerDenials"],
        hands={("systemctl start paygate-signer", 1): lambda: machine.edits(SIGNER_FILE, r"^denied_destinations = .*$", "denied_destinations = []")})

    pause = "paygatectl pause --reason 'looking at odd payments'"

    def expire():
        machine.does(pause)
        repeat(stage, "PaymentFailureSpike", lambda: stage.asks_for(1, "--before", "6s"))

    yield Story("PaymentFailureSpike", "a pause, and payments with short deadlines", expire, ["PaymentFailureSpike", "PaymentNotConfirming", "PendingPaymentsStuck"],
                ends={"paygatectl get PAYMENT_ID": (1,)})

    yield Story("PendingPaymentsStuck", "a pause that was forgotten, and twelve payments", lambda: (machine.does(pause), stage.asks_for(12)),
                ["PendingPaymentsStuck"])

    filler = "/var/lib/paygate/somebody-elses-file"

    def fill():
        machine.types(f"cat /dev/zero > {filler}")
        repeat(stage, "HighErrorRate", lambda: machine.types(f"paygatectl --timeout 1s pay 0.01 --to {PAYEE} --id full-{time.monotonic_ns()}"))

    yield Story("StoreFailing", "the disk of the database is full", fill, ["StoreFailing", "HighErrorRate"],
                hands={("journalctl -u paygate -n 20 --no-pager", 1): lambda: machine.does(f"rm {filler}")}, also=("HighErrorRate",))

    def load():
        ledger.suffers({"load_factor": {"times": 400}}, *range(1, SERVERS + 1))
        time.sleep(CLOSE_EVERY_S)
        stage.asks_for(1)

    yield Story(
        "FeeAboveCap", "the network's load is 400 times the usual", load, ["FeeAboveCap"],
        hands={(check, 1): lambda: [machine.edits(GATEWAY_FILE, "^max_drops = .*$", "max_drops = 6000"),
                                    machine.edits(SIGNER_FILE, "^max_fee_drops = .*$", "max_fee_drops = 6000")]},
        passes=ledger.heals)


def last_story(stage):
    """After the procedures: a database that was put back would not know what a person has acknowledged since."""
    ledger = stage.ledger

    def foreign():
        stage.words["TX_HASH"] = ledger.sends(WALLET_SEED, {"TransactionType": "AccountSet", "Account": WALLET})

    yield Story("ForeignTransaction", "somebody signs with the wallet's key outside", foreign, ["ForeignTransaction", "WalletFrozen"],
                also=("WalletFrozen",))


def procedures(stage):
    """Pages that no alert leads to, or of which no fault is made here, in an order in which each finds what it needs."""
    machine, ledger = stage.host, stage.ledger
    start = "systemctl start paygate-signer"

    # There is no roll-out here to go back in; tests/tests/rollout.rs goes back in one.
    yield Story(None, "a deployment is taken back", lambda: None, ["failed-deployment"],
                ends={"paygatectl rollout rollback --reason 'failed deployment'": (3,)})

    def announced():
        stage.words["LEDGER_INDEX"] = str(ledger.validated() + 20)

    yield Story(None, "a key is made, an announcement ends unused", lambda: stage.words.update(TX_HASH="A" * 64), ["key-rotation"],
                hands={("paygatectl announce TX_HASH --last-ledger LEDGER_INDEX --reason 'regular key rotated, ticket'", 1): announced})

    yield Story(None, "first minutes of an incident", lambda: None, ["incident-response"], passes=lambda: machine.does(start))
    yield Story(None, "a suspicion", lambda: None, ["key-compromise"], passes=lambda: machine.does(start))

    recover = f"paygate-signer recover --config {SIGNER_FILE} --validated-ledger "
    anew = f"paygate-signer recover --config {SIGNER_FILE} --new-journal --validated-ledger LEDGER_INDEX"
    known = recover + "LEDGER_INDEX"

    def copied():
        copies = machine.does("ls -t /var/lib/paygate/backups/").split()
        stage.words["COPY"] = next(name for name in copies if name.endswith(".db")).removesuffix(".db")

    def put_back():
        machine.does("rm -r /var/lib/paygate-signer/journal && cp -a /root/journal /var/lib/paygate-signer/journal")
        announced()

    def dead(command):
        until = re.search(r"until ledger (\d+)", stage.said[command])[1]
        stage.words["DEAD_LEDGER"] = until
        devnet.until(f"ledger {until} is validated", FLOWS_WITHIN_S, lambda: ledger.validated() >= int(until))

    yield Story(
        None, "an old database, an old journal, and none", copied, ["restore-from-backup"],
        hands={(known, 1): put_back, (recover + "DEAD_LEDGER", 1): lambda: dead(known), ("systemctl stop paygate-signer", 2): stage.flows,
               (anew, 1): announced, (recover + "DEAD_LEDGER", 2): lambda: dead(anew)})

    def lose():
        machine.does("systemctl stop paygate")
        machine.does("rm /var/lib/paygate/paygate.db*")
        machine.does("printf 'local\tcanary-1\n' > ids.tsv", "paygate")

    yield Story(
        None, "no database and no copy", lose, ["total-loss"],
        hands={("systemctl stop paygate-signer", 1): lambda: stage.words.update(STORE_ID=machine.asks("status")["store_id"])})


def converses(machine, command):
    """A person at a terminal makes a keystore. What came of it."""
    enter = machine.enters(["bash", "-c", command])
    keys, side = os.openpty()
    process = subprocess.Popen(enter, stdin=side, stdout=side, stderr=side, start_new_session=True)
    os.close(side)
    seen, read, deadline = "", 0, time.monotonic() + FLOWS_WITHIN_S

    def sees(text):
        nonlocal seen, read
        while text not in seen[read:]:
            expect(time.monotonic() < deadline and process.poll() is None, f"{text!r} is shown, not:\n{seen}")
            if select.select([keys], [], [], devnet.POLL_S)[0]:
                seen += os.read(keys, 65536).decode(errors="replace")
        before = seen[read:seen.index(text, read)]
        read = seen.index(text, read) + len(text)
        return before

    def answers(question, text):
        before = sees(question)
        os.write(keys, f"{text}\n".encode())
        return before

    answers("Type I UNDERSTAND to go on: ", "I UNDERSTAND")
    answers("A new passphrase", PASSPHRASE)
    answers("The same again: ", PASSPHRASE)
    shown = sees("Then type its last 6 characters: ")
    seed = next(word for word in shown.split() if re.fullmatch(r"s\w{24,}", word))
    os.write(keys, f"{seed[-6:]}\n".encode())
    sees("paygate-signer show.")
    code = process.wait(CALL_WITHIN_S)
    os.close(keys)
    return subprocess.CompletedProcess(command, code, "", "")


def repeat(stage, alert, act):
    """Does it until somebody is paged for it."""
    began, deadline = time.monotonic(), time.monotonic() + FIRES_WITHIN_S
    while stage.pager.first(alert, "firing", began) is None and time.monotonic() < deadline:
        act()


def drops(machine):
    """What the wallet holds."""
    return int(machine.asks("wallet")["balance_drops"])


def spent(machine):
    """Whole XRP of the day's limit that are used."""
    return int(machine.asks("wallet")["limits"]["daily_used_drops"]) // DROPS_PER_XRP


def judge(name, alert):
    """What arrived is what deploy/ promises: severity, receiver, runbook."""
    rule = next(rule for rule in check_alerts.rules() if rule.get("alert") == name)
    severity, url = alert["labels"]["severity"], alert["annotations"]["runbook_url"]
    expect(severity == rule["labels"]["severity"], f"{name} arrives as {rule['labels']['severity']}, not {severity}")
    expect(alert["path"] == {"critical": "/page", "warning": "/team"}[severity], f"{name} goes to its receiver, not {alert['path']}")
    expect(url.endswith(f"/runbooks/{name}.md") and (runbooks.RUNBOOKS / f"{name}.md").is_file(), f"{name} leads to its runbook, not {url}")


# === the host ===

def server_entry(number):
    return f'url = "ws://127.0.0.1:{6005 + number}"\noperator = "operator-{number}"'


def install(machine, anchor):
    """The two files as deploy/ shows them, for a simulated network, and the two units."""
    gateway, signer = machine.uid("paygate"), machine.uid("paygate-signer")
    entries = "".join(f"[[xrpl.servers]]\n{server_entry(number)}\nown = true\n\n" for number in (1, 2))
    machine.writes(GATEWAY_FILE, f'''profile = "dev"
listen = "127.0.0.1:50051"

[health]
listen = "127.0.0.1:50052"

[monitoring]
metrics_listen = "127.0.0.1:9090"

[store]
path = "/var/lib/paygate/paygate.db"

[backup]
dir = "/var/lib/paygate/backups"

[signer]
socket_path = "/run/paygate-signer/signer.sock"
allowed_uids = [{signer}]

[wallet]
address = "{WALLET}"
network_id = {NETWORK}
anchor = {{ index = {anchor["index"]}, hash = "{anchor["hash"]}" }}

{entries}[fees]
max_drops = 2000

[limits]
max_payment_xrp = "2000"
daily_limit_xrp = "{DAY_XRP}"

[security]
require_authentication = false
rate_limit_per_minute = 1000000
rate_limit_per_hour = 1000000
read_limit_per_minute = 1000000
''', "root:paygate", 0o640)
    machine.writes(SIGNER_FILE, f'''profile = "dev"

[listen]
socket_path = "/run/paygate-signer/signer.sock"
allowed_uids = [{gateway}]

[wallet]
seed_file = "/etc/paygate-signer/seed"
network_id = {NETWORK}

[policy]
max_payment_xrp = "2000"
max_day_xrp = "{DAY_XRP}"
max_fee_drops = 2000
denied_destinations = []
anchor_ledger_index = {anchor["index"]}
anchor_time = {int(time.time())}
ledger_min_close_ms = 100

[journal]
directory = "/var/lib/paygate-signer/journal"
''', "root:paygate", 0o644)
    machine.writes("/etc/paygate-signer/seed", f"{WALLET_SEED}\n", "paygate-signer", 0o400)
    machine.writes("/etc/paygate-signer/passphrase", "unused: the key is in a seed file\n", "root", 0o400)
    machine.does("systemctl start paygate-signer paygate paygate-backup.timer")


@contextlib.contextmanager
def simulated_ledger(folder):
    """The network outside of the host, and its anchor."""
    ports = range(1, SERVERS + 1)
    command = [host.TARGET / "xrpl-sim", "--servers", str(SERVERS), "--close-ms", "0", "--network-id", str(NETWORK),
               "--ws-port", ",".join(str(6005 + port) for port in ports), "--rpc-port", ",".join(str(5004 + port) for port in ports),
               "--fund", f"{WALLET}={WALLET_XRP}", "--fund", f"{PAYEE}=100"]
    with (folder / "ledger.log").open("w") as log:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log, text=True)
    try:
        ready = json.loads(process.stdout.readline() or "null")
        expect(ready, f"the simulated ledger starts:\n{(folder / 'ledger.log').read_text()}")
        ledger = Ledger([server["rpc"] for server in ready["servers"]])
        yield ledger, ready["anchor"]
        ledger.over.set()
        ledger.closer.join(CALL_WITHIN_S)
    finally:
        process.terminate()
        process.wait(CALL_WITHIN_S)


def main():
    chosen = sys.argv[1:]
    host.enter_own_network()
    signal_ends_in_order()
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        with simulated_ledger(folder) as (ledger, anchor), host.running() as machine, monitoring.running(folder) as pager:
            install(machine, anchor)
            stage = Stage(machine, ledger, pager)
            try:
                stage.flows()
                # An old copy of the journal, for the page that tells what to do with one.
                machine.does("cp -a /var/lib/paygate-signer/journal /root/journal")
                told = itertools.chain(stories(stage), procedures(stage), last_story(stage))
                rows = [stage.plays(story) for story in told if not chosen or (story.alert or story.pages[0]) in chosen]
                if not chosen:
                    stage.types_the_rest()
            except BaseException:
                print(machine.types("journalctl -u paygate -u paygate-signer -n 60 --no-pager -o cat").stdout, file=sys.stderr)
                raise
    show(rows)
    fired = {name for row in rows if row[1] for name in row[0].split(", ")}
    known = runbooks.everything()
    share = len(stage.typed) / len(known)
    print(f"fired: {len(fired)} alerts arrived and ended, times {monitoring.FASTER} times shorter than in deploy/, thresholds as they are")
    print(f"fired: {len(stage.typed)} of {len(known)} different commands of all runbooks were typed as they stand, {share:.0%}")
    if not chosen:
        expect(len(fired) >= ALERTS_MIN, f"{ALERTS_MIN} alerts are fired, not {len(fired)}")
        expect(len(known) - len(stage.typed) <= UNTYPED_MAX, f"at most {UNTYPED_MAX} commands run nowhere, not {len(known) - len(stage.typed)}")
        expect(share >= RUN_SHARE_MIN, f"{RUN_SHARE_MIN:.0%} of the commands are typed, not {share:.0%}")
        expect(all(any(command.startswith(start) for command in known) for start in runbooks.NOWHERE), "what runs nowhere is in a runbook")


def show(rows):
    table = [["alert", "severity", "fault", "s to firing", "commands", "s to resolved"], *rows]
    widths = [max(len(row[column]) for row in table) for column in range(len(table[0]))]
    for row in table:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip())


def signal_ends_in_order():
    signal.signal(signal.SIGTERM, devnet.end_in_order)


def expect(holds, what):
    if not holds:
        raise SystemExit(f"fired: expected that {what}")


if __name__ == "__main__":
    main()
