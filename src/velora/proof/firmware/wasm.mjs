// The proof's firmware in WebAssembly: standard input and output are its frames.
//     node wasm.mjs firmware.wasm
import { readFileSync, readSync, writeSync } from "node:fs";

let memory;
const env = {
  port_read(at, n) {
    const to = new Uint8Array(memory.buffer, at, n);
    let done = 0;
    while (done < n) {
      const got = readSync(0, to, done, n - done, null);
      if (got === 0) return 0;
      done += got;
    }
    return 1;
  },
  port_write(at, n) {
    const from = new Uint8Array(memory.buffer, at, n);
    let done = 0;
    while (done < n) done += writeSync(1, from, done, n - done);
  },
  port_end(code) {
    process.exit(code);
  },
};

const { instance } = await WebAssembly.instantiate(readFileSync(process.argv[2]), { env });
memory = instance.exports.memory;
instance.exports.main();
