#!/usr/bin/env python3
"""Scrapes a gateway that has paid, in both formats, and has Prometheus' own tool judge the classic one.

Owns: what a scraper from outside must find. May not: know a metric's name; the Rust tests compare the list.
"""

import subprocess
import urllib.request

import devnet

OPENMETRICS = "application/openmetrics-text;version=1.0.0,text/plain;q=0.5"
ANSWER_WITHIN_S = 10.0


def main():
    with devnet.running("--close-ms", "500") as world:
        address = f"http://{world['endpoints']['metrics'].removeprefix('http://').removesuffix('/metrics')}/metrics"
        content_type, classic = scrape(address, "*/*")
        expect(content_type.startswith("text/plain; version=0.0.4"), f"the classic format by default, not {content_type}")
        expect("trace_id" not in classic and "# EOF" not in classic, "the classic text holds nothing of OpenMetrics")
        judge(classic)
        content_type, openmetrics = scrape(address, OPENMETRICS)
        expect(content_type.startswith("application/openmetrics-text"), f"OpenMetrics if asked for, not {content_type}")
        expect(openmetrics.endswith("# EOF\n"), "OpenMetrics ends with its mark")
        print(f"metrics: {len(names(classic))} metrics, {sum(1 for line in classic.splitlines() if line[0] != '#')} samples")


def scrape(address, accept):
    request = urllib.request.Request(address, headers={"Accept": accept})
    with urllib.request.urlopen(request, timeout=ANSWER_WITHIN_S) as answer:
        return answer.headers["Content-Type"], answer.read().decode()


def judge(text):
    """promtool's lint: types, help, units and suffixes. It says nothing if there is nothing to say."""
    judged = subprocess.run(["promtool", "check", "metrics"], input=text, text=True, capture_output=True, check=False)
    said = (judged.stdout + judged.stderr).strip()
    expect(judged.returncode == 0 and not said, f"promtool check metrics: exit code {judged.returncode}: {said}")


def names(text):
    return {line.split()[2] for line in text.splitlines() if line.startswith("# TYPE ")}


def expect(holds, what):
    if not holds:
        raise SystemExit(f"metrics: expected {what}")


if __name__ == "__main__":
    main()
