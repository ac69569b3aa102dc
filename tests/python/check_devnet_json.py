#!/usr/bin/env python3
"""Reads what `devnet --once --output json` printed from standard input, and checks it.

Owns: the fields that scripts rely on.
"""

import json
import re
import sys


def main():
    text = sys.stdin.read()
    lines = [line for line in text.splitlines() if line.strip()]
    check(len(lines) == 1, f"one line of JSON and nothing else, but there are {len(lines)}: {text[:400]!r}")
    found = json.loads(lines[0])
    check(found["state"] == "PAID", f"state PAID, but it is {found['state']}")
    check(bool(found["payment_id"]), "a payment_id")
    check(re.fullmatch(r"[0-9A-F]{64}", found["tx_hash"]), f"64 upper-case hex digits as tx_hash: {found['tx_hash']!r}")
    check(re.fullmatch(r"[0-9a-f]{32}", found["trace_id"]), f"32 lower-case hex digits as trace_id: {found['trace_id']!r}")
    check(whole(found["ledger_index"]), f"a ledger_index above 0: {found['ledger_index']!r}")
    check(whole(found["delivered_drops"]), f"delivered_drops above 0: {found['delivered_drops']!r}")
    names = [stage["stage"] for stage in found["stages"]]
    for name in ("ACCEPTED", "BOUND", "SIGNED", "SUBMITTED", "CONFIRMED"):
        check(name in names, f"a stage {name}, but there are {names}")
    order = [names.index(name) for name in ("ACCEPTED", "BOUND", "SIGNED", "SUBMITTED", "CONFIRMED")]
    check(order == sorted(order), f"stages in the order of a payment's life: {names}")
    print(f"devnet: {found['payment_id']} is PAID in ledger {found['ledger_index']}, {found['delivered_drops']} drops delivered")


def whole(value):
    return isinstance(value, int) and not isinstance(value, bool) and value > 0


def check(holds, expected):
    if not holds:
        raise SystemExit(f"devnet --once --output json: expected {expected}")


if __name__ == "__main__":
    main()
