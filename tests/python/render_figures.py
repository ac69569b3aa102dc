#!/usr/bin/env python3
"""Draws deploy/figures.svg: the main figures of a devnet's gateway under load, as a real Prometheus has them, and prints a payment's trace.

    tests/run panels                          # once: it installs what this needs
    PATH=$PWD/.cache/venv/bin:$PATH PAYGATE_ROTEL=$(echo .cache/venv/lib/python3*/site-packages/rotel/rotel-agent) \
        python tests/python/render_figures.py

Owns: the drawing. May not: smooth, fill in or invent a value; where Prometheus has none, the line ends.
"""

import argparse
import html
import pathlib
import tempfile
import threading
import time
import contextlib

import check_dashboards
import check_traces
import collector
import devnet
import pay

FILE = devnet.ROOT / "deploy" / "figures.svg"

CLOSE_MS = "1000"
LOAD_S = 120
CALLERS = 4
STEP_S = 1

WIDTH, HEIGHT, COLUMNS = 300, 130, 3
LEFT, TOP, BOTTOM = 44, 34, 18
COLOURS = ("#1f6feb", "#d1242f", "#1a7f37", "#9a6700")

# Title, unit, and lines: a name and what is asked of Prometheus, as the dashboards do.
FIGURES = (
    ("Payments", "a second", {"PAID": 'sum(rate(payments_total{status="PAID"}[10s]))'}),
    ("Time to PAID", "seconds", {
        "half of them": 'histogram_quantile(0.5, sum by (le) (rate(paygate_stage_duration_seconds_bucket{stage="confirm"}[20s])))',
        "99 %": 'histogram_quantile(0.99, sum by (le) (rate(paygate_stage_duration_seconds_bucket{stage="confirm"}[20s])))'}),
    ("Pending payments", "", {"pending": "sum(pending_payments)"}),
    ("Wallet", "XRP", {"balance": "sum(wallet_balance_xrp)"}),
    ("Oldest pending payment", "seconds", {"age": "max(paygate_oldest_pending_age_seconds)"}),
    ("Limits used", "share", {"largest": "max(paygate:limit_used:ratio)"}),
)


def main():
    parser = argparse.ArgumentParser(description="Draws deploy/figures.svg from a devnet under load.")
    parser.add_argument("--seconds", type=int, default=LOAD_S, help="of load")
    chosen = parser.parse_args()
    with collector.running() as receiver, tempfile.TemporaryDirectory() as folder:
        with devnet.running("--close-ms", CLOSE_MS, "--otlp-endpoint", receiver.endpoint) as world:
            gateway, metrics = world["endpoints"]["gateway"], world["endpoints"]["metrics"]
            with check_dashboards.prometheus(pathlib.Path(folder), metrics) as server:
                began = time.time()
                with contextlib.ExitStack() as callers:
                    for caller in range(CALLERS):
                        callers.enter_context(load(gateway, caller))
                    time.sleep(chosen.seconds)
                ended = time.time()
                drawn = [(title, unit, {name: values(server, expr, began, ended) for name, expr in lines.items()}) for title, unit, lines in FIGURES]
            with pay.connect(gateway) as channel:
                story = check_traces.Story(receiver, channel, "traced-1")
                story.pay()
                story.check()
            tree(receiver.trace(story.trace_id), story.span_id)
    for title, _, lines in drawn:
        for name, points in lines.items():
            if not points:
                raise SystemExit(f"figures: Prometheus has nothing for {title}, {name}")
    FILE.write_text(svg(drawn, ended - began))
    print(f"figures: {FILE.relative_to(devnet.ROOT)} has {len(drawn)} figures of {ended - began:.0f} s, {FILE.stat().st_size} bytes")


@contextlib.contextmanager
def load(gateway, caller):
    """One caller that pays again and again, each payment once the one before is PAID."""
    over = threading.Event()

    def work():
        number = 0
        with pay.connect(gateway) as channel:
            client = pay.Client(channel)
            while not over.is_set():
                number += 1
                name = f"load-{caller}-{number}"
                client.create_surely(time.monotonic() + 60, name, check_dashboards.DESTINATION, 1_000_000 if number > 1 else check_dashboards.DROPS)
                client.until_final(time.monotonic() + 60, name)

    worker = threading.Thread(target=work, daemon=True)
    worker.start()
    try:
        yield
    finally:
        over.set()
        worker.join(90)


def values(server, expr, began, ended):
    """Seconds since the beginning, and the value."""
    answer = check_dashboards.get(server, "/api/v1/query_range", query=expr, start=began, end=ended, step=STEP_S)["result"]
    return [(float(at) - began, float(value)) for series in answer[:1] for at, value in series["values"] if value not in ("NaN", "+Inf", "-Inf")]


def svg(drawn, seconds):
    rows = -(-len(drawn) // COLUMNS)
    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH * COLUMNS}" height="{HEIGHT * rows}" font-family="sans-serif" font-size="11">',
             '<rect width="100%" height="100%" fill="white"/>']
    for number, (title, unit, lines) in enumerate(drawn):
        parts += figure(WIDTH * (number % COLUMNS), HEIGHT * (number // COLUMNS), title, unit, lines, seconds)
    return "\n".join([*parts, "</svg>", ""])


def figure(left, top, title, unit, lines, seconds):
    everything = [value for points in lines.values() for _, value in points]
    low, high = min(everything), max(everything)
    # From zero, unless that would hide what moves.
    low = 0 if low < high * 0.9 or low == high else low
    span = (high - low) or 1
    x, y = lambda at: left + LEFT + at / seconds * (WIDTH - LEFT - 12), lambda value: top + HEIGHT - BOTTOM - (value - low) / span * (HEIGHT - TOP - BOTTOM)
    floor = y(low)
    parts = [f'<text x="{left + LEFT}" y="{top + 14}" font-weight="bold">{html.escape(title)}{", " + unit if unit else ""}</text>',
             f'<path d="M{x(0):.0f} {y(high):.0f}V{floor:.0f}H{x(seconds):.0f}" fill="none" stroke="#999"/>',
             f'<text x="{left + LEFT - 4}" y="{y(high) + 4:.0f}" text-anchor="end">{high:.4g}</text>',
             f'<text x="{left + LEFT - 4}" y="{floor:.0f}" text-anchor="end">{low:.4g}</text>',
             f'<text x="{x(seconds):.0f}" y="{floor + 12:.0f}" text-anchor="end" fill="#666">{seconds:.0f} s</text>']
    for position, (name, points) in enumerate(lines.items()):
        colour = COLOURS[position]
        path = "L".join(f"{x(at):.1f} {y(value):.1f}" for at, value in points)
        parts += [f'<path d="M{path}" fill="none" stroke="{colour}" stroke-width="1.5"/>',
                  f'<text x="{left + LEFT + 90 * position}" y="{top + 27}" fill="{colour}">{html.escape(name)}</text>']
    return parts


def tree(spans, parent, depth=0, first=None):
    """Who called whom, and when: milliseconds since the first span began."""
    first = first or min(span["start_ns"] for span in spans)
    for span in sorted((span for span in spans if span["parent_id"] == parent), key=lambda span: span["start_ns"]):
        print(f"{(span['start_ns'] - first) / 1e6:9.1f} ms  {'  ' * depth}{span['name']}  ({span['service']})")
        tree(spans, span["span_id"], depth + 1, first)


if __name__ == "__main__":
    main()
