/** For the container: exit code 0 when this Penstock says that it is ready, 1 with its reasons when not. */
const port = process.env.PENSTOCK_PORT || '8080';
try {
  const answer = await fetch(`http://127.0.0.1:${port}/health/ready`, { signal: AbortSignal.timeout(4_000) });
  const { reasons = [] } = await answer.json();
  for (const { text } of reasons) process.stdout.write(`${text}\n`);
  process.exitCode = answer.ok ? 0 : 1;
} catch (error) {
  process.stdout.write(`no answer on port ${port}: ${error.cause?.message ?? error.message}\n`);
  process.exitCode = 1;
}
