#!/usr/bin/env python3
"""systemd's own judgement of the units in deploy/systemd: nothing to complain about, and the signer's exposure below 2.0.

Owns: that. May not: start a unit; systemd is not the first process of a test machine.
"""

import pathlib
import re
import shutil
import subprocess
import tempfile

UNITS = pathlib.Path(__file__).resolve().parents[2] / "deploy" / "systemd"

# The largest exposure that `systemd-analyze security` may find: 0 nothing is open, 10 everything.
EXPOSURE_MAX = {"paygate-signer.service": 2.0, "paygate.service": 3.0, "paygate-backup.service": 3.0, "paygate-signer-backup.service": 2.0}
TIMERS = ("paygate-backup.timer", "paygate-signer-backup.timer")

TOOL_WITHIN_S = 60


def main():
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        for name in EXPOSURE_MAX:
            # Only the programs are replaced, by one that this machine has.
            text = re.sub(r"/usr/local/bin/paygate(-signer)?(?= )", shutil.which("true"), (UNITS / name).read_text())
            (folder / name).write_text(text)
        for name in TIMERS:
            # Beside its service, which systemd looks for there.
            shutil.copy(UNITS / name, folder / name)
        found = {path.name for path in UNITS.iterdir() if path.suffix in (".service", ".timer")}
        expect(found == {*EXPOSURE_MAX, *TIMERS}, f"every unit is judged: {found}")
        said = analyze("verify", *(str(folder / name) for name in (*EXPOSURE_MAX, *TIMERS)))
        expect(not said, f"systemd-analyze verify has nothing to say, not\n{said}")
        for name, most in EXPOSURE_MAX.items():
            report = analyze("security", "--offline=true", "--no-pager", str(folder / name))
            exposure = float(re.search(r"Overall exposure level for \S+: ([\d.]+)", report)[1])
            expect(exposure < most, f"{name} is below {most}, not {exposure}\n{report}")
            print(f"units: {name} is in order, exposure {exposure}")


def analyze(*arguments):
    done = subprocess.run(["systemd-analyze", *arguments], capture_output=True, text=True, timeout=TOOL_WITHIN_S, check=False)
    said = done.stdout + done.stderr
    expect(done.returncode == 0, f"systemd-analyze {arguments[0]} succeeds, not {done.returncode}:\n{said}")
    return said


def expect(holds, what):
    if not holds:
        raise SystemExit(f"units: expected that {what}")


if __name__ == "__main__":
    main()
