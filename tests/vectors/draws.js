// Draws that follow from a text alone: the same on every machine, so that the committed vectors can be made again.
"use strict";
const { createHash } = require("node:crypto");

class Draws {
    constructor(text) {
        this.text = text;
        this.count = 0;
    }

    bytes(length) {
        const blocks = [];
        for (let have = 0; have < length; have += 32) {
            blocks.push(createHash("sha256").update(`${this.text}/${this.count++}`).digest());
        }
        return Buffer.concat(blocks).subarray(0, length);
    }

    // A whole number from 0 to below `limit`, which is at most 2^48.
    below(limit) {
        return this.bytes(6).readUIntBE(0, 6) % limit;
    }

    pick(values) {
        return values[this.below(values.length)];
    }

    // Mostly any, often one of the ends.
    u32(low = 0) {
        return this.pick([low, 0xffffffff, ...Array(4).fill(low + this.below(0x100000000 - low))]);
    }

    // From 1 to 10^17, of any magnitude: drops.
    drops() {
        const ends = [1n, 0xffffffffn, 0x100000000n, 100_000_000_000_000_000n];
        if (this.below(5) === 0) return this.pick(ends).toString();
        const limit = 10n ** BigInt(1 + this.below(17));
        return (1n + (this.bytes(8).readBigUInt64BE() % limit)).toString();
    }

    // A mantissa of 16 digits, of which any number may be zeros at its end, and an exponent: the whole range of issued
    // values, often one of its ends.
    issued() {
        const least = 10n ** 15n;
        const zeros = 10n ** BigInt(this.below(16));
        const any = ((least + (this.bytes(8).readBigUInt64BE() % (9n * least))) / zeros) * zeros;
        return {
            mantissa: this.pick([least, 10n * least - 1n, any, any, any, any]),
            exponent: this.pick([-96, 80, -15, ...Array(6).fill(this.below(177) - 96)]),
        };
    }

    // A value that is not below another.
    issuedAbove({ mantissa, exponent }) {
        const more = this.issued();
        if (more.exponent > exponent) return more;
        const room = 10n ** 16n - mantissa;
        return { mantissa: mantissa + (this.bytes(8).readBigUInt64BE() % room), exponent };
    }
}

module.exports = { Draws };
