#!/usr/bin/env python3
"""Everything that a page at 03:00 leads to is there: promtool's and amtool's word on the files, and for each alert a unit test, a
runbook of its name and a panel; every metric that a rule or a panel names is one that the gateway serves.

Owns: what belongs together in deploy/ and runbooks/. May not: know a threshold.
"""

import json
import pathlib
import re
import subprocess

import yaml

ROOT = pathlib.Path(__file__).resolve().parents[2]
PROMETHEUS = ROOT / "deploy" / "prometheus"
RULES = [PROMETHEUS / name for name in ("recording.yml", "alerts.yml", "slo.yml")]
TESTS = sorted((PROMETHEUS / "tests").glob("*_test.yml"))
DASHBOARDS = sorted((ROOT / "deploy" / "grafana").glob("*.json"))
ALERTMANAGER = ROOT / "deploy" / "alertmanager" / "alertmanager.yml"

# promtool plays eight hours of samples; it takes ten seconds on a busy machine.
TOOL_WITHIN_S = 120

# Prometheus' own series.
OF_PROMETHEUS = {"up", "ALERTS"}

# Words of PromQL that stand where a metric's name could.
WORDS = {"and", "or", "unless", "by", "without", "on", "ignoring", "group_left", "group_right", "offset", "bool"}

# What every runbook has, as headings.
SECTIONS = ["Trigger", "Is money at risk?", "Before you start", "Steps", "Check", "Roll-back", "Escalation", "Log"]

SEVERITIES = {"critical", "warning"}


def main():
    tool("promtool", "check", "config", PROMETHEUS / "prometheus.yml")
    tool("promtool", "check", "rules", *RULES)
    tool("promtool", "test", "rules", *TESTS)
    tool("amtool", "check-config", ALERTMANAGER)
    wrong = missing()
    if wrong:
        raise SystemExit("alerts:\n  " + "\n  ".join(wrong))
    alerts = {rule["alert"] for rule in rules() if "alert" in rule}
    panels = sum(len(panels) for panels in dashboards().values())
    print(f"alerts: {len(alerts)} alerts, each with test, runbook and panel; {panels} panels on {len(DASHBOARDS)} dashboards")


def missing():
    """Everything that is not as it must be, in words."""
    wrong, served = [], metrics()
    alerts = [rule for rule in rules() if "alert" in rule]
    recorded = {rule["record"]: rule["expr"] for rule in rules() if "record" in rule}
    shown = [(panel, uses(panel, recorded)) for panels in dashboards().values() for panel in panels]
    for where, expr in expressions():
        wrong += [f"{where} names {name}, which nothing serves" for name in sorted(named(expr) - served - set(recorded) - OF_PROMETHEUS)]
    for alert in alerts:
        name, severity = alert["alert"], alert["labels"].get("severity")
        if severity not in SEVERITIES:
            wrong.append(f"{name} has the severity {severity}")
        for key in ("summary", "description", "money_at_risk", "runbook_url"):
            if not alert["annotations"].get(key):
                wrong.append(f"{name} has no annotation {key}")
        if not alert["annotations"].get("runbook_url", "").endswith(f"/runbooks/{name}.md"):
            wrong.append(f"{name}: runbook_url does not lead to {name}.md")
        if not tested(name, severity):
            wrong.append(f"{name} ({severity}) has no unit test in which it fires, and does not fire before and after")
        if not (ROOT / "runbooks" / f"{name}.md").is_file():
            wrong.append(f"{name} has no runbook runbooks/{name}.md")
        panels = [used for panel, used in shown if re.search(rf"Alerts:.*\b{name}\b", panel["description"])]
        if not panels:
            wrong.append(f"{name} is on no panel of deploy/grafana")
        elif not any(used & base(alert["expr"], recorded) for used in panels):
            wrong.append(f"{name}: its panel shows none of its metrics")
    known = {alert["alert"] for alert in alerts}
    for panel, _ in shown:
        listed = re.search(r"Alerts: (.*)\.$", panel["description"])
        wrong += [f"the panel {panel['title']} lists {name}, which is no alert" for name in (listed[1].split(", ") if listed else []) if name not in known]
    return wrong + runbooks(known)


def tested(name, severity):
    """Whether a test sees it fire, and sees it silent before and after."""
    for file in TESTS:
        for test in yaml.safe_load(file.read_text())["tests"]:
            cases = [case["exp_samples"] for case in test["promql_expr_test"] if f'alertname="{name}"' in case["expr"]]
            fired = [bool(samples) for samples in cases]
            right = all(f'severity="{severity}"' in sample["labels"] for samples in cases for sample in samples)
            if fired[:1] == [False] and any(fired) and fired[-1:] == [False] and right:
                return True
    return False


def runbooks(alerts):
    wrong = []
    index = (ROOT / "runbooks" / "README.md").read_text()
    for page in sorted((ROOT / "runbooks").glob("*.md")):
        if page.name == "README.md":
            continue
        if f"({page.name})" not in index:
            wrong.append(f"runbooks/README.md does not list {page.name}")
        if page.stem[0].isupper() and page.stem not in alerts:
            wrong.append(f"runbooks/{page.name} has the name of an alert that does not exist")
        if page.stem in alerts:
            headings = re.findall(r"^## (.*)$", page.read_text(), re.M)
            wrong += [f"runbooks/{page.name} has no section «{section}»" for section in SECTIONS if section not in headings]
    return wrong


# === what the files say ===

def rules():
    return [rule for file in RULES for group in yaml.safe_load(file.read_text())["groups"] for rule in group["rules"]]


def dashboards():
    return {file.name: json.loads(file.read_text())["panels"] for file in DASHBOARDS}


def expressions():
    """Every PromQL expression, with where it stands."""
    for rule in rules():
        yield rule.get("alert") or rule["record"], rule["expr"]
    for file, panels in dashboards().items():
        for panel in panels:
            for target in panel["targets"]:
                yield f"{file}, {panel['title']}", target["expr"]


def metrics():
    """The names of deploy/metrics.md, histograms as they are scraped."""
    served = set()
    for name, kind in re.findall(r"^\| `(\w+)` \| (\w+) \|", (ROOT / "deploy" / "metrics.md").read_text(), re.M):
        served |= {f"{name}_{part}" for part in ("bucket", "sum", "count")} if kind == "histogram" else {name}
    return served


def named(expr):
    """The names of metrics in an expression: what is left when strings, matchers, ranges, label lists and functions are gone."""
    expr = re.sub(r"\{[^}]*\}|\"[^\"]*\"|\[[^\]]*\]", " ", expr)
    expr = re.sub(r"\b(by|without|on|ignoring|group_left|group_right)\s*\([^)]*\)", " ", expr)
    found = re.findall(r"(?<![\w.:])([a-zA-Z_:][\w:]*)(?!\s*\()(?![\w:])", expr)
    return {name for name in found if name not in WORDS}


def base(expr, recorded):
    """The served metrics behind an expression, through recording rules."""
    found = set()
    for name in named(expr):
        found |= base(recorded[name], recorded) if name in recorded else {name}
    return found


def uses(panel, recorded):
    return set().union(*(base(target["expr"], recorded) for target in panel["targets"]))


def tool(*command):
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, timeout=TOOL_WITHIN_S, check=False)
    if done.returncode != 0:
        raise SystemExit(f"{' '.join(command[:3])} ended with {done.returncode}:\n{done.stdout}{done.stderr}")


if __name__ == "__main__":
    main()
