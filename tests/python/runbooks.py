"""The commands of the runbooks as they stand there.

Owns: which lines of a page are commands: those of its `sh` blocks. May not: change one.
"""

import re

import devnet

RUNBOOKS = devnet.ROOT / "runbooks"

# What runs nowhere here, also not on a host of its own: the beginning of the command, and the reason. The list may become shorter.
NOWHERE = {
    "getent hosts xrplcluster.com": "a test asks no public server",
    "curl -s -o /dev/null -m 10 -w '%{http_code}\\n' https://xrplcluster.com": "likewise",
}


def of(page):
    """A page's commands, in their order, each as often as it stands there."""
    text = (RUNBOOKS / f"{page}.md").read_text()
    blocks = re.findall(r"^ *```sh\n(.*?)^ *```", text, re.M | re.S)
    return [line.strip() for block in blocks for line in block.splitlines() if line.strip()]


def everything():
    """Each different command, with the first page that has it."""
    found = {}
    for path in sorted(RUNBOOKS.glob("*.md")):
        for command in of(path.stem):
            found.setdefault(command, path.stem)
    return found


def runs_nowhere(command):
    return any(command.startswith(start) for start in NOWHERE)
