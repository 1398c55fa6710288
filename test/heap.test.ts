import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';
import { keptFor5Minutes } from '../src/heap.ts';

const run = promisify(execFile);

test('this V8 knows the flag that keeps what a burst has compiled', async () => {
    await expect(run(process.execPath, ['--no-such-flag', '--version'])).rejects.toThrow('bad option');
    expect((await run(process.execPath, [keptFor5Minutes, '--version'])).stdout.trim()).toBe(process.version);
});
