"""Python stubs of the public contract, generated from proto/ when they are first needed.

Owns: where they are kept (.cache/stubs, one folder for each content of the contract). May not: be committed.
"""

import hashlib
import importlib
import os
import pathlib
import shutil
import sys
import tempfile
from importlib import resources

ROOT = pathlib.Path(__file__).resolve().parents[2]
PROTO = ROOT / "proto"


def load(name):
    """The generated module paygate.v1.NAME, for example "payment_service_pb2"."""
    folder = str(_generated())
    if folder not in sys.path:
        sys.path.insert(0, folder)
    return importlib.import_module(f"paygate.v1.{name}")


def _generated():
    files = sorted((PROTO / "paygate" / "v1").glob("*.proto"))
    content = hashlib.sha256()
    for file in files:
        content.update(file.name.encode() + b"\0" + file.read_bytes() + b"\0")
    cache = pathlib.Path(os.environ.get("PAYGATE_CACHE", ROOT / ".cache")) / "stubs"
    done = cache / content.hexdigest()[:16]
    if done.is_dir():
        return done
    cache.mkdir(parents=True, exist_ok=True)
    made = pathlib.Path(tempfile.mkdtemp(dir=cache))
    _generate(files, made)
    try:
        made.rename(done)
    except OSError:
        # Another process was faster; its stubs come from the same content.
        shutil.rmtree(made)
    return done


def _generate(files, folder):
    from grpc_tools import protoc

    well_known = str(resources.files("grpc_tools") / "_proto")
    arguments = ["protoc", f"-I{PROTO}", f"-I{well_known}", f"--python_out={folder}", f"--grpc_python_out={folder}"]
    if protoc.main(arguments + [str(file) for file in files]) != 0:
        raise SystemExit("stubs: protoc refuses the contract, see above")
