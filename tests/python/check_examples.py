#!/usr/bin/env python3
"""The example configurations are what the programs themselves take, and compose, images and collector keep what deploy/README.md promises.

Owns: nothing of the products; it asks them. May not: start a service, or let an example be refused.
"""

import os
import pathlib
import re
import subprocess

import yaml

ROOT = pathlib.Path(__file__).resolve().parents[2]
DEPLOY = ROOT / "deploy"
TARGET = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "debug"
TOOL_WITHIN_S = 60


def main():
    for name in ("production", "staging", "devnet"):
        code, said = check("paygate", name)
        expect(code == 0, f"paygate takes the example {name}: {said}")
    for name in ("production", "staging", "devnet"):
        code, said = check("paygate-signer", name)
        expect(code == 0, f"paygate-signer takes the example {name}: {said}")
    limits_fit()
    compose()
    images()
    collector()
    print("examples: six configurations, compose, two images and the collector's pipeline are in order")


def check(program, name, **environment):
    file = DEPLOY / f"{program}.{name}.toml"
    done = subprocess.run([TARGET / program, "check-config", "--config", file], env={**os.environ, **environment},
                          capture_output=True, text=True, timeout=TOOL_WITHIN_S, check=False)
    return done.returncode, done.stdout + done.stderr


def limits_fit():
    """The gateway asks for nothing that the signer beside it refuses."""
    def value(program, name, key):
        return float(re.search(rf'^{key} = "?([\d.]+)', (DEPLOY / f"{program}.{name}.toml").read_text(), re.M)[1])

    for name in ("production", "staging", "devnet"):
        for ours, theirs in (("max_payment_xrp", "max_payment_xrp"), ("daily_limit_xrp", "max_day_xrp"), ("network_id", "network_id")):
            asked, allowed = value("paygate", name, ours), value("paygate-signer", name, theirs)
            expect(asked == allowed if ours == "network_id" else asked <= allowed, f"{name}: {ours} {asked} fits the signer's {theirs} {allowed}")


def compose():
    file = yaml.safe_load((DEPLOY / "compose.yml").read_text())
    services = file["services"]
    for name, service in services.items():
        expect(service.get("read_only") is True, f"{name} has a read-only root")
        expect(service.get("cap_drop") == ["ALL"], f"{name} has no capabilities")
        expect("no-new-privileges:true" in service.get("security_opt", []), f"{name} gains no privileges")
        expect("mem_limit" in service and "pids_limit" in service, f"{name} has limits")
        expect(service.get("stop_grace_period") == "60s", f"{name} has a minute to end")
        expect(("network_mode" in service) != ("networks" in service), f"{name} says which network it is in")
        for volume in service.get("volumes", []):
            source = volume.split(":")[0]
            if source.startswith("./") and not source.startswith("./local/"):
                expect((DEPLOY / source).exists(), f"{name}: {source} is there")
        for variable, text in service.get("environment", {}).items():
            secret = re.search(r"PASS|SEED|TOKEN|SECRET|KEY", variable)
            expect(not secret or re.search(r"_FILE$", variable), f"{name}: {variable} is a path, not a secret")
            expect(not secret or text.startswith("/run/secrets/"), f"{name}: {variable} is a path, not a secret")
    expect(services["signer"]["network_mode"] == "none" and "ports" not in services["signer"], "the signer has no network")
    expect(all("external" in secret or "file" in secret for secret in file["secrets"].values()), "secrets come from outside")


def images():
    for name, user in (("gateway", "10001:10000"), ("signer", "10002:10000")):
        text = (DEPLOY / "docker" / f"{name}.Dockerfile").read_text()
        stages = re.findall(r"^FROM (\S+)", text, re.M)
        expect(stages == ["${BUILDER}", "${RUNTIME}"], f"{name}: both base images are arguments, not {stages}")
        last = text[text.rindex("\nFROM "):]
        expect(f"\nUSER {user}\n" in last and "\nRUN " not in last, f"{name}: runs as {user}, and its image needs no shell")
        expect(re.search(r'HEALTHCHECK [^\n]*\\\n +CMD \["[^"]+", "probe"', last), f"{name}: the binary's own probe is its health check")


def collector():
    file = yaml.safe_load((DEPLOY / "otel-collector" / "config.yaml").read_text())
    for name, pipeline in file["service"]["pipelines"].items():
        for kind in ("receivers", "processors", "exporters"):
            for part in pipeline[kind]:
                expect(part in file[kind], f"the pipeline {name} uses {part}, which {kind} defines")
    expect(pipeline["processors"][0] == "memory_limiter" and pipeline["processors"][-1] == "batch", "memory is limited first, batches are made last")


def expect(holds, what):
    if not holds:
        raise SystemExit(f"examples: expected that {what}")


if __name__ == "__main__":
    main()
