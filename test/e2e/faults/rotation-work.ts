/** Replacing keys: the data key by `keys rotate`, and the operator's key by a start with a ring. */
import { rotateKeys } from '../../../src/credentials/key-rotation.ts';
import { systemSources } from '../../../src/sources.ts';
import { openDatabase } from '../../../src/store/database.ts';
import { sealedColumns } from '../../../src/store/sealed-columns.ts';
import { newEncryptionKey, type Reachable } from '../valetkey.ts';
import type { Deployment } from './deployment.ts';
import { eventLosses, grantLosses, sealedLosses, unfinishedWork } from './evidence.ts';
import type { Ending, Work } from './work.ts';

/** A server with a connection, and with nothing left to do. */
async function serveConnected(deployment: Deployment): Promise<Awaited<ReturnType<Deployment['serveHere']>>> {
    const server = await deployment.serveHere();
    await deployment.prepare(server);
    await deployment.connect(server);
    await eventLosses(deployment);
    return server;
}

/** Keys that seal something, by their ids. */
async function keysInUse(deployment: Deployment): Promise<Set<string>> {
    const found = new Set<string>();
    for (const { table, column } of sealedColumns) {
        const rows = await deployment.rows<{ key: string }>(
            `select distinct split_part(${column}, '.', 2) as key from ${table} where ${column} is not null`,
        );
        rows.forEach(({ key }) => found.add(key));
    }
    return found;
}

export function dataKeyWork(deployment: Deployment): Work {
    /** Runs beside it all, and sees its values sealed under keys that it has never heard of. */
    let server: Reachable;
    let rotation: ReturnType<Deployment['rotate']>;
    const isDone = async (): Promise<boolean> => {
        const current = await deployment.rows<{ id: string }>(`select id from data_keys where is_current and purpose = 'seal'`);
        const made = await deployment.rows(`select 1 from data_keys where purpose = 'seal'`);
        const used = await keysInUse(deployment);
        return made.length > 1 && used.size === 1 && used.has(current[0]!.id);
    };

    return {
        outlivesOutage: false,
        reach: async () => {
            server = await serveConnected(deployment);
            rotation = deployment.rotate({ isHeld: true });
            await deployment.gate.reached;
        },
        isDurable: isDone,
        ended: () => rotation.exited,
        timePasses: async () => {},
        finish: async () => server,
        judge: async (valetkey): Promise<Ending> => {
            const losses = [...(await sealedLosses(deployment)), ...(await grantLosses(deployment, valetkey))];
            if (!(await isDone())) {
                // What was cut off is run again.
                const database = await openDatabase({ kind: 'postgres', url: deployment.databaseUrl, poolSize: 1 });
                const ring = [{ name: 'the key', key: Buffer.from(deployment.encryptionKey, 'base64') }];
                await rotateKeys(database.db, { ring, sources: systemSources, onProgress: (text) => losses.push(text) });
                await database.close();
                if (!(await isDone())) losses.push('a second rotation leaves values under older keys');
                losses.push(...(await sealedLosses(deployment)), ...(await grantLosses(deployment, valetkey)));
            }
            losses.push(...(await eventLosses(deployment)), ...(await unfinishedWork(deployment)));
            return { isFlagged: false, losses };
        },
    };
}

export function operatorKeyWork(deployment: Deployment): Work {
    const next = newEncryptionKey();
    let start: Promise<unknown>;
    let before: string;
    const wrappers = async (): Promise<string[]> =>
        (await deployment.rows<{ wrapper: string }>(`select distinct split_part(wrapped, '.', 2) as wrapper from data_keys`)).map(
            (row) => row.wrapper,
        );
    const isDone = async (): Promise<boolean> => {
        const found = await wrappers();
        return found.length === 1 && found[0] !== before;
    };

    return {
        outlivesOutage: false,
        reach: async () => {
            await (await serveConnected(deployment)).stop();
            [before] = (await wrappers()) as [string];
            deployment.encryptionKey = `next:${next},first:${deployment.encryptionKey}`;
            start = deployment.start({ isHeld: true }).then(
                () => {
                    throw new Error('a start that was cut off serves');
                },
                () => {},
            );
            await deployment.gate.reached;
        },
        isDurable: isDone,
        ended: () => start,
        timePasses: async () => {},
        finish: () => deployment.start(),
        judge: async (valetkey): Promise<Ending> => {
            const losses = (await isDone()) ? [] : ['a start with the ring leaves data keys wrapped with the old key'];
            // The old key is forgotten now.
            losses.push(...(await sealedLosses(deployment, next)), ...(await grantLosses(deployment, valetkey)));
            losses.push(...(await eventLosses(deployment)), ...(await unfinishedWork(deployment)));
            return { isFlagged: false, losses };
        },
    };
}
