/**
 * Bodies that go out while they come into being.
 * @module
 */

/** Whether this browser sends them; over HTTP/1.1 none does, and it says so when the request is made. */
export function streamsBodies() {
  let asked = false;
  const init = {
    method: "POST",
    body: new ReadableStream(),
    get duplex() {
      asked = true;
      return "half";
    },
  };
  const { headers } = new Request("https://nowhere.invalid/", /** @type {RequestInit} */ (init));
  return asked && !headers.has("Content-Type"); // a browser that does not know streams makes them text
}

/**
 * @param {(() => Promise<Uint8Array | undefined>) & {destroy?: () => void}} pull gives the next piece, nothing at the
 *   end; destroyed when it is not needed any more
 */
export function streamOf(pull) {
  return new ReadableStream(
    {
      async pull(controller) {
        try {
          const piece = await pull();
          if (piece) {
            controller.enqueue(piece);
            return;
          }
          controller.close();
        } catch (error) {
          controller.error(error);
        }
        pull.destroy?.();
      },
      cancel() {
        pull.destroy?.();
      },
    },
    { highWaterMark: 0 }, // so that nothing is taken before it can go out
  );
}
