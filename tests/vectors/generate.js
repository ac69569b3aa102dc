// Makes the committed vectors with xrpl.js: transactions of the kinds that Paygate sends, and seeds with their addresses.
//
// InvoiceIDs and the memos of no-ops and TicketCreates are computed here from their description in signer/tx/src/invoice.rs, apart from
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
const ISSUED_PAYMENTS = 240;
const ISSUED_ENDS = [
    { mantissa: 10n ** 15n, exponent: -96 },
    { mantissa: 10n ** 16n - 1n, exponent: 80 },
];
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

// Digits and a point, as both libraries write it.
function plain({ mantissa, exponent }) {
    const digits = mantissa.toString();
    if (exponent >= 0) return digits + "0".repeat(exponent);
    const padded = digits.padStart(1 - exponent, "0");
    const point = padded.length + exponent;
    const decimals = padded.slice(point).replace(/0+$/, "");
    return padded.slice(0, point) + (decimals && `.${decimals}`);
}

// Standard codes, also of characters that look odd, and all else that 20 bytes can be.
function currency(draws) {
    const any = draws.bytes(20);
    any[0] ||= 1;
    const middle = Buffer.from(any);
    middle.write("USD", 12, "ascii");
    return draws.pick(["USD", "usd", "?!@", "0Z9", "524C555344000000000000000000000000000000", hex(any), hex(middle)]);
}

function issuedPayment(draws, owner, index) {
    const account = owner.signer.classicAddress;
    const number = 50_000_000 + index * 100_000 + draws.below(100_000);
    const tx = { TransactionType: "Payment", Account: account, Fee: draws.drops(), LastLedgerSequence: draws.u32(1) };
    Object.assign(tx, draws.below(4) ? { Sequence: number } : { Sequence: 0, TicketSequence: number });
    if (owner.network > 1024) tx.NetworkID = owner.network;
    if (draws.below(3)) tx.SourceTag = draws.u32();
    if (draws.below(3)) tx.DestinationTag = draws.u32();
    const asset = { currency: currency(draws), issuer: codec.encodeAccountID(draws.bytes(20)) };
    // The ends of the range for both families, then any.
    const amount = draws.issued();
    if (index < 4) Object.assign(amount, ISSUED_ENDS[index >> 1]);
    tx.Amount = { ...asset, value: plain(amount) };
    if (draws.below(2)) tx.SendMax = { ...asset, value: plain(draws.issuedAbove(amount)) };
    // Often back to whoever issued it.
    tx.Destination = draws.below(4) ? codec.encodeAccountID(draws.bytes(20)) : asset.issuer;
    const [client, payment] = ["shop", `issued-${index}`];
    tx.InvoiceID = invoiceId(owner.network, account, client, payment);
    const notes = memos(draws);
    if (notes.length) tx.Memos = notes;
    return line(owner, tx, { client, payment });
}

function ticketCreate(draws, owner, index) {
    const slot = 100_000_000 + index * 100_000 + draws.below(90_000);
    const count = draws.pick([1, 250, 1 + draws.below(250)]);
    // Of a ticket it is no transaction of ours, but has a form all the same.
    const sequence = draws.below(3) > 0;
    const tx = {
        TransactionType: "TicketCreate",
        Account: owner.signer.classicAddress,
        Fee: draws.drops(),
        LastLedgerSequence: draws.u32(1),
        TicketCount: count,
        ...(sequence ? { Sequence: slot } : { Sequence: 0, TicketSequence: slot }),
    };
    if (owner.network > 1024) tx.NetworkID = owner.network;
    if (draws.below(3)) tx.SourceTag = draws.u32();
    const purpose = { MemoType: hex("paygate/tickets"), MemoData: hex(`sequence ${slot}: ${count} tickets for payments`) };
    const notes = sequence ? [{ Memo: purpose }] : memos(draws);
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
const issued = new Draws("paygate/vectors/issued-payments");
write("issued-payments.jsonl", each(ISSUED_PAYMENTS, (owner, index) => issuedPayment(issued, owner, index)));
const tickets = new Draws("paygate/vectors/ticket-creates");
write("ticket-creates.jsonl", each(TICKET_CREATES, (owner, index) => ticketCreate(tickets, owner, index)));
write("seeds.jsonl", seeds(new Draws("paygate/vectors/seeds")));
