// Has xrpl.js check vectors: what it reads in a blob is what was meant, it writes and signs the very same bytes, the
// signature verifies, the hash is right, and each seed owns its address.
//
// Usage: check.js DIRECTORY, which holds files of transactions and the file seeds.jsonl. Ends with a line that counts.
"use strict";
const { readFileSync, readdirSync } = require("node:fs");
const { join } = require("node:path");
const { isDeepStrictEqual } = require("node:util");
const { Wallet, decode, encode, hashes, verifySignature } = require("xrpl");

// A seed of the older family has no mark of its own, and xrpl.js takes it for ed25519 unless it is told.
const owner = (seed) =>
    Wallet.fromSeed(seed, { algorithm: seed.startsWith("sEd") ? "ed25519" : "ecdsa-secp256k1" });

const owners = new Map();

function problems({ seed, tx, blob, hash }) {
    if (!owners.has(seed)) owners.set(seed, owner(seed));
    const signer = owners.get(seed);
    const { SigningPubKey, TxnSignature, ...fields } = decode(blob);
    const signed = signer.sign(fields);
    const checks = {
        "is read as something else": isDeepStrictEqual(fields, tx),
        "has another key": SigningPubKey === signer.publicKey,
        "is of another account": tx.Account === signer.classicAddress,
        "is written otherwise": encode({ ...fields, SigningPubKey, TxnSignature }) === blob,
        "has a wrong signature": verifySignature(blob),
        "has another hash": hashes.hashSignedTx(blob) === hash,
        "is signed otherwise": signed.tx_blob === blob && signed.hash === hash,
    };
    return Object.keys(checks).filter((problem) => !checks[problem]);
}

const directory = process.argv[2];
const counts = { transactions: 0, seeds: 0, wrong: 0 };
const wrong = (text) => {
    counts.wrong++;
    console.error(text);
};
for (const file of readdirSync(directory).filter((name) => name.endsWith(".jsonl"))) {
    const lines = readFileSync(join(directory, file), "utf8").trimEnd().split("\n");
    for (const [index, text] of lines.entries()) {
        const where = `${file}:${index + 1}`;
        if (file === "seeds.jsonl") {
            const [seed, address] = JSON.parse(text);
            counts.seeds++;
            if (owner(seed).classicAddress !== address) wrong(`${where}: ${seed} does not own ${address}`);
            continue;
        }
        counts.transactions++;
        try {
            for (const problem of problems(JSON.parse(text))) wrong(`${where}: ${problem}: ${text}`);
        } catch (error) {
            wrong(`${where}: ${error}: ${text}`);
        }
    }
}
console.log(
    `xrpl.js: ${counts.transactions} transactions, ${counts.seeds} seeds, ${counts.wrong} wrong`,
);
process.exitCode = counts.wrong === 0 && counts.transactions > 0 && counts.seeds > 0 ? 0 : 1;
