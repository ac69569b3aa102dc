#!/usr/bin/env python3
"""A real OTLP collector, rotel, and what it received.

Owns: starting the collector and reading its debug log back into spans. May not: know what the spans should say.

As a program: `collector.py FILE [--trace-id ID]` prints the spans of such a log as JSON.
"""

import argparse
import contextlib
import importlib.util
import json
import os
import pathlib
import re
import socket
import subprocess
import sys
import tempfile

import devnet

READY_WITHIN_S = 20.0
ENDED_WITHIN_S = 10.0

_SPAN = re.compile(r"^Span #\d+$")
_FIELD = re.compile(r"^    (Trace ID|Parent ID|ID|Name|Kind|Status code|Status message) *: ?(.*)$")
_ATTRIBUTE = re.compile(r"^ {5,}-> ([^:]+): (\w+)\((.*)$")
_START = re.compile(r"^Start time: (\d+)$")
_BREAK = re.compile(
    r"^(ResourceSpans|ScopeSpans|SpanEvent|SpanLink) #|^(Resource|InstrumentationScope|End time|Events|Links)\b|^\x1b\["
)
_NAMES = {"Trace ID": "trace_id", "Parent ID": "parent_id", "ID": "span_id", "Name": "name", "Kind": "kind",
          "Status code": "status", "Status message": "status_message"}


class Collector:
    """A running rotel."""

    def __init__(self, endpoint, log):
        self.endpoint = endpoint
        self.log = log

    def text(self):
        """Everything that it wrote, as it stands."""
        return self.log.read_text(errors="replace")

    def trace(self, trace_id):
        """The spans of one trace so far."""
        return [span for span in parse(self.text()) if span["trace_id"] == trace_id]


@contextlib.contextmanager
def running():
    """Starts it on free ports of loopback."""
    with tempfile.TemporaryDirectory(prefix="rotel-") as folder:
        log = pathlib.Path(folder, "spans.log")
        grpc_port, http_port = free_ports(2)
        command = [
            program(), "start",
            "--otlp-grpc-endpoint", f"127.0.0.1:{grpc_port}", "--otlp-http-endpoint", f"127.0.0.1:{http_port}",
            "--exporter", "blackhole", "--debug-log", "traces", "--debug-log-verbosity", "detailed",
        ]
        with log.open("wb") as output:
            process = subprocess.Popen(command, cwd=folder, stdout=output, stderr=subprocess.STDOUT)
        try:
            devnet.until("rotel listens", READY_WITHIN_S, lambda: listens(grpc_port, process, log))
            yield Collector(f"http://127.0.0.1:{grpc_port}", log)
        finally:
            process.terminate()
            try:
                process.wait(ENDED_WITHIN_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def program():
    """PAYGATE_ROTEL, or the one in this interpreter's packages."""
    named = os.environ.get("PAYGATE_ROTEL")
    if named:
        return named
    package = importlib.util.find_spec("rotel")
    if package is None:
        raise SystemExit("rotel is not installed: pip install -r tests/python/requirements.txt")
    return str(pathlib.Path(package.origin).with_name("rotel-agent"))


def listens(port, process, log):
    if process.poll() is not None:
        raise SystemExit(f"rotel ended with {process.returncode}: {log.read_text(errors='replace')[-2000:]}")
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def free_ports(count):
    """Ports that were free a moment ago: rotel cannot tell which one it took if it is given 0."""
    with contextlib.ExitStack() as held:
        sockets = [held.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]


def parse(log):
    """The spans of rotel's detailed debug log, each with its service and attributes as text."""
    spans, resource, span, attributes, last = [], {}, None, None, None
    for line in log.splitlines():
        field, attribute = _FIELD.match(line), _ATTRIBUTE.match(line)
        if line == "Resource attributes:":
            resource, span = {}, None
            attributes, last = resource, None
        elif _SPAN.match(line):
            span = dict.fromkeys(_NAMES.values(), "")
            span |= {"service": resource.get("service.name", ""), "resource": resource, "attributes": {}, "start_ns": 0}
            spans.append(span)
            attributes, last = None, None
        elif line == "Attributes:" and span is not None:
            attributes, last = span["attributes"], None
        elif (start := _START.match(line)) and span is not None:
            span["start_ns"] = int(start[1])
        elif _BREAK.match(line):
            # Attributes of events and links are not kept: whoever looks for secrets searches the whole log.
            attributes, last = None, None
        elif field and span is not None and attributes is None:
            span[_NAMES[field[1]]] = field[2].strip()
        elif attribute and attributes is not None:
            last = attribute[1]
            attributes[last] = attribute[3].removesuffix(")")
        elif last is not None:
            # A value with line breaks.
            attributes[last] += "\n" + line.removesuffix(")")
    return spans


def main():
    parser = argparse.ArgumentParser(description="Prints the spans of rotel's detailed debug log as JSON.")
    parser.add_argument("file", type=pathlib.Path)
    parser.add_argument("--trace-id")
    chosen = parser.parse_args()
    spans = parse(chosen.file.read_text(errors="replace"))
    if chosen.trace_id:
        spans = [span for span in spans if span["trace_id"] == chosen.trace_id]
    json.dump(spans, sys.stdout, indent=2)
    print()


if __name__ == "__main__":
    main()
