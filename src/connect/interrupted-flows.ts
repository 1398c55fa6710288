/**
 * Ends attempts whose callback came and whose outcome never did: its process died, or lost the database before anything was stored.
 * The state is used up and a code is good for one exchange, so nobody can go on; page, operation and webhook say to begin anew.
 *
 * A callback that is merely slow is not robbed: its success is recorded whatever was said before (`save-connection.ts`), and the
 * row of the session, which both lock first, decides who comes first.
 */
import { PeriodicTask } from '../periodic-task.ts';
import * as sessions from '../store/connect-sessions.ts';
import * as integrations from '../store/integrations.ts';
import * as flows from '../store/oauth-flows.ts';
import type { ConnectContext } from './connect-session.ts';
import { recordFailedAttempt } from './failed-attempt.ts';

const everyMs = 60_000;
/** Several token calls of 20 s, and a hook; what is left is for a database that is away meanwhile. */
const longestCallbackMs = 5 * 60_000;
/** Several times the pause with which an outcome in memory is tried again: after an outage, whoever holds one writes first (R2b). */
const writersFirstMs = 3_000;

const error = {
    type: 'interrupted',
    description: 'Valetkey was interrupted while it finished this connection attempt; nothing was stored. Please start again.',
};

export class InterruptedFlows {
    readonly #context: ConnectContext;
    readonly #sweeps: PeriodicTask;

    constructor(context: ConnectContext) {
        this.#context = context;
        this.#sweeps = new PeriodicTask({
            sources: context.sources,
            everyMs,
            isDueAtStart: true, // what a crash cut off has waited since
            work: () => this.#sweep(),
            onError: (cause) => context.logger.error({ err: cause }, 'interrupted connect attempts could not be looked for'),
        });
    }

    start(): void {
        this.#sweeps.start();
    }

    stop(): Promise<void> {
        return this.#sweeps.stop();
    }

    async #sweep(): Promise<void> {
        const { db, sources, logger } = this.#context;
        const before = new Date(sources.now() - longestCallbackMs);
        for (let after: string | undefined; ;) {
            const found = await flows.unfinished(db, before, after);
            if (found.length > 0) {
                await sources.sleep(writersFirstMs, this.#sweeps.stopping).catch(() => {});
            }
            for (const flow of found) {
                if (this.#sweeps.stopping.aborted) {
                    return;
                }
                await this.#end(flow).catch((cause: unknown) => logger.error({ err: cause, flow: flow.id }, 'an interrupted attempt stays open'));
            }
            if (found.length < flows.unfinishedPage) {
                return;
            }
            after = found.at(-1)?.id;
        }
    }

    async #end(flow: flows.UnfinishedFlow): Promise<void> {
        const { db, catalogue, logger } = this.#context;
        const session = flow.connect_session_id === null ? undefined : await sessions.findById(db, flow.connect_session_id);
        const integration = await integrations.findById(db, flow.integration_id);
        const provider = integration && catalogue.get(integration.provider);
        logger.warn({ flow: flow.id, provider: provider?.name }, 'a connect attempt has had no outcome since its callback came, and is ended');
        const isTold = provider !== undefined && session?.environment_gone === false;
        await recordFailedAttempt(this.#context, {
            session,
            flowId: flow.id,
            providerConfigKey: integration?.unique_key ?? '',
            connectionId: flow.connection_id,
            began: flow.consumed_at,
            error,
            ...(isTold ? { webhook: { provider: provider.name, authMode: provider.authMode, errorType: error.type } } : {}),
        });
    }
}
