import { expect, test } from 'vitest';
import { runUnfenced } from '../../src/prove/unfenced-model.ts';

const options = { processes: 3, connections: 60, durationMs: 600_000, seed: 1 };

test('a lock with a time limit and no fencing presents tokens twice and loses connections', () => {
    const { redemptions, lost } = runUnfenced(options);
    expect(redemptions.once).toBeGreaterThan(100);
    expect(redemptions.replayed).toBeGreaterThan(5);
    expect(lost).toBe(redemptions.replayed);
});

test('the same seed gives the same run', () => {
    expect(runUnfenced(options)).toEqual(runUnfenced(options));
    expect(runUnfenced(options)).not.toEqual(runUnfenced({ ...options, seed: 2 }));
});
