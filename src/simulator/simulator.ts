/**
 * `valetkey simulate`: offline twins of every provider of the catalogue, for people who try a flow and for tests. A twin knows
 * what a provider's entry says and nothing of how Valetkey speaks to it, and is as strict as a strict server: that is what it is for.
 *
 * One server for all of them. Valetkey's own calls arrive with the provider's origin in `x-simulated-origin` (see
 * src/egress/reroute.ts), browsers at `/at/<host>/<path>`.
 */
import type { Sources } from '../sources.ts';
import { newRandomId } from '../sources.ts';
import { Activity, maskedAddress } from './activity.ts';
import { readCatalogue } from './catalogue.ts';
import { Credentials } from './credentials.ts';
import type { Entry } from './entry.ts';
import { faultyAnswer, shortLifetimeSeconds, skewMs, slowMs, Switches } from './faults.ts';
import { Grants } from './grants.ts';
import { Refusal } from './refusal.ts';
import { Router, type Route } from './router.ts';
import { Samples } from './samples.ts';
import { endpointsOf } from './twins.ts';
import type { Answer, World } from './twin.ts';
import type { TwinRequest } from './twin-request.ts';

export interface SimulatorOptions {
    readonly sources: Sources;
    /** Catalogue files, later ones over earlier ones. */
    readonly catalogueFiles: readonly string[];
    /** Where Valetkey answers. */
    readonly valetkeyUrl: string;
}

/** What a request came to. */
export interface Outcome extends Answer {
    /** ms by which the Date header is off. */
    readonly skewMs: number;
    /** The work was done, and the answer never arrives. */
    readonly isLost: boolean;
}

const tokenSeconds = 3600;

export class Simulator {
    readonly catalogue: ReadonlyMap<string, Entry>;
    readonly activity = new Activity();
    readonly switches = new Switches();
    readonly world: World;
    /** Begins to connect a provider, where a Valetkey runs beside; the address to open. */
    connect: ((slug: string) => Promise<string | undefined>) | undefined;
    readonly #sources: Sources;
    readonly #router: Router;

    private constructor(catalogue: ReadonlyMap<string, Entry>, { sources, valetkeyUrl }: SimulatorOptions) {
        this.catalogue = catalogue;
        this.#sources = sources;
        const samples = new Samples(catalogue);
        const now = (): number => sources.now();
        this.world = {
            sources,
            grants: new Grants(sources, now),
            credentials: new Credentials(samples),
            samples,
            valetkeyUrl,
            now,
            lifetimeOf: (slug) => (this.switches.isOn(slug, 'short_lived') ? shortLifetimeSeconds : tokenSeconds),
            newId: () => newRandomId(sources),
            isOn: (slug, fault) => this.switches.isOn(slug, fault),
        };
        this.#router = new Router([...catalogue.values()].map((entry) => [entry, endpointsOf(entry)] as const));
    }

    static async open(options: SimulatorOptions): Promise<Simulator> {
        return new Simulator(await readCatalogue(options.catalogueFiles), options);
    }

    routes(url: URL): Route[] {
        return this.#router.routes(url);
    }

    async answer(request: TwinRequest): Promise<Outcome> {
        const routes = this.#attributed(request, this.#router.routes(request.url));
        const [first] = routes;
        if (first === undefined) {
            return this.#finish(request, undefined, {
                status: 404,
                body: { error: 'no_twin', error_description: 'No provider of the catalogue has this address.' },
            });
        }
        const { slug } = first.entry;
        if (this.switches.isOn(slug, 'slow')) await this.#sources.sleep(slowMs);
        const faulty = faultyAnswer(this.switches, slug, first.endpoint.kind);
        if (faulty !== undefined) return this.#finish(request, first, faulty, 'fault');

        let refused: { route: Route; refusal: Refusal } | undefined;
        for (const route of routes) {
            try {
                const { endpoint, bindings, entry } = route;
                return this.#finish(request, route, await endpoint.handle({ request, bindings, entry, world: this.world }));
            } catch (error) {
                if (!(error instanceof Refusal)) throw error;
                refused ??= { route, refusal: error };
            }
        }
        const { route, refusal } = refused!;
        const { status, code, message } = refusal;
        const answer = route.endpoint.refuse?.(refusal) ?? { status, body: { error: code, error_description: message } };
        return this.#finish(request, route, { ...answer, note: answer.note ?? message }, 'refused');
    }

    /** Whose token or sample client it is, where the request shows one; only they are asked then. */
    #attributed({ url, headers, body }: TwinRequest, routes: Route[]): Route[] {
        if (routes.length < 2) return routes;
        const basic = Buffer.from(/^Basic (\S+)$/.exec(headers['authorization'] ?? '')?.[1] ?? '', 'base64').toString('utf8');
        const text = decodeURIComponent(`${url.search} ${basic} ${body}`.replaceAll(/%(?![0-9A-Fa-f]{2})/g, '')) + Object.values(headers).join(' ');
        const words = text.split(/[^\w.~-]+/);
        for (const word of words) {
            const slug = this.world.grants.slugOf(word) ?? (word.endsWith('.twin') ? word.slice(0, -'.twin'.length) : undefined);
            const own = routes.filter(({ entry }) => entry.slug === slug);
            if (own.length > 0) return own;
        }
        return routes;
    }

    #finish(request: TwinRequest, route: Route | undefined, answer: Answer, outcome?: 'refused' | 'fault'): Outcome {
        const slug = route?.entry.slug;
        const kind = route?.endpoint.kind;
        const isLost =
            slug !== undefined && kind !== undefined && this.switches.isOn(slug, 'lost_refresh') && isRefresh(request, kind) && answer.status < 300;
        const was = outcome ?? (isLost ? 'fault' : route === undefined || answer.status >= 400 ? 'refused' : 'accepted');
        this.activity.add({
            at: this.#sources.now(),
            slug,
            kind,
            method: request.method,
            address: maskedAddress(request.url),
            status: answer.status,
            outcome: was,
            note: isLost ? 'fault: the answer got lost' : (answer.note ?? ''),
        });
        return { ...answer, isLost, skewMs: slug !== undefined && this.switches.isOn(slug, 'clock_skew') ? skewMs : 0 };
    }
}

const isRefresh = ({ body, url }: TwinRequest, kind: string): boolean =>
    kind === 'refresh' || (kind === 'token' && /refresh_token/.test(`${body}${url.search}`));
