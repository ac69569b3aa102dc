// Makes the committed vectors with xrpl.js: transactions of the kinds that Paygate sends, and seeds with their addresses.
//
// InvoiceIDs and the memos of no-ops are computed here from their description in signer/tx/src/invoice.rs, apart from
// that code. Usage: generate.js DIRECTORY
"use strict";
const { createHash } = require("node:crypto");
const { writeFileSync } = require("node:fs");
const { join } = require("node:path");
const codec = require("ripple-address-codec");
const { Wallet } = require("xrpl");
const { Draws } = require("./draws");

const WALLETS = 16;
const TRANSACTIONS = 320;
const TICKET_CREATES = 40;
const SEEDS_OF_EACH_FAMILY = 500;

// Up to 1024 a network has no NetworkID field.
const NETWORKS = [0, 1, 1024, 1025, 63456, 4294967295];
const MEMOS_BYTES_MAX = 1024;
const URL_CHARACTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~:/?#[]@!$&'()*+,;=%";

const u32 = (number) => {
    const bytes = Buffer.alloc(4);
    bytes.writeUInt32BE(number);
    return bytes;
};
const framed = (text) => Buffer.concat([u32(Buffer.byteLength(text)), Buffer.from(text)]);
const hex = (bytes) => Buffer.from(bytes).toString("hex").toUpperCase();

function invoiceId(network, account, client, payment) {
    return hex(
        createHash("sha256")
            .update("paygate/invoice/v1\0")
            .update(u32(network))
            .update(codec.decodeAccountID(account))
            .update(framed(client))
            .update(framed(payment))
            .digest(),
    );
}

function wallet(draws, index) {
    const family = index % 2 ? "ed25519" : "secp256k1";
    const seed = codec.encodeSeed(draws.bytes(16), family);
    const signer = Wallet.fromSeed(seed, { algorithm: family === "ed25519" ? "ed25519" : "ecdsa-secp256k1" });
    return { seed, family, network: NETWORKS[(index >> 1) % NETWORKS.length], signer };
}

// The bytes that servers count: for each memo its header and end, for each part a header, a length and its bytes.
function memoBytes({ Memo }) {
    const part = (text = "") => (text ? 1 + (text.length / 2 <= 192 ? 1 : 2) + text.length / 2 : 0);
    return 2 + part(Memo.MemoType) + part(Memo.MemoData) + part(Memo.MemoFormat);
}

function memos(draws) {
    const url = () => hex(Array.from({ length: 1 + draws.below(24) }, () => draws.pick(URL_CHARACTERS)).join(""));
    const data = (length) => hex(draws.bytes(length));
    const dice = draws.below(20);
    if (dice < 8) return [];
    if (dice === 8) return [{ Memo: { MemoData: data(MEMOS_BYTES_MAX - 5) } }]; // all that fits
    if (dice === 9) return [{ Memo: { MemoData: data(192) } }, { Memo: { MemoData: data(193) } }];
    const all = [];
    for (let count = 1 + draws.below(3); count > 0; count--) {
        const Memo = {};
        if (draws.below(2)) Memo.MemoType = url();
        if (draws.below(2)) Memo.MemoData = data(1 + draws.below(60));
        if (draws.below(2)) Memo.MemoFormat = url();
        if (Object.keys(Memo).length) all.push({ Memo });
    }
    if (all.reduce((sum, memo) => sum + memoBytes(memo), 0) > MEMOS_BYTES_MAX) throw new Error("memos are too long");
    return all;
}

function noOpMemo(client, payment, slot) {
    const [type, data] = payment ? ["paygate/noop", `${client}/${payment}`] : ["paygate/filler", slot];
    return { Memo: { MemoType: hex(type), MemoData: hex(data) } };
}

function transaction(draws, owner, index) {
    const account = owner.signer.classicAddress;
    // Apart for the transactions of a wallet, whose number is far below the step.
    const number = index < 2 * WALLETS ? [1, 0xffffffff][index < WALLETS ? 0 : 1] : 2 + index * 100_000 + draws.below(100_000);
    const ticket = draws.below(3) === 0;
    const tx = { Account: account, Fee: draws.drops(), LastLedgerSequence: draws.u32(1) };
    Object.assign(tx, ticket ? { Sequence: 0, TicketSequence: number } : { Sequence: number });
    if (owner.network > 1024) tx.NetworkID = owner.network;
    if (draws.below(3)) tx.SourceTag = draws.u32();

    const client = draws.pick(["local", "shop", "shop.eu:till-7_a", "c".repeat(64)]);
    let payment = draws.below(16) ? `order-${index}` : `${index}.`.padEnd(64, "p");
    if (draws.below(4)) {
        const target = draws.below(16) ? draws.bytes(20) : Buffer.from("0000000000000000000000000000000000000001", "hex");
        tx.TransactionType = "Payment";
        tx.Amount = draws.drops();
        tx.Destination = codec.encodeAccountID(target);
        tx.InvoiceID = invoiceId(owner.network, account, client, payment);
        if (draws.below(3)) tx.DestinationTag = draws.u32();
        const notes = memos(draws);
        if (notes.length) tx.Memos = notes;
    } else {
        if (draws.below(2)) payment = undefined;
        tx.TransactionType = "AccountSet";
        tx.Memos = [noOpMemo(client, payment, `${ticket ? "ticket" : "sequence"} ${number}`)];
    }
    return line(owner, tx, payment && { client, payment });
}

function ticketCreate(draws, owner, index) {
    const slot = 2 + index * 100_000 + draws.below(100_000);
    const tx = {
        TransactionType: "TicketCreate",
        Account: owner.signer.classicAddress,
        Fee: draws.drops(),
        LastLedgerSequence: draws.u32(1),
        TicketCount: draws.pick([1, 250, 1 + draws.below(250)]),
        ...(draws.below(3) ? { Sequence: slot } : { Sequence: 0, TicketSequence: slot }),
    };
    if (owner.network > 1024) tx.NetworkID = owner.network;
    if (draws.below(3)) tx.SourceTag = draws.u32();
    const notes = memos(draws);
    if (notes.length) tx.Memos = notes;
    return line(owner, tx);
}

function line(owner, tx, key) {
    const { tx_blob: blob, hash } = owner.signer.sign(tx);
    return JSON.stringify({ seed: owner.seed, network: owner.network, ...key, tx, blob, hash });
}

function seeds(draws) {
    const all = [];
    for (let index = 0; index < 2 * SEEDS_OF_EACH_FAMILY; index++) {
        const { seed, signer } = wallet(draws, index);
        all.push(JSON.stringify([seed, signer.classicAddress]));
    }
    return all;
}

const directory = process.argv[2];
const write = (name, lines) => writeFileSync(join(directory, name), lines.join("\n") + "\n");

const wallets = new Draws("paygate/vectors/wallets");
const owners = Array.from({ length: WALLETS }, (_, index) => wallet(wallets, index));
const each = (count, make) => Array.from({ length: count }, (_, index) => make(owners[index % WALLETS], index));

const transactions = new Draws("paygate/vectors/transactions");
write("transactions.jsonl", each(TRANSACTIONS, (owner, index) => transaction(transactions, owner, index)));
const tickets = new Draws("paygate/vectors/ticket-creates");
write("ticket-creates.jsonl", each(TICKET_CREATES, (owner, index) => ticketCreate(tickets, owner, index)));
write("seeds.jsonl", seeds(new Draws("paygate/vectors/seeds")));
