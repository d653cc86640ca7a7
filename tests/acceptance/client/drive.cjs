// Calls the published client as told by lines of JSON on stdin, and prints what came of each call.
const net = require('node:net');
const readline = require('node:readline');
const { PeriskopeApi } = require('@periskope/periskope-client');

// `localhost` may have two addresses; on a busy machine 250 ms are not enough for an answer from the right one
net.setDefaultAutoSelectFamilyAttemptTimeout(10_000);

const client = new PeriskopeApi({ authToken: process.env.TOKEN, phone: process.env.PHONE, env: 'local' });

function plain({ data, error, status, statusCode }) {
  const shown = error && { name: error.name, message: error.message, code: error.code, statusCode: error.statusCode };
  return { data: data === undefined ? null : data, error: shown || null, status, statusCode };
}

(async () => {
  for await (const line of readline.createInterface({ input: process.stdin })) {
    const { part, method, args } = JSON.parse(line);
    let answer;
    try {
      answer = { result: plain(await client[part][method](...args)) };
    } catch (error) {
      const cause = error && error.cause ? `\ncaused by ${error.cause.stack || error.cause}` : '';
      answer = { threw: String(error && error.stack ? error.stack : error) + cause };
    }
    process.stdout.write(JSON.stringify(answer) + '\n');
  }
})();
