/**
 * A Wisp server that does what it is told, at the other end of a network under test. No time passes and nothing is lost.
 * @module
 */

import { GatewayNetwork } from "../../js/gateways/network.js";
import { Extension, decode, encode } from "../../js/gateways/wisp-packets.js";
import { WispSession } from "../../js/gateways/wisp.js";
import { NameTable } from "../../js/names.js";

/** @typedef {import("../../js/gateways/wisp-packets.js").Packet} Packet */

const NOTHING = new Uint8Array(0);

export class WispServer {
  server = "a Wisp server";
  full = false;
  ready = false;
  /** What the page has sent, and nobody has looked at. @type {Packet[]} */
  heard = [];

  /** @param {{user: string, password: string}} [login] */
  constructor(login = { user: "", password: "" }) {
    this.session = new WispSession(
      {
        send: (message) => this.heard.push(decode(message.slice())),
        ready: () => (this.ready = true),
      },
      login,
    );
    this.network = new GatewayNetwork(this, new NameTable(), () => 0);
  }

  get datagrams() {
    return this.session.datagrams;
  }

  /** @type {import("../../js/gateways/network.js").Way["open"]} */
  open(kind, host, port, events) {
    return this.session.open(kind, host, port, events);
  }

  /** @param {Packet[]} packets */
  say(...packets) {
    for (const packet of packets) this.session.receive(encode(packet));
  }

  /** What the page has sent since this was last called. */
  take() {
    return this.heard.splice(0);
  }

  /** Speak version 1. @param {number} [credit] */
  first(credit = 128) {
    this.say({ type: "Continue", stream: 0, credit });
    return this;
  }

  /** Speak version 2. @param {number[]} [extensions] @param {number} [credit] */
  second(extensions = [Extension.UDP, Extension.OPEN_CONFIRMATION], credit = 128) {
    const bodies = extensions.map((id) => /** @type {[number, Uint8Array]} */ ([id, NOTHING]));
    this.say({ type: "Info", stream: 0, major: 2, minor: 0, extensions: bodies });
    this.say({ type: "Continue", stream: 0, credit });
    this.take();
    return this;
  }

  /** @param {number} stream @param {string} text */
  data(stream, text) {
    this.say({ type: "Data", stream, data: new TextEncoder().encode(text) });
  }

  /** @param {number} stream @param {number} reason */
  close(stream, reason) {
    this.say({ type: "Close", stream, reason });
  }
}
