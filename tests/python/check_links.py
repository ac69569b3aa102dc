#!/usr/bin/env python3
"""Every relative link of every Markdown page of the repository leads to a file, and to a heading of it where it names one.

Owns: that. May not: ask the network for anything.
"""

import pathlib
import re
import subprocess

ROOT = pathlib.Path(__file__).resolve().parents[2]


def main():
    listed = subprocess.run(["git", "ls-files", "--cached", "--others", "--exclude-standard", "*.md"], cwd=ROOT, capture_output=True, text=True, check=True)
    pages = [ROOT / name for name in listed.stdout.splitlines() if (ROOT / name).is_file()]
    wrong, links = [], 0
    for page in pages:
        text = re.sub(r"^```.*?^```|`[^`\n]*`", "", page.read_text(), flags=re.M | re.S)
        for target in re.findall(r"\]\(([^)\s]+)\)", text):
            if re.match(r"\w+:", target):
                continue
            links += 1
            path, _, anchor = target.partition("#")
            there = (page.parent / path).resolve() if path else page
            if not there.exists():
                wrong.append(f"{page.relative_to(ROOT)}: {target} is not there")
            elif anchor and there.suffix == ".md" and anchor not in anchors(there):
                wrong.append(f"{page.relative_to(ROOT)}: {target} names no heading")
    if wrong or not links:
        raise SystemExit("links:\n  " + "\n  ".join(wrong or ["none found"]))
    print(f"links: {links} relative links on {len(pages)} pages lead somewhere")


def anchors(page):
    headings = re.findall(r"^#+ (.*)$", page.read_text(), re.M)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}


if __name__ == "__main__":
    main()
