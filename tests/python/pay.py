#!/usr/bin/env python3
"""Pays somebody through a gateway and waits for the proof: a client as a team that uses Paygate would write it.

Owns: choosing a payment_id once, repeating with it after any failure without an answer, and waiting for a final state.
May not: take a timeout for an outcome, or pay again under another id.

Exit codes: 0 PAID; 1 another final state, see safe_to_repay; 2 not final yet, do not pay elsewhere; 3 refused.
"""

import argparse
import json
import sys
import time
import uuid

import grpc

import stubs

EXIT_PAID, EXIT_NOT_PAID, EXIT_UNKNOWN, EXIT_REFUSED = 0, 1, 2, 3

FINAL = {"PAID", "FAILED", "EXPIRED", "CANCELLED", "REJECTED"}

# After these nobody knows whether the payment was stored: ask again, with the same payment_id.
NO_ANSWER = {
    grpc.StatusCode.UNAVAILABLE,
    grpc.StatusCode.DEADLINE_EXCEEDED,
    grpc.StatusCode.CANCELLED,
    grpc.StatusCode.UNKNOWN,
    grpc.StatusCode.INTERNAL,
}

# Not stored, but there may be room later.
NO_ROOM = {grpc.StatusCode.RESOURCE_EXHAUSTED}

# One call. Storing takes milliseconds; a gateway that restarts takes seconds.
CALL_S = 5.0

# Between two looks: a ledger takes 3 to 5 seconds on the real network.
POLL_S = 0.2


def connect(target):
    """A channel to a gateway on loopback."""
    return grpc.insecure_channel(target, options=[("grpc.enable_http_proxy", 0)])


class Client:
    """The two calls that paying takes."""

    def __init__(self, channel, traceparent=None):
        self.messages = stubs.load("payment_service_pb2")
        self.payments = stubs.load("payment_pb2")
        self.service = stubs.load("payment_service_pb2_grpc").PaymentServiceStub(channel)
        self.metadata = [("traceparent", traceparent)] if traceparent else []

    def create(self, payment_id, destination, xrp_drops, destination_tag=None):
        """One CreatePayment, as it is."""
        request = self.messages.CreatePaymentRequest(payment_id=payment_id, destination=destination, xrp_drops=xrp_drops)
        if destination_tag is not None:
            request.destination_tag = destination_tag
        return self.service.CreatePayment(request, timeout=CALL_S, metadata=self.metadata)

    def get(self, payment_id):
        """One GetPayment, as it is."""
        request = self.messages.GetPaymentRequest(payment_id=payment_id)
        # Without the trace context: the payment's trace tells of paying, not of who looked how often.
        return self.service.GetPayment(request, timeout=CALL_S).payment

    def create_surely(self, deadline, *content):
        """CreatePayment until there is an answer. The last error if there is none by the deadline."""
        return self._repeat(deadline, NO_ANSWER | NO_ROOM, lambda: self.create(*content).payment)

    def until_final(self, deadline, payment_id):
        """The payment when it is final, or as it was last seen."""
        while True:
            payment = self._repeat(deadline, NO_ANSWER, lambda: self.get(payment_id))
            if self.state(payment) in FINAL or time.monotonic() > deadline:
                return payment
            time.sleep(POLL_S)

    def state(self, payment):
        """For example "PAID"."""
        return self.payments.PaymentState.Name(payment.state).removeprefix("PAYMENT_STATE_")

    def shown(self, payment):
        """What a script wants to know."""
        evidence = payment.evidence
        kind = self.payments.EvidenceKind.Name(evidence.kind).removeprefix("EVIDENCE_KIND_")
        return {
            "payment_id": payment.payment_id,
            "client_id": payment.client_id,
            "state": self.state(payment),
            "reason": self.payments.PaymentReason.Name(payment.reason).removeprefix("PAYMENT_REASON_"),
            "reason_detail": payment.reason_detail,
            "safe_to_repay": payment.safe_to_repay,
            "destination": payment.destination,
            "xrp_drops": payment.xrp_drops,
            "invoice_id": payment.invoice_id,
            "trace_id": payment.trace_id,
            "evidence": None if not payment.HasField("evidence") else {
                "kind": kind,
                "ledger_index": evidence.ledger_index,
                "ledger_hash": evidence.ledger_hash,
                "tx_hash": evidence.tx_hash,
                "engine_result": evidence.engine_result,
                "delivered_drops": evidence.delivered_drops,
                "fee_drops": evidence.fee_drops,
                "servers": list(evidence.servers),
            },
        }

    @staticmethod
    def _repeat(deadline, passing, call):
        while True:
            try:
                return call()
            except grpc.RpcError as error:
                if error.code() not in passing or time.monotonic() > deadline:
                    raise
                time.sleep(POLL_S)


def main():
    parser = argparse.ArgumentParser(description="Pays through a gateway and waits until the payment is final.")
    parser.add_argument("--target", default="127.0.0.1:50051", help="the gateway, HOST:PORT")
    parser.add_argument("--destination", required=True, help="classic address or X-address")
    parser.add_argument("--xrp-drops", required=True, type=int, help="1 XRP = 1000000 drops")
    parser.add_argument("--destination-tag", type=int)
    parser.add_argument("--payment-id", default=f"py-{uuid.uuid4()}", help="your own id; keep it, repeat with it")
    parser.add_argument("--traceparent", help="W3C trace context of the caller; the payment's spans become part of its trace")
    parser.add_argument("--timeout-s", type=float, default=120.0)
    chosen = parser.parse_args()

    deadline = time.monotonic() + chosen.timeout_s
    with connect(chosen.target) as channel:
        client = Client(channel, chosen.traceparent)
        try:
            client.create_surely(
                deadline, chosen.payment_id, chosen.destination, chosen.xrp_drops, chosen.destination_tag
            )
            payment = client.until_final(deadline, chosen.payment_id)
        except grpc.RpcError as error:
            refused = error.code() not in NO_ANSWER
            print(json.dumps({
                "payment_id": chosen.payment_id,
                "state": "REFUSED" if refused else "UNKNOWN",
                "code": error.code().name,
                "message": error.details(),
            }))
            return EXIT_REFUSED if refused else EXIT_UNKNOWN
        print(json.dumps(client.shown(payment), indent=2))
        state = client.state(payment)
    if state == "PAID":
        return EXIT_PAID
    return EXIT_NOT_PAID if state in FINAL else EXIT_UNKNOWN


if __name__ == "__main__":
    sys.exit(main())
