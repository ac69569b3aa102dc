"""Has xrpl-py check vectors: what it reads in a blob is what was meant, it writes and signs the very same bytes, the
signature verifies, the hash is right, and each seed owns its address.

Usage: check.py DIRECTORY, which holds files of transactions and the file seeds.jsonl. Ends with a line that counts.
"""

import functools
import hashlib
import json
import multiprocessing
import os
import pathlib
import sys

from xrpl.constants import CryptoAlgorithm
from xrpl.core import binarycodec, keypairs
from xrpl.wallet import Wallet

HASH_PREFIX_ID = bytes.fromhex("54584E00")

# Its elliptic curves are in Python, so that the seeds of one family take minutes on one core.
LINES_AT_A_TIME = 50


@functools.cache
def owner(seed: str) -> Wallet:
    """The wallet of a seed. The older family has no mark of its own."""
    family = CryptoAlgorithm.ED25519 if seed.startswith("sEd") else CryptoAlgorithm.SECP256K1
    return Wallet.from_seed(seed, algorithm=family)


def transaction_problems(line: str) -> list[str]:
    """What is wrong with a transaction."""
    vector = json.loads(line)
    signer = owner(vector["seed"])
    blob = vector["blob"]
    read = binarycodec.decode(blob)
    fields = {name: value for name, value in read.items() if name not in ("SigningPubKey", "TxnSignature")}
    payload = binarycodec.encode_for_signing({**fields, "SigningPubKey": read["SigningPubKey"]})
    signature = keypairs.sign(bytes.fromhex(payload), signer.private_key)
    verified = keypairs.is_valid_message(
        bytes.fromhex(payload), bytes.fromhex(read["TxnSignature"]), read["SigningPubKey"]
    )
    digest = hashlib.sha512(HASH_PREFIX_ID + bytes.fromhex(blob)).hexdigest()[:64].upper()
    checks = {
        "is read as something else": fields == vector["tx"],
        "has another key": read["SigningPubKey"] == signer.public_key,
        "is of another account": vector["tx"]["Account"] == signer.classic_address,
        "is written otherwise": binarycodec.encode(read) == blob,
        "has a wrong signature": verified,
        "has another hash": digest == vector["hash"],
        "is signed otherwise": signature == read["TxnSignature"],
    }
    return [problem for problem, right in checks.items() if not right]


def problems(numbered: tuple[str, bool, str]) -> list[str]:
    """What is wrong with a line, each with its place."""
    where, is_seed, line = numbered
    if is_seed:
        seed, address = json.loads(line)
        return [] if owner(seed).classic_address == address else [f"{where}: {seed} does not own {address}"]
    try:
        return [f"{where}: {problem}: {line}" for problem in transaction_problems(line)]
    except Exception as error:  # whatever the library raises is a finding about this line
        return [f"{where}: {error!r}: {line}"]


def main() -> int:
    """Checks all files of the directory."""
    lines = [
        (f"{path.name}:{number}", path.name == "seeds.jsonl", line)
        for path in sorted(pathlib.Path(sys.argv[1]).glob("*.jsonl"))
        for number, line in enumerate(path.read_text().splitlines(), start=1)
    ]
    seeds = sum(is_seed for _, is_seed, _ in lines)
    wrong = 0
    with multiprocessing.Pool(os.cpu_count()) as pool:
        for found in pool.imap(problems, lines, chunksize=LINES_AT_A_TIME):
            wrong += len(found)
            for problem in found:
                print(problem, file=sys.stderr)
    print(f"xrpl-py: {len(lines) - seeds} transactions, {seeds} seeds, {wrong} wrong")
    return 0 if wrong == 0 and 0 < seeds < len(lines) else 1


if __name__ == "__main__":
    sys.exit(main())
