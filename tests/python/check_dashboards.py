#!/usr/bin/env python3
"""Runs every query of every dashboard, and every expression of every rule, against a real Prometheus that scrapes a gateway under load.

An error fails, and so does an empty answer of a panel: a panel that is empty while all is well cannot be told from one that is broken.

Owns: what a panel must show on a gateway that works. May not: change an expression, but for Grafana's own variables.
"""

import contextlib
import json
import pathlib
import subprocess
import tempfile
import threading
import time
import urllib.error
import urllib.parse
import urllib.request

import check_alerts
import devnet
import pay
import yaml

# Nobody's account: the first payment creates it.
DESTINATION = "rPT1Sjq2YGrBMTttX4GZHjKu9dyfzbpAYe"
DROPS = 12_000_000

CLOSE_MS = "500"
SCRAPE_S = 1
# Rates need a few scrapes; ten ledgers pass meanwhile.
LOAD_S = 8
ANSWER_WITHIN_S = 30.0

# Grafana's variables, as Grafana would fill them in for one gateway and a scrape a second.
VARIABLES = {"$__rate_interval": "1m", "$instance": ".*"}


# Panels that are empty on a devnet, and why.
EMPTY_HERE = {"Certificates": "a devnet's gateway has no TLS"}


def main():
    with devnet.running("--close-ms", CLOSE_MS) as world, tempfile.TemporaryDirectory() as folder:
        gateway, metrics = world["endpoints"]["gateway"], world["endpoints"]["metrics"]
        with prometheus(pathlib.Path(folder), metrics) as server:
            devnet.until("the gateway is scraped", ANSWER_WITHIN_S, lambda: query(server, 'up{job="paygate"} == 1'))
            with load(gateway):
                time.sleep(LOAD_S)
                devnet.until("rates have samples", ANSWER_WITHIN_S, lambda: query(server, "paygate:slow_payments:ratio_rate5m >= 0"))
                wrong, count = judge(server)
    if wrong:
        raise SystemExit("dashboards:\n  " + "\n  ".join(wrong))
    print(f"dashboards: {count} queries of {len(check_alerts.DASHBOARDS)} dashboards show something; all rules can be evaluated")


def judge(server):
    wrong, count = [], 0
    for file, panels in check_alerts.dashboards().items():
        for panel in panels:
            for target in panel["targets"]:
                count += 1
                expr = target["expr"]
                for name, value in VARIABLES.items():
                    expr = expr.replace(name, value)
                where = f"{file}, {panel['title']}: {expr}"
                try:
                    answer = query_range(server, expr)
                except urllib.error.HTTPError as error:
                    wrong.append(f"{where}: {error.read().decode()}")
                    continue
                values = [value for series in answer for _, value in series["values"] if value not in ("NaN", "+Inf", "-Inf")]
                if not values and panel["title"] not in EMPTY_HERE:
                    wrong.append(f"{where}: shows nothing")
    answer = get(server, "/api/v1/rules")
    for group in answer["groups"]:
        wrong += [f"{rule['name']}: {rule['lastError']}" for rule in group["rules"] if rule["health"] != "ok"]
    return wrong, count


@contextlib.contextmanager
def prometheus(folder, metrics):
    """Prometheus with the repository's configuration; only addresses, the pace and the place of its data are other."""
    config = yaml.safe_load((check_alerts.PROMETHEUS / "prometheus.yml").read_text())
    config["global"] = {"scrape_interval": f"{SCRAPE_S}s", "evaluation_interval": f"{SCRAPE_S}s", "scrape_timeout": f"{SCRAPE_S}s"}
    config["rule_files"] = [str(check_alerts.PROMETHEUS / name) for name in config["rule_files"]]
    config["alerting"] = {}
    address = metrics.removeprefix("http://").removesuffix("/metrics")
    config["scrape_configs"] = [job for job in config["scrape_configs"] if job["job_name"] == "paygate"]
    config["scrape_configs"][0]["static_configs"] = [{"targets": [address]}]
    (folder / "prometheus.yml").write_text(yaml.safe_dump(config))
    port = devnet.free_port()
    log = (folder / "log").open("w")
    process = subprocess.Popen(
        ["prometheus", f"--config.file={folder / 'prometheus.yml'}", f"--storage.tsdb.path={folder / 'data'}", f"--web.listen-address=127.0.0.1:{port}"],
        stdout=log, stderr=log,
    )
    try:
        server = f"http://127.0.0.1:{port}"
        devnet.until("Prometheus is ready", ANSWER_WITHIN_S, lambda: ready(server, process, folder / "log"))
        yield server
    finally:
        process.terminate()
        process.wait(ANSWER_WITHIN_S)
        log.close()


def ready(server, process, log):
    if process.poll() is not None:
        raise SystemExit(f"prometheus ended with {process.returncode}:\n{log.read_text()}")
    try:
        with urllib.request.urlopen(f"{server}/-/ready", timeout=ANSWER_WITHIN_S) as answer:
            return answer.status == 200
    except OSError:
        return False


@contextlib.contextmanager
def load(gateway):
    """Payments, one after the other, each looked at until it is PAID, for as long as the caller goes on."""
    over, failed = threading.Event(), []

    def work():
        number = 0
        with pay.connect(gateway) as channel:
            client = pay.Client(channel)
            while not over.is_set():
                number += 1
                try:
                    client.create(f"load-{number}", DESTINATION, DROPS)
                    while not over.is_set() and client.shown(client.get(f"load-{number}"))["state"] != "PAID":
                        time.sleep(devnet.POLL_S)
                except Exception as error:
                    failed.append(error)
                    return

    worker = threading.Thread(target=work)
    worker.start()
    try:
        yield
    finally:
        over.set()
        worker.join(ANSWER_WITHIN_S)
    if failed:
        raise SystemExit(f"the load ended with {failed[0]}")


def query(server, expr):
    return get(server, "/api/v1/query", query=expr)["result"]


def query_range(server, expr):
    now = time.time()
    return get(server, "/api/v1/query_range", query=expr, start=now - 10, end=now, step=1)["result"]


def get(server, path, **parameters):
    url = f"{server}{path}?{urllib.parse.urlencode(parameters)}"
    with urllib.request.urlopen(url, timeout=ANSWER_WITHIN_S) as answer:
        return json.load(answer)["data"]


if __name__ == "__main__":
    main()
