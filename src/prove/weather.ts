/** What a token call meets: latencies from nothing to three times the lease, outages, and answers that are lost on their way. */
import { leaseMs } from '../credentials/leased-renewal.ts';
import type { Dice } from './seed.ts';

export interface Weather {
    /** Refused before anything is redeemed. */
    refusal?: 503 | 429;
    /** Until the refresh token is redeemed, ms. A caller that hangs up before was never served. */
    untilRedeemedMs: number;
    /** From there until the answer, ms. A caller that hangs up in between has lost it. */
    untilAnsweredMs: number;
    /** The connection breaks after the token is redeemed. */
    isAnswerLost: boolean;
}

export const fairWeather: Weather = { untilRedeemedMs: 0, untilAnsweredMs: 0, isAnswerLost: false };

export function drawWeather(dice: Dice): Weather {
    const refusal = dice.happens(0.03) ? 503 : dice.happens(0.01) ? 429 : undefined;
    const latency = drawLatency(dice);
    const share = dice.fraction();
    return {
        ...(refusal === undefined ? {} : { refusal }),
        untilRedeemedMs: latency * share,
        untilAnsweredMs: latency * (1 - share),
        isAnswerLost: dice.happens(0.003),
    };
}

function drawLatency(dice: Dice): number {
    const kind = dice.fraction();
    if (kind < 0.8) {
        return dice.between(0, 500);
    }
    if (kind < 0.97) {
        return dice.between(500, 18_000);
    }
    return dice.between(0, 3 * leaseMs);
}

/** How long a process stands still, ms. */
export const drawPause = (dice: Dice): number => dice.between(0, 3 * leaseMs);
