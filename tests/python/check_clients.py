#!/usr/bin/env python3
"""Runs a devnet and the checks that come from outside Rust: grpcurl, Google's health client, the Python client, and every client
of proto/clients.md as it stands there."""

import json

import devnet
import grpc
import pay

# Nobody's account: the payment creates it.
DESTINATION = "rPT1Sjq2YGrBMTttX4GZHjKu9dyfzbpAYe"
DROPS = 12_345_678


def main():
    with devnet.running("--close-ms", "1000") as world:
        gateway = world["endpoints"]["gateway"]
        devnet.run("check_health.py", "--gateway", gateway, "--signer", world["endpoints"]["signer"])
        devnet.run("check_reflection.sh", gateway)
        asked = ("--target", gateway, "--destination", DESTINATION, "--xrp-drops", str(DROPS), "--payment-id", "python-1")
        paid = json.loads(devnet.run("pay.py", *asked))
        check_paid(paid)
        check_repeat(gateway, paid)
        devnet.run("check_pages.py", "--gateway", gateway, str(devnet.ROOT / "proto" / "clients.md"))


def check_paid(paid):
    evidence = paid["evidence"]
    expect(paid["state"] == "PAID" and paid["safe_to_repay"] is False, "PAID is never safe to repay", paid)
    expect(evidence["kind"] == "PRESENCE" and evidence["engine_result"] == "tesSUCCESS", "a validated transaction", paid)
    expect(evidence["delivered_drops"] == DROPS, "exactly the amount was delivered", paid)
    expect(len(evidence["tx_hash"]) == 64 and evidence["ledger_index"] > 0, "the evidence can be looked up", paid)


def check_repeat(gateway, paid):
    """The same id and content: the same payment. Another amount: refused, and nothing changes."""
    with pay.connect(gateway) as channel:
        client = pay.Client(channel)
        again = client.create("python-1", DESTINATION, DROPS)
        expect(again.existed and client.shown(again.payment) == paid, "the same payment", client.shown(again.payment))
        try:
            client.create("python-1", DESTINATION, DROPS + 1)
        except grpc.RpcError as error:
            expect(error.code() == grpc.StatusCode.ALREADY_EXISTS, "ALREADY_EXISTS", error)
            expect("amount" in error.details(), "the error names the field", error.details())
        else:
            raise SystemExit("another amount under the same payment_id was not refused")
        expect(client.shown(client.get("python-1")) == paid, "the refused call changed nothing", paid)
    print("pay: repeated with the same content, refused with another amount")


def expect(holds, what, seen):
    if not holds:
        raise SystemExit(f"expected: {what}; got: {seen}")


if __name__ == "__main__":
    main()
