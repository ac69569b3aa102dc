#!/usr/bin/env python3
"""Runs the code blocks of a page of documentation exactly as they stand there, and compares what they print.

Usage: check_pages.py --gateway HOST:PORT PAGE.md...

Each section (`## `) gets an empty folder with `proto` and `tests` of the repository in it. A block with a file's name after its
language becomes that file; the `sh` blocks of a section run one after the other in one shell that stops at the first failure; a
`text` block is what the block before it prints, where `…` stands for anything and a line of `…` for any lines. Blocks
in a section that has `sh` blocks and of another form are an error: there must be none that only look as if they were run.

Owns: what "as it stands" means. May not: change a block before it runs.
"""

import argparse
import os
import pathlib
import re
import subprocess
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]

# Sections that pay wait for ledgers of a second; the first npm or pip may have to fetch.
SECTION_WITHIN_S = 180

# Printed between the blocks of a section, so that each one's output is known.
MARK = "--- block %d of this section has ended ---"


def main():
    parser = argparse.ArgumentParser(description="Runs the blocks of pages as they stand.")
    parser.add_argument("--gateway", required=True, help="HOST:PORT of a running gateway")
    parser.add_argument("pages", nargs="+", type=pathlib.Path)
    chosen = parser.parse_args()
    for page in chosen.pages:
        ran = 0
        for title, blocks in sections(page.read_text()):
            if any(language == "sh" for language, _, _ in blocks):
                run_section(f"{page.name}, {title}", blocks, chosen.gateway)
                ran += 1
        if not ran:
            raise SystemExit(f"{page}: no section with blocks to run")


def sections(text):
    """Each section's title, with its blocks as (language, file name or "", content)."""
    for section in re.split(r"^## ", text, flags=re.M)[1:]:
        title, _, body = section.partition("\n")
        blocks = re.findall(r"^```(\w*) ?([^\n]*)\n(.*?)^```$", body, flags=re.M | re.S)
        yield title, blocks


def run_section(where, blocks, gateway):
    script, expected, files = ["set -euo pipefail"], {}, {}
    shells = 0
    for language, name, content in blocks:
        if language == "sh":
            shells += 1
            script += [content, f"echo '{MARK % shells}'"]
        elif language == "text" and shells:
            expected[shells] = content
        elif name:
            files[name] = content
        else:
            raise SystemExit(f"{where}: a block of language {language!r} is neither run nor a file:\n{content}")
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        for name in ("proto", "tests"):
            (folder / name).symlink_to(ROOT / name)
        for name, content in files.items():
            (folder / name).write_text(content)
        # The script is no standard input, which programs of the page would read from; `timeout` ends all that it started.
        done = subprocess.run(
            ["timeout", "--kill-after=5", str(SECTION_WITHIN_S), "bash", "-c", "\n".join(script)],
            cwd=folder, env={**os.environ, "PAYGATE": gateway},
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )
    printed = done.stdout
    for number in range(1, shells + 1):
        output, found, printed = printed.partition(f"{MARK % number}\n")
        if not found:
            raise SystemExit(f"{where}: block {number} ended with {done.returncode} and printed\n{output}{done.stderr}")
        if number in expected and not matches(output, expected[number]):
            raise SystemExit(f"{where}: block {number} must print\n{expected[number]}but prints\n{output}{done.stderr}")
    print(f"{where}: {shells} blocks run as they stand, {len(expected)} outputs compared", flush=True)


def matches(output, expected):
    """Whether `output` is `expected`, whose dots stand for anything."""
    pattern = ""
    for line in expected.splitlines():
        if line == "…":
            pattern += r"(?:.*\n)*?"
        else:
            pattern += r".*".join(re.escape(part) for part in line.split("…")) + r"\n"
    return re.fullmatch(pattern, output) is not None


if __name__ == "__main__":
    main()
