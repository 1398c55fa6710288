/** Backends that read connections all the time, from any process, and force a renewal now and then. */
import { EgressError, type Egress } from '../egress/egress.ts';
import type { Sources } from '../sources.ts';
import type { Dice } from './seed.ts';
import type { TokenServer } from './token-server.ts';
import type { Workers } from './workers.ts';

export interface Reads {
    /** 200 with a token. */
    served: number;
    /** 424: the token is spent and its renewal fails for now, or for good. */
    refused: number;
    /** 400 to a forced renewal that the provider did not carry out. */
    notRenewed: number;
    /** The process was killed under the caller. */
    interrupted: number;
    /** 200 with a token that had expired before the read began: a violation. */
    expired: number;
    /** Any other answer, by status: a violation. */
    unexpected: Map<number, number>;
}

export interface CallerSetup {
    egress: Egress;
    /** On the proof's clock. */
    sources: Sources;
    dice: Dice;
    workers: Workers;
    tokenServer: Pick<TokenServer, 'hadExpired'>;
    apiKey: string;
    connectionIds: readonly string[];
}

export const integrationKey = 'proof';
const forcedShare = 0.03;
/** Longer than any answer may take, ms. */
const patienceMs = 200_000;

/** Reads until told to stop. */
export async function readRepeatedly(setup: CallerSetup, reads: Reads, until: AbortSignal): Promise<void> {
    const { sources, dice, workers, connectionIds } = setup;
    while (!until.aborted) {
        const alive = workers.all.filter(({ state }) => state !== 'dead' && state !== 'starting');
        if (alive.length > 0) {
            // A few connections are popular.
            const popularity = dice.fraction() ** 2;
            const id = connectionIds[Math.floor(popularity * connectionIds.length)]!;
            count(reads, setup, await read(setup, dice.pick(alive).url, id, dice.happens(forcedShare)));
        }
        await sources.sleep(dice.between(0, 2_000), until).catch(() => {});
    }
}

interface Answer {
    startedAt: number;
    /** `undefined`: none came. */
    status: number | undefined;
    accessToken?: string;
    isForced: boolean;
}

export async function read({ egress, sources, apiKey }: CallerSetup, url: string, id: string, isForced: boolean): Promise<Answer> {
    const startedAt = sources.now();
    const query = `provider_config_key=${integrationKey}${isForced ? '&force_refresh=true' : ''}`;
    try {
        const { status, body } = await egress.request({
            url: `${url}/connections/${id}?${query}`,
            headers: { authorization: `Bearer ${apiKey}` },
            deadlineMs: patienceMs,
        });
        const accessToken =
            status === 200 ? (JSON.parse(body.toString()) as { credentials: { access_token?: string } }).credentials.access_token : undefined;
        return { startedAt, status, isForced, ...(accessToken === undefined ? {} : { accessToken }) };
    } catch (error) {
        if (error instanceof EgressError) {
            return { startedAt, status: undefined, isForced };
        }
        throw error;
    }
}

function count(reads: Reads, { tokenServer }: Pick<CallerSetup, 'tokenServer'>, { status, accessToken, startedAt, isForced }: Answer): void {
    if (status === undefined) {
        reads.interrupted += 1;
    } else if (status === 200 && accessToken !== undefined) {
        reads[tokenServer.hadExpired(accessToken, startedAt) === false ? 'served' : 'expired'] += 1;
    } else if (status === 424) {
        reads.refused += 1;
    } else if (status === 400 && isForced) {
        reads.notRenewed += 1;
    } else {
        reads.unexpected.set(status, (reads.unexpected.get(status) ?? 0) + 1);
    }
}
