/** Every provider of the catalogue has a twin, and inputs that satisfy its fields and lead to that twin. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import type { Entry } from '../../src/simulator/entry.ts';
import { fieldFault } from '../../src/simulator/field-rules.ts';
import { Simulator } from '../../src/simulator/simulator.ts';
import { alternatives, fillTemplate, namesIn } from '../../src/simulator/text-template.ts';
import { endpointsOf } from '../../src/simulator/twins.ts';
import { systemSources } from '../../src/sources.ts';

const file = join(import.meta.dirname, '../../providers.yaml');
const simulator = await Simulator.open({ sources: systemSources, catalogueFiles: [file], valetkeyUrl: 'http://localhost:3003' });
const entries = [...simulator.catalogue.values()];

test('the catalogue is read whole', () => {
    const slugs = readFileSync(file, 'utf8').match(/^[a-z0-9-]+(?=:)/gm) ?? [];
    expect(entries.map(({ slug }) => slug)).toEqual(slugs);
});

describe('samples', () => {
    test('satisfy the rules of every field', () => {
        const faults = entries.flatMap((entry) => {
            const { connectionConfig, credentials, assertionOption, integration } = simulator.world.samples.of(entry.slug);
            return (
                [
                    [entry.connection_config, connectionConfig],
                    [entry.credentials, credentials],
                    [entry.assertion_option, assertionOption],
                    [entry.integration_config, integration],
                ] as const
            ).flatMap(([fields, values]) =>
                Object.entries(fields ?? {}).flatMap(([name, field]) => {
                    const value = values[name];
                    const fault = value === undefined ? undefined : fieldFault(field, value);
                    return fault === undefined ? [] : [`${entry.slug} ${name}: ${fault}`];
                }),
            );
        });
        expect(faults).toEqual([]);
    });

    test('are there for everything that a person has to fill in', () => {
        const missing = entries.flatMap((entry) => {
            const { connectionConfig, credentials } = simulator.world.samples.of(entry.slug);
            const isAsked = ({ optional, automated, hidden }: NonNullable<Entry['credentials']>[string]): boolean =>
                !optional && !automated && !hidden;
            return [
                ...Object.entries(entry.connection_config ?? {}).filter(([name, field]) => isAsked(field) && connectionConfig[name] === undefined),
                ...Object.entries(entry.credentials ?? {}).filter(([name, field]) => isAsked(field) && credentials[name] === undefined),
            ].map(([name]) => `${entry.slug} ${name}`);
        });
        expect(missing).toEqual([]);
    });

    test('are the same at every start, keys apart', async () => {
        const again = await Simulator.open({ sources: systemSources, catalogueFiles: [file], valetkeyUrl: 'http://localhost:3003' });
        const without = (slug: string, of: Simulator): unknown => of.world.samples.of(slug);
        expect(entries.map(({ slug }) => without(slug, again))).toEqual(entries.map(({ slug }) => without(slug, simulator)));
    });

    test('identify their provider', () => {
        const strangers = entries.flatMap(({ slug }) => {
            const owner = simulator.world.samples.ownerOf(`${slug}.twin`);
            return owner === slug ? [] : [slug];
        });
        expect(strangers).toEqual([]);
    });
});

/** Values of an entry's own answers stand in for what is not typed in. */
function valuesOf(entry: Entry): Record<string, string> {
    const { connectionConfig, credentials } = simulator.world.samples.of(entry.slug);
    const typed = [
        ...Object.entries(connectionConfig).map(([name, value]) => [`connectionConfig.${name}`, value] as const),
        ...Object.entries(credentials).map(([name, value]) => [`credentials.${name}`, value] as const),
        ...Object.entries(credentials).map(([name, value]) => [name, value] as const),
    ];
    return Object.fromEntries(typed);
}

const isOptional = ({ connection_config }: Entry, name: string): boolean =>
    connection_config?.[name.slice('connectionConfig.'.length)]?.optional === true;

function addressOf(entry: Entry, template: string): URL | undefined {
    const values = valuesOf(entry);
    const usable = alternatives(template).filter((alternative) =>
        namesIn(alternative).every((name) => values[name] !== undefined || !isOptional(entry, name)),
    );
    for (const alternative of usable.length > 0 ? usable : alternatives(template)) {
        const others = Object.fromEntries(
            namesIn(alternative)
                .filter((name) => values[name] === undefined)
                .map((name) => [
                    name,
                    alternative.startsWith(`\${${name}}`)
                        ? `https://${entry.slug}.twin.example`
                        : name.endsWith('Host')
                          ? `${entry.slug}.twin.example`
                          : 'x1',
                ]),
        );
        const text = fillTemplate(alternative, { ...others, ...values });
        const url = text === undefined ? null : URL.parse(text);
        if (url !== null) return url;
    }
    return undefined;
}

describe('endpoints', () => {
    test('every entry has some, unless it names no address at all', () => {
        const without = entries.filter((entry) => endpointsOf(entry).length === 0);
        expect(
            without.filter(({ proxy, auth_mode }) => proxy?.base_url !== undefined && auth_mode !== 'NONE' && !proxy.base_url.includes('.invalid')),
        ).toEqual([]);
    });

    test('a URL made from the samples leads to the twin of its entry', () => {
        const astray = entries.flatMap((entry) =>
            endpointsOf(entry).flatMap(({ url: template, kind }) => {
                const url = addressOf(entry, template);
                if (url === undefined) return [`${entry.slug} ${kind}: no address from ${template}`];
                const found = simulator.routes(url).some((route) => route.entry.slug === entry.slug);
                return found ? [] : [`${entry.slug} ${kind}: ${url.href}`];
            }),
        );
        expect(astray).toEqual([]);
    });
});
