#!/usr/bin/env bash
# Calls a gateway by grpcurl, which knows the contract only from server reflection.
# Usage: check_reflection.sh HOST:PORT
set -euo pipefail

target=${1:?usage: check_reflection.sh HOST:PORT}
call() { grpcurl -plaintext -max-time 10 "$@"; }
fail() { echo "reflection: $*" >&2; exit 1; }

services=$(call "$target" list)
for service in paygate.v1.PaymentService paygate.v1.ApprovalService paygate.v1.WalletService \
    paygate.v1.OperationsService grpc.health.v1.Health; do
    grep -qx "$service" <<<"$services" || fail "list lacks $service; it has: ${services//$'\n'/ }"
done

call "$target" describe paygate.v1.PaymentService.CreatePayment | grep -q 'paygate.v1.CreatePaymentRequest' ||
    fail "describe does not show CreatePayment"

status=$(call "$target" paygate.v1.OperationsService/GetStatus)
grep -q '"account": "r' <<<"$status" || fail "GetStatus names no account: $status"

wallet=$(call "$target" paygate.v1.WalletService/GetWallet)
grep -q '"r' <<<"$wallet" || fail "GetWallet names no address: $wallet"

# What is not built says so, and is not a silent success.
if answer=$(call "$target" paygate.v1.OperationsService/ReconcileWallet 2>&1); then
    fail "ReconcileWallet is not built, but answers: $answer"
fi
grep -q 'Unimplemented' <<<"$answer" || fail "ReconcileWallet must answer UNIMPLEMENTED, but answers: $answer"

echo "reflection: listed, described and called"
