// Two workers that share the environment and disagree about a variable: what each reads, and what the programs that it
// starts are given.
'use strict';
const { Worker, isMainThread, parentPort, SHARE_ENV } = require('worker_threads');
const { execFileSync, execSync } = require('child_process');

function look() {
  const printed = (env) => execFileSync('/bin/sh', ['-c', 'echo "$JOB_NAME"'], { env }).toString().trim();
  const less = { ...process.env };
  delete less.JOB_NAME;
  return {
    get: process.env.JOB_NAME,
    plain: execFileSync('/usr/bin/printenv', ['JOB_NAME']).toString().trim(),
    shell: execSync('echo $JOB_NAME').toString().trim(),
    same: printed(process.env),
    more: printed({ ...process.env, JOB_OTHER: 'other' }),
    own: printed({ ...process.env, JOB_NAME: 'own' }),
    less: printed(less),
    only: printed({ JOB_ONLY: 'only' }),
  };
}

if (!isMainThread) {
  parentPort.on('message', ([step, value]) => {
    if (step === 'set') {
      process.env.JOB_NAME = value;
      parentPort.postMessage('');
    } else if (step === 'look') {
      parentPort.postMessage(look());
    } else {
      parentPort.close();
    }
  });
} else {
  const ask = (worker, ...step) => new Promise((resolve, reject) => {
    worker.once('message', resolve);
    worker.once('error', reject);
    worker.postMessage(step);
  });
  (async () => {
    process.env.JOB_NAME = 'initial';
    const workers = { one: new Worker(__filename, { env: SHARE_ENV }), two: new Worker(__filename, { env: SHARE_ENV }) };
    for (const [name, worker] of Object.entries(workers)) await ask(worker, 'set', name);
    for (const [name, worker] of Object.entries(workers)) {
      for (const [way, found] of Object.entries(await ask(worker, 'look'))) console.log(`${name}_${way}=${found}`);
    }
    for (const worker of Object.values(workers)) worker.postMessage(['end']);
  })();
}
