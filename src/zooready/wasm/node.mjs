// Runs ONNX weights in the engine that pages have: node node.mjs job.json, which names the files; answer.json appears last.
import fs from "node:fs";
import {createRequire} from "node:module";
import path from "node:path";
import {pathToFileURL} from "node:url";

const job = JSON.parse(fs.readFileSync(process.argv[2], "utf8"));
const ort = createRequire(import.meta.url)(path.join(job.engine, "ort.js"));
ort.env.wasm.numThreads = 1; // as in a page that is opened from the disk
ort.env.wasm.wasmBinary = fs.readFileSync(path.join(job.engine, "ort.wasm"));
ort.env.wasm.wasmPaths = {mjs: pathToFileURL(path.join(job.engine, "ort.mjs")).href};
const session = await ort.InferenceSession.create(fs.readFileSync(job.weights), {executionProviders: ["wasm"]});
const answer = [];
for (const [number, {file, shape}] of job.images.entries()) {
  const bytes = fs.readFileSync(file);
  const pixels = new Float32Array(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength));
  const results = await session.run({[session.inputNames[0]]: new ort.Tensor("float32", pixels, shape)});
  answer.push(session.outputNames.map((name, k) => {
    const {type, dims, data} = results[name];
    const written = path.join(job.folder, `output${number}_${k}`);
    fs.writeFileSync(written, new Uint8Array(data.buffer, data.byteOffset, data.byteLength));
    return {name, file: written, type, shape: dims};
  }));
}
fs.writeFileSync(path.join(job.folder, "answer.json"), JSON.stringify(answer));
