import assert from "node:assert/strict";
import { isIPv4, isIPv6 } from "node:net";
import { suite, test } from "node:test";

import { NameTable, groupsOfIPv6, isNumeric, parseIPv4 } from "../../js/names.js";
import { Chance } from "./chance.js";

const NAMES_MAX = 1 << 16;
const NOWHERE = "255.255.255.255";

/** What each spelling of an IPv6 address stands for. @type {Record<string, number[]>} */
const SPELLINGS = {
  "::": [0, 0, 0, 0, 0, 0, 0, 0],
  "::1": [0, 0, 0, 0, 0, 0, 0, 1],
  "1::": [1, 0, 0, 0, 0, 0, 0, 0],
  "0:0:0:0:0:0:0:1": [0, 0, 0, 0, 0, 0, 0, 1],
  "0000:0000:0000:0000:0000:0000:0000:0001": [0, 0, 0, 0, 0, 0, 0, 1],
  "2001:db8::8:800:200c:417a": [0x2001, 0xdb8, 0, 0, 8, 0x800, 0x200c, 0x417a],
  "2001:DB8::8:800:200C:417A": [0x2001, 0xdb8, 0, 0, 8, 0x800, 0x200c, 0x417a],
  "2001:db8:0:0:1:0:0:1": [0x2001, 0xdb8, 0, 0, 1, 0, 0, 1],
  "2001:db8::1:0:0:1": [0x2001, 0xdb8, 0, 0, 1, 0, 0, 1],
  "1:2:3:4:5:6:7::": [1, 2, 3, 4, 5, 6, 7, 0],
  "::2:3:4:5:6:7:8": [0, 2, 3, 4, 5, 6, 7, 8],
  "::ffff:129.144.52.38": [0, 0, 0, 0, 0, 0xffff, 0x8190, 0x3426],
  "::129.144.52.38": [0, 0, 0, 0, 0, 0, 0x8190, 0x3426],
  "64:ff9b::192.0.2.33": [0x64, 0xff9b, 0, 0, 0, 0, 0xc000, 0x221],
  "1:2:3:4:5:6:255.255.255.255": [1, 2, 3, 4, 5, 6, 0xffff, 0xffff],
};

const NO_IPV6 = [
  "",
  ":",
  ":::",
  "1",
  "1:2:3:4:5:6:7",
  "1:2:3:4:5:6:7:8:9",
  "1:2:3:4:5:6:7:8::",
  "::1:2:3:4:5:6:7:8",
  "1::2::3",
  ":1:2:3:4:5:6:7",
  "1:2:3:4:5:6:7:",
  "12345::",
  "g::",
  "::1%eth0",
  "[::1]",
  " ::1",
  "1.2.3.4::",
  "::1.2.3.4:1",
  "::1.2.3",
  "::256.0.0.1",
  "1:2:3:4:5:6:7:1.2.3.4",
  "::-1",
  "0x1::",
];

suite("numeric addresses", () => {
  for (const [spelling, groups] of Object.entries(SPELLINGS)) {
    test(`${spelling} is an IPv6 address`, () => {
      assert.deepEqual(groupsOfIPv6(spelling), groups);
      assert.equal(isNumeric(spelling), true);
    });
  }

  for (const text of NO_IPV6) {
    test(`"${text}" is none`, () => {
      assert.equal(groupsOfIPv6(text), null);
      assert.equal(isNumeric(text), false);
    });
  }

  test("dotted addresses are 32 bits, and nothing else is", () => {
    assert.equal(parseIPv4("0.0.0.0"), 0);
    assert.equal(parseIPv4("127.0.0.1"), 0x7f000001);
    assert.equal(parseIPv4("255.255.255.255"), 2 ** 32 - 1);
    for (const text of [
      "",
      "1.2.3",
      "1.2.3.4.5",
      "1.2.3.256",
      "01.2.3.4",
      "1.2.3.04",
      "1.2.3.4 ",
      "1.2.3.4\n",
      "a.b.c.d",
    ]) {
      assert.equal(parseIPv4(text), null, text);
      assert.equal(isNumeric(text), false, text);
    }
  });

  test("what Node.js takes for an address and what we do is the same, whatever the spelling", () => {
    const chance = new Chance(7);
    const parts = ["0", "1", "ffff", "10000", ":", ":", ":", "::", ".", "1.2.3.4", "255", "256", "00", "G", ""];
    let numeric = 0;
    for (let count = 0; count < 20_000; count++) {
      const text = Array.from({ length: chance.integer(1, 13) }, () => chance.choice(parts)).join("");
      assert.equal(groupsOfIPv6(text) !== null, isIPv6(text), text);
      assert.equal(parseIPv4(text) !== null, isIPv4(text), text);
      numeric += Number(isNumeric(text));
    }
    assert.ok(numeric > 200); // or nothing was proved
  });
});

suite("addresses that stand for names", () => {
  test("the first is in a range that no host can have", () => {
    assert.equal(new NameTable().addressOf("host.example"), "240.0.0.1");
  });

  test("each name has an address of its own, and the address its name", () => {
    const table = new NameTable();
    const names = Array.from({ length: 1000 }, (_, index) => `host${index}.example`);
    const addresses = names.map((name) => table.addressOf(name));
    assert.equal(new Set(addresses).size, names.length);
    for (const [index, address] of addresses.entries()) {
      assert.equal(parseIPv4(address) !== null, true);
      assert.equal(table.nameOf(address), names[index]);
      assert.equal(table.addressOf(names[index]), address);
    }
  });

  test("an address that is mapped into IPv6 stands for the same name, however it is spelled", () => {
    const table = new NameTable();
    table.addressOf("first.example");
    assert.equal(table.addressOf("second.example"), "240.0.0.2");
    for (const spelling of ["::ffff:240.0.0.2", "::FFFF:f000:2", "0:0:0:0:0:ffff:f000:0002"]) {
      assert.equal(table.nameOf(spelling), "second.example", spelling);
    }
    for (const other of ["::240.0.0.2", "64:ff9b::240.0.0.2", "1::ffff:240.0.0.2"]) {
      assert.equal(table.nameOf(other), null, other);
    }
  });

  test("a numeric address stands for itself", () => {
    const table = new NameTable();
    for (const address of ["127.0.0.1", "240.0.0.1", "::1", "::ffff:10.0.0.1"]) {
      assert.equal(table.addressOf(address), address);
      assert.equal(table.nameOf(address), null);
    }
  });

  test("an address that was not invented has no name", () => {
    const table = new NameTable();
    table.addressOf("host.example");
    for (const address of ["240.0.0.0", "240.0.0.2", "239.255.255.255", "0.0.0.0", NOWHERE, "host.example", ""]) {
      assert.equal(table.nameOf(address), null, address);
    }
  });

  test("names that objects have are names like any other", () => {
    const table = new NameTable();
    assert.equal(table.addressOf("constructor"), "240.0.0.1");
    assert.equal(table.addressOf("__proto__"), "240.0.0.2");
    assert.equal(table.nameOf("240.0.0.2"), "__proto__");
  });

  test("a full table forgets nothing, and takes no more", () => {
    const table = new NameTable();
    for (let index = 0; index < NAMES_MAX; index++) table.addressOf(`host${index}`);
    assert.equal(table.addressOf("one too many"), NOWHERE);
    assert.equal(table.nameOf(NOWHERE), null);
    assert.equal(table.nameOf(table.addressOf("host0")), "host0");
    assert.equal(table.nameOf(table.addressOf(`host${NAMES_MAX - 1}`)), `host${NAMES_MAX - 1}`);
  });
});
