#!/usr/bin/env python3
"""One trace for one payment: read back from a real OTLP collector, for a plain payment and for one that outlived its gateway.

Owns: what a caller's trace must hold. The caller is this program: it sends the `traceparent`, and its own span is exported by nobody.
"""

import json
import os
import pathlib
import re
import signal
import time
import urllib.request

import devnet
import pay
import collector

DESTINATION = "rPT1Sjq2YGrBMTttX4GZHjKu9dyfzbpAYe"
DROPS = 7_000_000

# Long enough that a payment is at large, and its spans are with the collector, well before the next ledger.
CLOSE_MS = 10_000

# Both processes export about once a second, and the gateway pulls the signer's.
EXPORTED_WITHIN_S = 30.0
FINAL_WITHIN_S = 120.0
RESTARTED_WITHIN_S = 30.0

# The longest hex text that is no secret and no transaction: a public key has 66 digits.
HEX_DIGITS_MAX = 66
BASE58 = "rpshnaf39wBUDNEGHJKLM4PQRST7VWXYZ2bcdeCg65jkm8oFqi1tuvAxyz"


def main():
    with collector.running() as receiver:
        arguments = ("--close-ms", str(CLOSE_MS), "--otlp-endpoint", receiver.endpoint, "--restart-gateway-on-usr1")
        with devnet.running(*arguments) as world, pay.connect(world["endpoints"]["gateway"]) as channel:
            seed = seed_of(world)
            plain = Story(receiver, channel, "traced-1")
            plain.pay()
            plain.check()
            check_secrets(receiver, [seed, signature_of(world, plain.paid)])
            outlived = Story(receiver, channel, "traced-2")
            outlived.pay_over_a_restart(world)
            outlived.check()
            check_secrets(receiver, [seed, signature_of(world, outlived.paid)])


class Story:
    """A payment under a trace of the caller's own."""

    def __init__(self, receiver, channel, payment_id):
        self.receiver = receiver
        self.payment_id = payment_id
        self.trace_id, self.span_id = os.urandom(16).hex(), os.urandom(8).hex()
        self.client = pay.Client(channel, f"00-{self.trace_id}-{self.span_id}-01")
        self.deadline = time.monotonic() + FINAL_WITHIN_S
        self.restarted_ns = None
        self.paid = None

    def pay(self):
        """Creates it and waits until it is PAID."""
        self.client.create_surely(self.deadline, self.payment_id, DESTINATION, DROPS)
        self.until_paid()

    def pay_over_a_restart(self, world):
        """Creates it, kills the gateway when it is at large, and waits until the next gateway has it PAID."""
        self.client.create_surely(self.deadline, self.payment_id, DESTINATION, DROPS)
        # A killed process takes the spans with it that it has not exported yet; those are lost and not wrong. So that
        # this check is about the rest, it waits for what belongs to the first life.
        devnet.until("the first life's spans", EXPORTED_WITHIN_S, lambda: self.problem() is None)
        before = self.client.state(self.client.get(self.payment_id))
        if before != "AT_LARGE":
            raise SystemExit(f"{self.payment_id} is {before} before the restart, must be AT_LARGE")
        killed = world["pids"]["gateway"]
        world["process"].send_signal(signal.SIGUSR1)
        devnet.until("the gateway is killed", RESTARTED_WITHIN_S, lambda: not devnet.alive(killed))
        self.restarted_ns = time.time_ns()
        self.until_paid()

    def until_paid(self):
        payment = self.client.until_final(self.deadline, self.payment_id)
        self.paid = self.client.shown(payment)
        if self.paid["state"] != "PAID":
            raise SystemExit(f"{self.payment_id} is not PAID: {self.paid}")
        if self.paid["trace_id"] != self.trace_id:
            raise SystemExit(f"{self.payment_id} names the trace {self.paid['trace_id']}, must be {self.trace_id}")

    def check(self):
        """Everything that the trace must hold, as soon as it is exported."""
        deadline = time.monotonic() + EXPORTED_WITHIN_S
        while (problem := self.problem()) is not None:
            if time.monotonic() > deadline:
                shown = json.dumps(self.receiver.trace(self.trace_id), indent=2)
                raise SystemExit(f"{self.payment_id}: {problem}; the trace {self.trace_id} is: {shown}")
            time.sleep(devnet.POLL_S)
        spans = self.receiver.trace(self.trace_id)
        names = ", ".join(span["name"].rpartition("/")[2] for span in sorted(spans, key=lambda span: span["start_ns"]))
        print(f"traces: {self.payment_id} has {len(spans)} spans in the caller's trace: {names}", flush=True)

    def problem(self):
        """What is wrong or missing so far. None: nothing."""
        spans = self.receiver.trace(self.trace_id)
        by_id = {span["span_id"]: span for span in spans}
        services = {span["service"] for span in spans}
        if services != {"paygate", "paygate-signer"}:
            return f"spans of paygate and paygate-signer, but there are {sorted(services)}"
        for span in spans:
            if span["parent_id"] not in by_id and span["parent_id"] != self.span_id:
                return f"the parent {span['parent_id']!r} of {span['name']} is no span of the trace"
        if not any(ends_with(span, "paygate", "CreatePayment") and span["parent_id"] == self.span_id for span in spans):
            return "no CreatePayment of the gateway below the caller's own span"
        signed = [span for span in spans if ends_with(span, "paygate-signer", "SignPayment")]
        if not any(by_id.get(span["parent_id"], {}).get("service") == "paygate" for span in signed):
            return "no SignPayment of the signer below a span of the gateway"
        names = {span["name"] for span in spans}
        if self.paid and not {"payment.bind", "payment.confirm"} <= names:
            return f"the stages from binding to confirmation, but there are only {sorted(names)}"
        if self.restarted_ns and not any(span["service"] == "paygate" and span["start_ns"] > self.restarted_ns for span in spans):
            return "no span of the gateway's second life"
        return None


def ends_with(span, service, method):
    return span["service"] == service and span["name"].endswith(f"/{method}")


def seed_of(world):
    """The wallet's seed, as its file holds it."""
    text = pathlib.Path(world["directory"], "secrets", "wallet.seed").read_text().strip()
    seed = re.search(r"s[1-9A-HJ-NP-Za-km-z]{24,34}", text)
    if seed is None:
        raise SystemExit("the seed file holds no seed, so that nothing can be looked for")
    return seed[0]


def signature_of(world, paid):
    """The signature as the ledger shows it: it stands for the blob that it is part of."""
    body = json.dumps({"method": "tx", "params": [{"transaction": paid["evidence"]["tx_hash"]}]}).encode()
    request = urllib.request.Request(world["endpoints"]["xrpl_rpc"], body, {"content-type": "application/json"})
    with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=10) as answer:
        result = json.load(answer)["result"]
    signature = result.get("TxnSignature") or result.get("tx_json", {}).get("TxnSignature")
    if not signature:
        raise SystemExit(f"the ledger shows no signature, so that nothing can be looked for: {result}")
    return signature


def check_secrets(receiver, secrets):
    """In nothing that the collector got: names, attributes, events, links, resources."""
    seen = receiver.text()
    if "paygate-signer" not in seen:
        raise SystemExit("the collector's log holds nothing of ours, so that nothing can be looked for")
    for secret in secrets:
        if secret.lower() in seen.lower():
            raise SystemExit(f"a secret that begins with {secret[:3]} is in a span")
    if found := re.search(rf"\bsEd[{BASE58}]{{20,}}", seen):
        raise SystemExit(f"something like a seed is in a span: {found[0][:6]}…")
    if found := re.search(rf"[0-9A-Fa-f]{{{HEX_DIGITS_MAX + 1},}}", seen):
        raise SystemExit(f"something like a transaction is in a span: {found[0][:12]}… with {len(found[0])} hex digits")


if __name__ == "__main__":
    main()
