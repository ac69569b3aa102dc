"""Real Prometheus and real Alertmanager with the files of deploy/, in which every time is shorter by one factor, and the two receivers that
Alertmanager's routes end at.

Owns: the copies of those files, and what arrived. May not: change a threshold, a route or an address.
"""

import contextlib
import http.server
import json
import re
import subprocess
import threading
import time
import urllib.request

import check_alerts
import devnet
import yaml

# One factor for all of `for`, ranges, scrapes, and the waits of Alertmanager's groups.
FASTER = 30

READY_WITHIN_S = 60.0

# What deploy/prometheus/prometheus.yml and deploy/alertmanager/alertmanager.yml name.
PROMETHEUS, ALERTMANAGER, RECEIVERS = "127.0.0.1:9091", "127.0.0.1:9093", ("127.0.0.1", 8060)

UNIT_MS = {"ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}

# Keys of Alertmanager's and Prometheus' files that hold a time.
TIMES = {"for", "scrape_interval", "evaluation_interval", "scrape_timeout", "group_wait", "group_interval", "repeat_interval"}


def shorter(text):
    """A time as Prometheus writes it, by the factor."""
    number, unit = re.fullmatch(r"(\d+)(ms|s|m|h|d)", text).groups()
    return f"{int(number) * UNIT_MS[unit] // FASTER}ms"


def scaled(value):
    """A file's content with every time shorter."""
    if isinstance(value, list):
        return [scaled(each) for each in value]
    if not isinstance(value, dict):
        return value
    shown = {}
    for key, content in value.items():
        if key in TIMES:
            shown[key] = shorter(content)
        elif key == "expr":
            shown[key] = re.sub(r"\[(\w+)\]", lambda range_: f"[{shorter(range_[1])}]", content)
        else:
            shown[key] = scaled(content)
    return shown


def write_copies(folder):
    """The copies, and what was changed, as a sentence."""
    config = yaml.safe_load((check_alerts.PROMETHEUS / "prometheus.yml").read_text())
    # A scrape may take as long as there is until the next one: two thirds of half a second are little on a busy machine.
    config["global"]["scrape_timeout"] = config["global"]["scrape_interval"]
    for name in config["rule_files"]:
        rules = yaml.safe_load((check_alerts.PROMETHEUS / name).read_text())
        (folder / name).write_text(yaml.safe_dump(scaled(rules)))
    (folder / "prometheus.yml").write_text(yaml.safe_dump(scaled(config)))
    routes = yaml.safe_load(check_alerts.ALERTMANAGER.read_text())
    (folder / "alertmanager.yml").write_text(yaml.safe_dump(scaled(routes)))


@contextlib.contextmanager
def running(folder):
    """Both, and the receivers."""
    write_copies(folder)
    check_alerts.tool("promtool", "check", "rules", *(folder / path.name for path in check_alerts.RULES))
    with Receivers() as receivers, contextlib.ExitStack() as started:
        started.enter_context(program(folder, ALERTMANAGER, [
            "prometheus-alertmanager", f"--config.file={folder / 'alertmanager.yml'}", f"--storage.path={folder / 'alertmanager'}",
            f"--web.listen-address={ALERTMANAGER}", "--cluster.listen-address="]))
        started.enter_context(program(folder, PROMETHEUS, [
            "prometheus", f"--config.file={folder / 'prometheus.yml'}", f"--storage.tsdb.path={folder / 'prometheus'}",
            f"--web.listen-address={PROMETHEUS}"]))
        yield receivers


@contextlib.contextmanager
def program(folder, address, command):
    log = folder / f"{command[0]}.log"
    with log.open("w") as sink:
        process = subprocess.Popen(command, cwd=folder, stdin=subprocess.DEVNULL, stdout=sink, stderr=sink)
    try:
        devnet.until(f"{command[0]} is ready", READY_WITHIN_S, lambda: ready(process, address, log))
        yield
    finally:
        process.terminate()
        process.wait(READY_WITHIN_S)


def ready(process, address, log):
    if process.poll() is not None:
        raise SystemExit(f"{process.args[0]} ended with {process.returncode}:\n{log.read_text()}")
    try:
        with urllib.request.urlopen(f"http://{address}/-/ready", timeout=READY_WITHIN_S) as answer:
            return answer.status == 200
    except OSError:
        return False


def alerts():
    """The state of each alert that Prometheus has, for whoever wants to know why nothing arrives."""
    with urllib.request.urlopen(f"http://{PROMETHEUS}/api/v1/alerts", timeout=READY_WITHIN_S) as answer:
        found = json.load(answer)["data"]["alerts"]
    return sorted({f"{each['labels']['alertname']} {each['state']}" for each in found})


class Receivers:
    """A pager and a chat: they keep what arrives, and when."""

    def __init__(self):
        self.arrived, lock = [], threading.Lock()

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(handler):
                body = json.loads(handler.rfile.read(int(handler.headers["Content-Length"])))
                now = time.monotonic()
                with lock:
                    self.arrived += [{**alert, "path": handler.path, "at": now} for alert in body["alerts"]]
                handler.send_response(200)
                handler.end_headers()

            def log_message(handler, *_):
                """What arrived is told by the check."""

        self.server = http.server.ThreadingHTTPServer(RECEIVERS, Handler)

    def __enter__(self):
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()

    def first(self, name, status, since):
        """The first message of an alert in a state that arrived since then."""
        found = (alert for alert in list(self.arrived) if alert["labels"]["alertname"] == name)
        return next((alert for alert in found if alert["status"] == status and alert["at"] > since), None)
