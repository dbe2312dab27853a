// Workers that share the environment and workers that do not, one writer of a name at a time.
'use strict';
const { Worker, isMainThread, parentPort, workerData, SHARE_ENV } = require('worker_threads');
const { execFileSync, execSync, spawnSync, spawn } = require('child_process');

const ENV = '/usr/bin/env';
const ours = (text) => String(text).split('\n').filter((line) => line.startsWith('JOB_')).sort().join(' ');

function look(place) {
  const less = { ...process.env };
  delete less.JOB_NAME;
  const facts = {
    get: process.env.JOB_NAME,
    all: ours(Object.entries(process.env).map(([name, value]) => `${name}=${value}`).join('\n')),
    plain: ours(execFileSync(ENV)),
    same: ours(execFileSync(ENV, { env: process.env })),
    more: ours(execFileSync(ENV, { env: { ...process.env, JOB_OTHER: 'other' } })),
    own: ours(execFileSync(ENV, { env: { ...process.env, JOB_NAME: 'own' } })),
    less: ours(execFileSync(ENV, { env: less })),
    only: ours(execFileSync(ENV, { env: { JOB_ONLY: 'only' } })),
    shell: execSync('echo $JOB_NAME').toString().trim(),
    status: spawnSync('/bin/sh', ['-c', 'exit ${JOB_STATUS-9}']).status,
  };
  return Object.entries(facts).map(([name, value]) => `${place}_${name}=${value}\n`).join('');
}

const steps = {
  set: (values) => Object.assign(process.env, values),
  remove: (name) => delete process.env[name],
  look,
  // The program is started by the thread's own loop and not at once.
  spawn: (place) => new Promise((resolve) => {
    let text = '';
    const child = spawn(ENV, { stdio: ['ignore', 'pipe', 'inherit'] });
    child.stdout.on('data', (data) => { text += data; });
    child.on('close', () => resolve(`${place}_spawn=${ours(text)}\n`));
  }),
};

if (!isMainThread) {
  parentPort.on('message', async ([step, argument]) => {
    if (step === 'end') parentPort.close();
    else parentPort.postMessage(await steps[step](argument));
  });
} else {
  const start = (env) => new Worker(__filename, env === undefined ? {} : { env });
  const ask = (worker, ...step) => new Promise((resolve, reject) => {
    worker.once('message', resolve);
    worker.once('error', reject);
    worker.postMessage(step);
  });
  const end = (worker) => new Promise((resolve) => {
    worker.once('exit', resolve);
    worker.postMessage(['end']);
  });
  const say = (text) => process.stdout.write(text);

  (async () => {
    Object.assign(process.env, { JOB_NAME: 'initial', JOB_ANOTHER: 'initial', JOB_STATUS: '3' });
    say(look('alone'));
    say(await steps.spawn('alone'));

    const shared = start(SHARE_ENV);
    await ask(shared, 'set', { JOB_NAME: 'worker', JOB_NEW: 'worker', JOB_STATUS: '4' });
    say(look('beside'));
    process.env.JOB_MAIN = 'initial';
    say(await ask(shared, 'look', 'shared'));
    say(await ask(shared, 'spawn', 'shared'));
    await ask(shared, 'remove', 'JOB_ANOTHER');
    say(look('removed'));
    say(await steps.spawn('removed'));

    const copied = start(undefined);
    await ask(copied, 'set', { JOB_NAME: 'copy', JOB_COPY: 'copy' });
    say(await ask(copied, 'look', 'copied'));
    say(await ask(copied, 'spawn', 'copied'));
    say(await ask(shared, 'look', 'shared_beside_copied'));
    const given = start({ JOB_NAME: 'given', PATH: process.env.PATH });
    say(await ask(given, 'look', 'given'));

    await Promise.all([end(shared), end(copied), end(given)]);
    say(look('end'));
  })();
}
