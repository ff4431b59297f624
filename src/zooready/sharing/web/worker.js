// Runs the network, so that the page never freezes. Messages in: {start: files} once, then {run: pixels, shape}; out: {ready}, {outputs} or {error}.
"use strict";
let session = null;

async function start({ort, module, wasm, network}) {
  importScripts(URL.createObjectURL(new Blob([ort], {type: "text/javascript"})));
  self.ort.env.wasm.numThreads = 1; // more need headers that a file cannot have
  self.ort.env.wasm.wasmBinary = wasm;
  self.ort.env.wasm.wasmPaths = {mjs: URL.createObjectURL(new Blob([module], {type: "text/javascript"}))};
  session = await self.ort.InferenceSession.create(network, {executionProviders: ["wasm"]});
}

async function run({run: pixels, shape}) {
  const began = performance.now();
  const input = new self.ort.Tensor("float32", pixels, shape);
  const results = await session.run({[session.inputNames[0]]: input});
  const outputs = session.outputNames.map((name) => ({name, data: results[name].data, shape: results[name].dims}));
  self.postMessage({outputs, seconds: (performance.now() - began) / 1000}, outputs.map((output) => output.data.buffer));
}

self.onmessage = async ({data}) => {
  try {
    if (data.start) {
      await start(data.start);
      self.postMessage({ready: true});
    } else {
      await run(data);
    }
  } catch (error) {
    self.postMessage({error: String((error && error.message) || error)});
  }
};
