/** The page for people: what arrived, which providers there are, and what shall go wrong. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Visit } from '../activity.ts';
import { everyTwin, faults, type Fault } from '../faults.ts';
import type { Simulator } from '../simulator.ts';
import type { Answer } from '../twin.ts';
import { mayBeEmpty } from '../field-rules.ts';
import { html, Html, page } from './html.ts';

const shownVisits = 100;
const shownProviders = 200;

export function activityPage(simulator: Simulator, { search, slug }: { search: string; slug: string }): Answer {
    const chosen = simulator.catalogue.get(slug);
    const found = [...simulator.catalogue.values()].filter(({ slug: name, display_name }) =>
        `${name} ${display_name}`.toLowerCase().includes(search.toLowerCase()),
    );
    const visits = simulator.activity.list(chosen?.slug).slice(0, shownVisits);
    return page({
        title: 'Simulated providers',
        nonce: simulator.world.newId(),
        script,
        body: html`<main class="wide">
            <div class="head">
                <div>
                    <h1>Simulated providers</h1>
                    <p class="soft">
                        Offline twins of ${simulator.catalogue.size} providers. Any client id and secret will do; nothing leaves this machine.
                    </p>
                </div>
                <span class="badge">simulate mode</span>
            </div>
            <div class="columns">
                <div class="stack">
                    ${chosen === undefined ? '' : samplesCard(simulator, chosen.slug)}
                    <section class="card">
                        <h2>${chosen === undefined ? 'What arrived' : `What arrived at ${chosen.display_name}`}</h2>
                        <div class="scroll" id="activity">${activityTable(visits)}</div>
                    </section>
                </div>
                <div class="stack">
                    <section class="card">
                        <h2>Providers</h2>
                        <form class="line" method="get" action="/">
                            <input
                                type="search"
                                name="search"
                                value="${search}"
                                placeholder="Salesforce, Slack, …"
                                aria-label="Search providers"
                            /><button class="button">Search</button>
                        </form>
                        ${chosen === undefined ? '' : html`<p><a href="/">All providers</a></p>`}
                        <ul class="list">
                            ${found.slice(0, shownProviders).map((entry) => html`<li><a href="/?provider=${entry.slug}">${entry.display_name}</a><span class="soft">${entry.auth_mode}</span></li>`)}
                        </ul>
                        ${found.length === 0 ? html`<p class="soft">None is called so.</p>` : ''}
                    </section>
                    <section class="card">
                        <h2>${chosen === undefined ? 'What shall go wrong, everywhere' : `What shall go wrong at ${chosen.display_name}`}</h2>
                        ${switchList(simulator, chosen?.slug ?? everyTwin)}
                    </section>
                </div>
            </div>
        </main>`,
    });
}

function activityTable(visits: readonly Visit[]): Html {
    if (visits.length === 0)
        return html`<p class="soft">
            Nothing yet. Connect a provider in Valetkey, and every request shows up here with what its twin thought of it.
        </p>`;
    return html`<table>
        <thead>
            <tr>
                <th>Time</th>
                <th>Provider</th>
                <th>Request</th>
                <th>Outcome</th>
            </tr>
        </thead>
        <tbody>
            ${visits.map(
                (visit) =>
                    html`<tr>
                        <td class="time">${new Date(visit.at).toISOString().slice(11, 19)}</td>
                        <td>
                            ${visit.slug === undefined ? '–' : html`<a href="/?provider=${visit.slug}">${visit.slug}</a>`}<br /><span class="soft"
                                >${visit.kind}</span
                            >
                        </td>
                        <td><code>${visit.method} ${visit.address}</code></td>
                        <td>
                            <span class="${visit.outcome === 'accepted' ? 'ok' : 'bad'}">${visit.status} ${visit.outcome}</span
                            >${visit.note === '' ? '' : html`<br />${visit.note}`}
                        </td>
                    </tr>`,
            )}
        </tbody>
    </table>`;
}

function switchList({ switches }: Simulator, slug: string): Html {
    return html`<div class="switches">
        ${Object.entries(faults).map(([fault, says]) => {
            const inherited = slug !== everyTwin && switches.isOn(everyTwin, fault as Fault);
            const state = switches.isOn(slug, fault as Fault) ? new Html(' checked') : '';
            const off = inherited ? new Html(' disabled') : '';
            return html`<label
                ><input type="checkbox" data-provider="${slug}" data-fault="${fault}" ${state}${off} /><span
                    >${says}${inherited ? ' (everywhere)' : ''}</span
                ></label
            >`;
        })}
    </div>`;
}

/** What a person can type in, with keys cut short. */
function samplesCard(simulator: Simulator, slug: string): Html {
    const samples = simulator.world.samples.of(slug);
    const rows = Object.values(samples).flatMap((group) => Object.entries(group as Record<string, string>));
    const shown = rows.map(
        ([name, value]) =>
            html`<tr>
                <td>${name}</td>
                <td><code>${value.length > 120 ? `${value.slice(0, 60)}…` : value}</code></td>
            </tr>`,
    );
    const { auth_mode: mode, connection_config: fields, display_name: name } = simulator.catalogue.get(slug)!;
    const needsInput = Object.values(fields ?? {}).some((field) => !mayBeEmpty(field));
    const button =
        simulator.connect !== undefined && connectable.has(mode) && !needsInput
            ? html`<p><button class="button main" data-connect="${slug}">Connect ${name}</button></p>`
            : '';
    return html`<section class="card">
        <h2>${name}</h2>
        ${button}
        <p>What to type in:</p>
        ${
            rows.length === 0
                ? html`<p class="soft">Nothing.</p>`
                : html`<div class="scroll">
                      <table>
                          <tbody>
                              ${shown}
                          </tbody>
                      </table>
                  </div>`
        }
        <p class="soft">
            Or anything else of the right form. A value with “wrong” in it is refused. In full:
            <a href="/_twin/samples/${slug}">/_twin/samples/${slug}</a>
        </p>
    </section>`;
}

/** Modes whose consent page a browser can be sent to at once. */
const connectable: ReadonlySet<string> = new Set(['OAUTH2', 'OAUTH1', 'MCP_OAUTH2']);

const script = readFileSync(join(import.meta.dirname, 'activity.js'), 'utf8');
