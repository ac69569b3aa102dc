#!/usr/bin/env python3
"""Real nginx and real Envoy before a devnet's gateway, with the configurations of deploy/: a payment through each over TLS with a client
certificate, nothing without one, nginx's limit as RESOURCE_EXHAUSTED, a watch beside it, and Envoy's health check, which turns when a
capability is lost and turns back. Then both before a gateway that has TLS and authentication itself and knows them as its proxies.

With --silence SECONDS only this: a watch through each of them stays open for so long without a payment, and then tells of one. Silent is the
stream of payments; the gateway sends a heartbeat every 10 s, and no more than one may fail to come in time.

Owns: what a proxy must do to a gRPC client. May not: change the configurations but for addresses, paths of certificates, the
name of the capability that can be taken away without ending a process, and, before a devnet, what is said of callers.
"""

import argparse
import concurrent.futures
import contextlib
import os
import pathlib
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
import urllib.parse
import urllib.request

import devnet
import grpc
import pay
import secured
from grpc_health.v1 import health_pb2, health_pb2_grpc

DEPLOY = devnet.ROOT / "deploy"
DESTINATION = "rPT1Sjq2YGrBMTttX4GZHjKu9dyfzbpAYe"
DROPS = 12_000_000
PAID_WITHIN_S = 60.0
READY_WITHIN_S = 30.0
CALL_S = 5.0

# What a proxy says of its caller, and the gateway believes of a proxy that it knows.
CERTIFICATE_HEADER = "x-forwarded-client-cert"
ADDRESS_HEADER = "x-forwarded-for"

# The limit: 10 a second and 20 at once. More than both within the second that the calls take.
CALLS = 80
AT_ONCE = 20

# The gateway takes three looks, a second apart, to call a capability lost, and the signer is given 5 s to answer.
FLIPS_WITHIN_S = 30.0

# Envoy's own part of that: its health check's interval and timeout, and a busy machine.
INTERVAL_S, TIMEOUT_S, BUSY_S = 2.0, 1.0, 2.0

# Between two messages of a silent watch: two heartbeats.
HEARTBEATS_WITHIN_S = 20.0

# What the certificates say; the gateway's configuration and the two proxies' name them.
CLIENT, PROXY, GATEWAY = "uri:spiffe://test/shop", "dns:proxy.test", "paygate.internal"


def main():
    parser = argparse.ArgumentParser(description="Puts real proxies before a gateway.")
    parser.add_argument("--silence", type=float, metavar="SECONDS", help="only a watch through each, for so long without a payment")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        certificates(folder)
        if chosen.silence:
            stays_open(folder, chosen.silence)
            return
        hands_on(folder)
        before_a_gateway(folder)
        before_a_secured_gateway(folder)
    print("proxies: nginx and Envoy pay over TLS with client certificates; limit, refusals, health check and what they hand on as documented")


def before_a_gateway(folder):
    with devnet.running("--close-ms", "500") as world:
        with nginx(folder, world) as address:
            pays(folder, address, "nginx-1")
            refuses_strangers(folder, address, "nginx")
            limits(folder, address)
            refuses_large(folder, address)
        with envoy(folder, world) as (address, admin):
            pays(folder, address, "envoy-1")
            refuses_strangers(folder, address, "envoy")
            flips(admin, world)


def before_a_secured_gateway(folder):
    """TLS all the way: the caller's certificate ends at the proxy, which has one of its own, and the gateway knows both."""
    with secured.running(folder, PROXY, CLIENT) as world:
        with nginx(folder, world, hands_on=True, tls=True) as address:
            pays(folder, address, "nginx-tls-1", CLIENT)
            refuses_strangers(folder, address, "nginx")
            refuses_unmapped(folder, address, "nginx")
        with envoy(folder, world, hands_on=True, tls=True) as (address, admin):
            pays(folder, address, "envoy-tls-1", CLIENT)
            refuses_strangers(folder, address, "envoy")
            refuses_unmapped(folder, address, "envoy")
            flips(admin, world)


def refuses_unmapped(folder, address, who):
    """A certificate of the right authority, of nobody whom the gateway's configuration names: the proxy lets it in, the gateway does not."""
    with channel(folder, address, "server") as through:
        code = code_of(lambda: pay.Client(through).get("nobody"))
    expect(code == grpc.StatusCode.PERMISSION_DENIED, f"behind {who} the gateway refuses whom it does not know, not {code}")


def stays_open(folder, seconds):
    """Both proxies at the same time, for so long."""
    with secured.running(folder, PROXY, CLIENT) as world:
        with nginx(folder, world, hands_on=True, tls=True) as front, envoy(folder, world, hands_on=True, tls=True) as (other, _):
            told = {"nginx": [], "envoy": []}
            watches = [threading.Thread(target=watches_on, args=(folder, address, seconds, told[who])) for who, address in (("nginx", front), ("envoy", other))]
            for watch in watches:
                watch.start()
            time.sleep(seconds)
            pays(folder, front, "after-the-silence")
            for watch in watches:
                watch.join(PAID_WITHIN_S)
    for who, (last, *rest) in ((who, told[who][::-1] or ["it told nothing"]) for who in told):
        expect(last == "after-the-silence", f"the watch through {who} is open after {seconds:.0f} s and tells of the payment, not {last}")
        gaps = [later - earlier for earlier, later in zip(rest[::-1], rest[::-1][1:])]
        expect(gaps and max(gaps) < HEARTBEATS_WITHIN_S, f"heartbeats come through {who}: the longest gap is {max(gaps, default=0):.1f} s")
        print(f"proxies: a watch through {who} was open for {seconds:.0f} s with {len(rest)} heartbeats and no payment, then told of one", flush=True)


def watches_on(folder, address, seconds, told):
    """The times of heartbeats, and last the payment's id, or what ended it."""
    with channel(folder, address) as through:
        client = pay.Client(through)
        try:
            for message in client.service.WatchPayments(client.messages.WatchPaymentsRequest(), timeout=seconds + PAID_WITHIN_S):
                if message.HasField("payment"):
                    told.append(message.payment.payment_id)
                    return
                told.append(time.monotonic())
        except grpc.RpcError as error:
            told.append(f"{error.code()}: {error.details()}")


def hands_on(folder):
    """Either proxy tells the server behind it who called: the certificate that it has verified, and the address, and last, where the
    gateway looks, nothing that the caller wrote there himself."""
    sent = (folder / "client.pem").read_text()
    lie = [(CERTIFICATE_HEADER, 'Cert="a lie"'), (ADDRESS_HEADER, "203.0.113.7")]
    with recorder() as (address, seen):
        world = {"endpoints": {"gateway": address, "health": address}}
        for who, proxy in (("nginx", nginx), ("envoy", envoy)):
            with proxy(folder, world, hands_on=True) as started:
                front = started if who == "nginx" else started[0]
                with channel(folder, front) as through:
                    call = through.unary_unary("/paygate.v1.PaymentService/GetPayment")
                    devnet.until(f"{who} lets a call through", READY_WITHIN_S,
                                 lambda: code_of(lambda: call(b"", metadata=lie, timeout=CALL_S)) == grpc.StatusCode.OK)
            certificates_told = [value for key, value in seen[-1] if key == CERTIFICATE_HEADER]
            addresses = [value for key, value in seen[-1] if key == ADDRESS_HEADER]
            expect(len(certificates_told) == 1 and "a lie" not in certificates_told[0], f"{who} hands on one certificate, not {certificates_told}")
            told = re.search(r'Cert="([^"]*)"', certificates_told[0])
            expect(told is not None, f"{who} hands the certificate on as Cert=, not {certificates_told}")
            expect(urllib.parse.unquote(told[1]).strip() == sent.strip(), f"{who} hands on the certificate that the client has shown")
            last = addresses[0].rpartition(",")[2].strip() if len(addresses) == 1 else None
            # Of a caller on loopback Envoy tells the machine's own address.
            told_by_us = last == "127.0.0.1" if who == "nginx" else last is not None and last != lie[1][1]
            expect(told_by_us, f"{who} hands on the caller's address last, not {addresses}")


@contextlib.contextmanager
def recorder():
    """A gRPC server that answers everything with nothing, and keeps each call's metadata."""
    seen = []

    class Everything(grpc.GenericRpcHandler):
        def service(self, details):
            if details.method.startswith("/grpc.health"):
                # SERVING: one varint field of value 1.
                return grpc.unary_unary_rpc_method_handler(lambda request, context: b"\x08\x01")
            seen.append(list(details.invocation_metadata))
            return grpc.unary_unary_rpc_method_handler(lambda request, context: b"")

    server = grpc.server(concurrent.futures.ThreadPoolExecutor(max_workers=2), handlers=[Everything()])
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        yield f"127.0.0.1:{port}", seen
    finally:
        server.stop(None).wait(READY_WITHIN_S)


def pays(folder, address, payment_id, credential=None):
    with channel(folder, address) as through:
        client = pay.Client(through)
        deadline = time.monotonic() + PAID_WITHIN_S
        client.create_surely(deadline, payment_id, DESTINATION, DROPS)
        payment = client.shown(client.until_final(deadline, payment_id))
    expect(payment["state"] == "PAID", f"{payment_id} is PAID, not {payment}")
    if credential:
        expect(payment["client_id"] == "shop", f"{payment_id} is of the client whose credential {credential} the proxy verified, not {payment['client_id']}")


def refuses_strangers(folder, address, who):
    """Without a certificate no call comes through: TLS ends, or the answer is UNAUTHENTICATED."""
    roots = (folder / "ca.pem").read_bytes()
    with grpc.secure_channel(address, grpc.ssl_channel_credentials(roots)) as stranger:
        code = code_of(lambda: pay.Client(stranger).get("nobody"))
    expect(code in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.UNAUTHENTICATED), f"{who} refuses who has no certificate, not {code}")


def limits(folder, address):
    """The limit's answer is RESOURCE_EXHAUSTED; a watch is not counted, and lives through it."""
    with channel(folder, address) as through:
        client = pay.Client(through)
        time.sleep(AT_ONCE / 10)  # The zone forgets what came before: 10 of them a second.
        began = time.monotonic()
        calls = [client.service.GetPayment.future(client.messages.GetPaymentRequest(payment_id="nginx-1"), timeout=CALL_S) for _ in range(CALLS)]
        codes = [call.code() for call in calls]
        took = time.monotonic() - began
        details = {call.details() for call in calls if call.code() == grpc.StatusCode.RESOURCE_EXHAUSTED}
        watch = client.service.WatchPayments(client.messages.WatchPaymentsRequest(cursor="beginning"), timeout=PAID_WITHIN_S)
        seen = next(iter(watch))
        watch.cancel()
    passed, refused = codes.count(grpc.StatusCode.OK), codes.count(grpc.StatusCode.RESOURCE_EXHAUSTED)
    expect(passed + refused == CALLS, f"calls pass or are RESOURCE_EXHAUSTED, not {sorted({str(code) for code in codes})}")
    expect(AT_ONCE <= passed <= AT_ONCE + 2 + 10 * (took + 1), f"20 at once and 10 a second pass, not {passed} in {took:.1f} s")
    expect(refused > 0, "more than the limit are refused")
    expect(details == {"more than 10 requests per second from this address"}, f"the refusal says why, not {details}")
    expect(seen is not None, "a watch is not counted")


def refuses_large(folder, address):
    with channel(folder, address) as through:
        client = pay.Client(through)
        request = client.messages.CreatePaymentRequest(payment_id="large", destination="r" * 40_000, xrp_drops=DROPS)
        time.sleep(1)  # One call has room again.
        code = code_of(lambda: client.service.CreatePayment(request, timeout=CALL_S))
    expect(code == grpc.StatusCode.RESOURCE_EXHAUSTED, f"a request of 40 KB is RESOURCE_EXHAUSTED, not {code}")


def flips(admin, world):
    """The health check of the endpoint fails while the signer hangs, and passes again after it: each time within Envoy's interval after
    the gateway itself says so."""
    signer, lags = world["pids"]["signer"], []
    expect(healthy(admin), "the endpoint is healthy before")
    with grpc.insecure_channel(world["endpoints"]["health"], options=[("grpc.enable_http_proxy", 0)]) as beside:
        def signs():
            answer = health_pb2_grpc.HealthStub(beside).Check(health_pb2.HealthCheckRequest(service="paygate.capability.sign"), timeout=CALL_S)
            return answer.status == health_pb2.HealthCheckResponse.SERVING

        os.kill(signer, signal.SIGSTOP)
        try:
            devnet.until("the gateway says that it cannot sign", FLIPS_WITHIN_S, lambda: not signs())
            lags.append(time.monotonic())
            devnet.until("Envoy takes the endpoint out", FLIPS_WITHIN_S, lambda: not healthy(admin))
            lags.append(time.monotonic() - lags.pop())
        finally:
            os.kill(signer, signal.SIGCONT)
        devnet.until("the gateway says that it can sign", FLIPS_WITHIN_S, signs)
        lags.append(time.monotonic())
        devnet.until("Envoy takes the endpoint back", FLIPS_WITHIN_S, lambda: healthy(admin))
        lags.append(time.monotonic() - lags.pop())
    within = INTERVAL_S + TIMEOUT_S + BUSY_S
    expect(max(lags) <= within, f"Envoy follows within {within} s, not {lags}")
    print(f"proxies: Envoy took the endpoint out {lags[0]:.1f} s and back {lags[1]:.1f} s after the gateway said so", flush=True)


def healthy(admin):
    with urllib.request.urlopen(f"http://127.0.0.1:{admin}/clusters", timeout=CALL_S) as answer:
        flags = [line.rpartition("::")[2].strip() for line in answer.read().decode().splitlines() if "::health_flags::" in line]
    expect(len(flags) == 1, f"one endpoint, not {flags}")
    return flags == ["healthy"]


# === the two proxies ===

@contextlib.contextmanager
def nginx(folder, world, hands_on=False, tls=False):
    port = devnet.free_port()
    # A devnet's gateway has no TLS and knows no proxy: nobody may tell it of a caller.
    silent = {} if hands_on else {
        '    grpc_set_header x-forwarded-client-cert "Cert=\\"$ssl_client_escaped_cert\\"";\n': "",
        "    grpc_set_header x-forwarded-for $remote_addr;\n": "",
    }
    text = replaced(DEPLOY / "nginx" / "paygate.conf", {
        **silent,
        "127.0.0.1:50051": world["endpoints"]["gateway"],
        "listen 443 ssl http2": f"listen 127.0.0.1:{port} ssl http2",
        **({"grpc_pass grpc://": "grpc_pass grpcs://"} if tls else {}),
        "/etc/paygate/tls/": f"{folder}/",
    })
    if tls:
        text, lines = re.subn(r"^    #   (grpc_ssl_\w+ .*;)$", r"    \1", text, flags=re.M)
        expect(lines == 5, f"paygate.conf says in five lines how TLS goes on to the gateway, not in {lines}")
    temporary = " ".join(f"{kind}_temp_path {folder}/{kind};" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
    # A gateway on the same host as the tests: one worker, in the foreground.
    (folder / "nginx.conf").write_text(
        f"daemon off; master_process off; error_log {folder}/nginx.log; pid {folder}/nginx.pid; events {{}}\n"
        f"http {{ access_log off; {temporary}\n{text}}}\n")
    command = ["nginx", "-e", str(folder / "nginx.log"), "-p", str(folder), "-c", str(folder / "nginx.conf")]
    judged = subprocess.run([*command, "-t"], capture_output=True, text=True, timeout=READY_WITHIN_S, check=False)
    expect(judged.returncode == 0, f"nginx -t accepts the configuration: {judged.stderr}")
    with running(command, folder / "nginx.log"):
        address = f"127.0.0.1:{port}"
        serves(folder, address, folder / "nginx.log")
        yield address


@contextlib.contextmanager
def envoy(folder, world, hands_on=False, tls=False):
    port, admin = devnet.free_port(), devnet.free_port()
    gateway, health = (world["endpoints"][name].rpartition(":")[2] for name in ("gateway", "health"))
    silent = {} if hands_on else {
        "use_remote_address: true": "use_remote_address: true\n                skip_xff_append: true",
        "forward_client_cert_details: SANITIZE_SET": "forward_client_cert_details: SANITIZE",
    }
    text = replaced(DEPLOY / "envoy" / "envoy.yaml", {
        **silent,
        "{address: 0.0.0.0, port_value: 443}": f"{{address: 127.0.0.1, port_value: {port}}}",
        "port_value: 9901": f"port_value: {admin}",
        "port_value: 50051": f"port_value: {gateway}",
        "port_value: 50052": f"port_value: {health}",
        "/etc/paygate/tls/": f"{folder}/",
        # The store cannot be taken from a running gateway; the signer can be stopped.
        "service_name: paygate.capability.accept": "service_name: paygate.capability.sign",
        **({"#:": ""} if tls else {}),
    })
    (folder / "envoy.yaml").write_text(text)
    import envoy as package

    binary = pathlib.Path(package.__file__).parent / "_bin" / "envoy"
    command = [str(binary), "-c", str(folder / "envoy.yaml"), "--log-level", "warning", "--disable-hot-restart", "--concurrency", "1"]
    with running(command, folder / "envoy.log"):
        address = f"127.0.0.1:{port}"
        serves(folder, address, folder / "envoy.log")
        yield address, admin


def replaced(path, values):
    text = path.read_text()
    for old, new in values.items():
        expect(old in text, f"{path.name} has {old}, which this check replaces")
        text = text.replace(old, new)
    return text


@contextlib.contextmanager
def running(command, log):
    with log.open("a") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output)
    try:
        yield process
        expect(process.poll() is None, f"{command[0]} still runs:\n{log.read_text()}")
    finally:
        process.terminate()
        process.wait(READY_WITHIN_S)


def serves(folder, address, log):
    with channel(folder, address) as through:
        try:
            grpc.channel_ready_future(through).result(READY_WITHIN_S)
        except grpc.FutureTimeoutError:
            raise SystemExit(f"no connection to {address}:\n{log.read_text()}") from None


# === clients and certificates ===

def channel(folder, address, who="client"):
    roots, key, chain = ((folder / name).read_bytes() for name in ("ca.pem", f"{who}.key", f"{who}.pem"))
    return grpc.secure_channel(address, grpc.ssl_channel_credentials(roots, key, chain), options=[("grpc.enable_http_proxy", 0)])


def certificates(folder):
    """One authority for all sides; certificates of the proxy towards callers and towards the gateway, of the gateway, and of a client."""
    def openssl(*arguments):
        subprocess.run(["openssl", *arguments], cwd=folder, capture_output=True, timeout=READY_WITHIN_S, check=True)

    curve = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")
    openssl("req", "-x509", *curve, "-keyout", "ca.key", "-out", "ca.pem", "-subj", "/CN=test authority", "-days", "2")
    names = {"server": "IP:127.0.0.1", "client": CLIENT.replace("uri", "URI"), "proxy": PROXY.replace("dns", "DNS"), "gateway": f"DNS:{GATEWAY}"}
    for name, alternative in names.items():
        openssl("req", *curve, "-keyout", f"{name}.key", "-out", f"{name}.csr", "-subj", f"/CN={name}")
        (folder / f"{name}.ext").write_text(f"subjectAltName={alternative}\n")
        openssl("x509", "-req", "-in", f"{name}.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", "2",
                "-extfile", f"{name}.ext", "-out", f"{name}.pem")
    for name in ("clients-ca.pem", "gateway-ca.pem"):
        (folder / name).write_bytes((folder / "ca.pem").read_bytes())


def code_of(call):
    try:
        call()
    except grpc.RpcError as error:
        return error.code()
    return grpc.StatusCode.OK


def expect(holds, what):
    if not holds:
        raise SystemExit(f"proxies: expected that {what}")


if __name__ == "__main__":
    sys.exit(main())
