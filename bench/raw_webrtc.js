/**
 * What is measured of data channels, as a page does it with what the browser has. The far end is in the same page.
 *
 * `webrtc_measures.py` is its twin, which uses the same far end. Every function returns seconds.
 * @module
 */

const MESSAGE = Uint8Array.from({ length: 32 }, (_, index) => index);

/** Bytes of a message of bulk, and of those that may wait in the browser. */
const PIECE = 65536;
const BUFFERED_MAX = 1 << 20;

/**
 * Answer an offer. What comes on its channel is sent back, until a text says "sink" or "source" and a number of bytes:
 * then so many are taken, and "done" is the answer, or sent.
 * @param {string} offer
 */
export async function farEnd(offer) {
  const connection = new RTCPeerConnection();
  connection.ondatachannel = ({ channel }) => {
    channel.binaryType = "arraybuffer";
    let left = 0;
    channel.onmessage = ({ data }) => {
      if (typeof data === "string") {
        const [task, size] = data.split(" ");
        if (task === "sink") left = Number(size);
        else sendAll(channel, Number(size));
      } else if (left) {
        left -= data.byteLength;
        if (!left) channel.send("done");
      } else {
        channel.send(data);
      }
    };
    channel.onclose = () => connection.close();
  };
  await connection.setRemoteDescription(JSON.parse(offer));
  await connection.setLocalDescription();
  await gathered(connection);
  return JSON.stringify(connection.localDescription);
}

/** Many small messages, until the last is back. @param {string} _url @param {{count: number}} options */
export async function channel_messages(_url, { count }) {
  const { channel, close } = await opened();
  const start = performance.now();
  const last = received(channel, () => --count === 0);
  for (let left = count; left > 0; left--) channel.send(MESSAGE);
  await last;
  return close(start);
}

/** Until the last byte is confirmed. @param {string} _url @param {{size: number}} options */
export async function channel_send(_url, { size }) {
  const { channel, close } = await opened();
  const start = performance.now();
  channel.send(`sink ${size}`);
  const done = received(channel, () => true);
  await sendAll(channel, size);
  await done;
  return close(start);
}

/** From the request to the last byte. @param {string} _url @param {{size: number}} options */
export async function channel_receive(_url, { size }) {
  const { channel, close } = await opened();
  const start = performance.now();
  channel.send(`source ${size}`);
  let left = size;
  await received(channel, (data) => (left -= data.byteLength) === 0);
  return close(start);
}

async function opened() {
  const connection = new RTCPeerConnection();
  const channel = connection.createDataChannel("bench");
  channel.binaryType = "arraybuffer";
  const open = new Promise((resolve) => {
    channel.onopen = resolve;
  });
  await connection.setLocalDescription();
  await gathered(connection);
  const answer = await farEnd(JSON.stringify(connection.localDescription));
  await connection.setRemoteDescription(JSON.parse(answer));
  await open;
  const close = (/** @type {number} */ start) => {
    const seconds = (performance.now() - start) / 1000;
    connection.close();
    return seconds;
  };
  return { channel, close };
}

/** @param {RTCPeerConnection} connection */
function gathered(connection) {
  return new Promise((resolve) => {
    const look = () => connection.iceGatheringState === "complete" && resolve(undefined);
    connection.onicegatheringstatechange = look;
    look();
  });
}

/** @param {RTCDataChannel} channel @param {(data: any) => boolean} isLast */
function received(channel, isLast) {
  return new Promise((resolve) => {
    channel.onmessage = ({ data }) => {
      if (isLast(data)) resolve(undefined);
    };
  });
}

/** @param {RTCDataChannel} channel @param {number} size */
async function sendAll(channel, size) {
  const piece = new Uint8Array(PIECE);
  channel.bufferedAmountLowThreshold = BUFFERED_MAX / 4;
  for (let left = size; left > 0; left -= PIECE) {
    if (channel.bufferedAmount > BUFFERED_MAX) {
      await new Promise((resolve) => {
        channel.onbufferedamountlow = resolve;
      });
    }
    channel.send(piece.subarray(0, Math.min(left, PIECE)));
  }
}
