#!/usr/bin/env python3
"""Asks gateway and signer for their health, as Google's own client library does.

Owns: which names must be SERVING. The gateway is asked over TCP, the signer over its Unix socket.
"""

import argparse
import sys
import time

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

GATEWAY_NAMES = ["", "paygate.v1.PaymentService"] + [
    f"paygate.capability.{name}" for name in ("accept", "submit", "confirm", "sign", "ledger", "store", "wallet")
]
SIGNER_NAMES = ["", "paygate.signer.v1.SignerService"]

# A capability turns SERVING after a few good observations in a row.
WITHIN_S = 60.0
CALL_S = 5.0
POLL_S = 0.2

# grpcio would send the socket's path as authority, which HTTP/2 servers may refuse, and this one does.
OPTIONS = [("grpc.default_authority", "localhost"), ("grpc.enable_http_proxy", 0)]


def main():
    parser = argparse.ArgumentParser(description="Exits 0 if everything asked for is SERVING.")
    parser.add_argument("--gateway", help="HOST:PORT")
    parser.add_argument("--signer", help="unix:///PATH")
    chosen = parser.parse_args()
    if not (chosen.gateway or chosen.signer):
        parser.error("name a --gateway, a --signer, or both")
    if chosen.gateway:
        check("gateway", chosen.gateway, GATEWAY_NAMES)
    if chosen.signer:
        check("signer", chosen.signer, SIGNER_NAMES)
    return 0


def check(process, target, names):
    with grpc.insecure_channel(target, options=OPTIONS) as channel:
        health = health_pb2_grpc.HealthStub(channel)
        deadline = time.monotonic() + WITHIN_S
        for name in names:
            until_serving(process, health, name, deadline)
        expect_unknown(process, health)


def until_serving(process, health, name, deadline):
    while True:
        try:
            status = health.Check(health_pb2.HealthCheckRequest(service=name), timeout=CALL_S).status
            answer = health_pb2.HealthCheckResponse.ServingStatus.Name(status)
        except grpc.RpcError as error:
            answer = f"{error.code().name}: {error.details()}"
        if answer == "SERVING":
            print(f"{process}: {name or '(whole process)'} is SERVING")
            return
        if time.monotonic() > deadline:
            raise SystemExit(f"{process}: {name!r} answers {answer} after {WITHIN_S:.0f} s")
        time.sleep(POLL_S)


def expect_unknown(process, health):
    """An answer to everything would prove nothing."""
    try:
        health.Check(health_pb2.HealthCheckRequest(service="paygate.v1.NoSuchService"), timeout=CALL_S)
    except grpc.RpcError as error:
        if error.code() == grpc.StatusCode.NOT_FOUND:
            return
        raise SystemExit(f"{process}: an unknown name answers {error.code().name}, must be NOT_FOUND") from error
    raise SystemExit(f"{process}: an unknown name has a status, must be NOT_FOUND")


if __name__ == "__main__":
    sys.exit(main())
