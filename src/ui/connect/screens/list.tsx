import { useEffect, useMemo, useRef, useState } from 'preact/hooks';
import type { Integration } from '../api-types.ts';
import type { Screen } from '../machine.ts';
import { SearchIcon } from '../parts/icons.tsx';
import { Heading } from '../parts/heading.tsx';
import { Row } from '../parts/row.tsx';
import { searcher } from '../search.ts';
import type { Words } from '../words/en.ts';
import { fill } from '../words/languages.ts';

interface Props {
    readonly integrations: readonly Integration[];
    readonly picked: (Screen & { name: 'list' })['picked'];
    readonly words: Words;
    onPick(integration: Integration): void;
}

/** Fewer are seen at a glance. */
const searchFrom = 8;

/** Twice what a card shows; the others follow in steps that nobody notices. */
const firstRows = 40;
const rowsPerStep = 100;
const stepMs = 20;

/**
 * All rows come into the document, a thousand if need be, so that the browser's own search, screen readers and the focus find them:
 * no windowing. `content-visibility` in the style sheet spares the browser the layout of those out of sight, they are made a
 * few at a time, and a search hides rows instead of making the others anew.
 */
export function List({ integrations, picked, words, onPick }: Props) {
    const [query, setQuery] = useState('');
    const search = useMemo(() => searcher(integrations), [integrations]);
    const found = useMemo(() => search(query), [search, query]);
    const isFound = useMemo(() => new Set(found), [found]);
    const count = useGrowingCount(integrations.length);
    const list = useRef<HTMLUListElement>(null);
    const field = useRef<HTMLInputElement>(null);

    /** Arrows go from row to row, and from the first one up into the search. */
    const move = (event: KeyboardEvent): void => {
        const rows = [...(list.current?.querySelectorAll<HTMLButtonElement>('li:not([hidden]) button') ?? [])];
        const at = rows.indexOf(document.activeElement as HTMLButtonElement);
        const to = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: rows.length - 1 }[event.key];
        const isTextKey = at === -1 && event.key !== 'ArrowDown';
        if (to === undefined || isTextKey) return;
        event.preventDefault();
        if (to < 0) field.current?.focus();
        else rows[to]?.focus();
    };

    return (
        <div class="list-screen" onKeyDown={move}>
            <Heading>{words.list.title}</Heading>
            <p class="lead">{words.list.hint}</p>
            {integrations.length >= searchFrom && (
                <div class="search">
                    <div class="control">
                        <SearchIcon />
                        <input
                            ref={field}
                            type="search"
                            aria-label={words.list.search}
                            placeholder={fill(words.list.searchHint, { count: integrations.length })}
                            autocomplete="off"
                            spellcheck={false}
                            value={query}
                            onInput={(event) => setQuery(event.currentTarget.value)}
                            onKeyDown={(event) => {
                                if (event.key === 'Escape' && query !== '') {
                                    event.stopPropagation();
                                    setQuery('');
                                } else if (event.key === 'Enter' && query !== '' && found.length === 1) {
                                    onPick(found[0]!);
                                }
                            }}
                        />
                    </div>
                    <span class="unseen" role="status">
                        {query !== '' && (found.length === 1 ? words.list.oneMatch : fill(words.list.matches, { count: found.length }))}
                    </span>
                </div>
            )}
            {found.length === 0 && <p class="no-match">{fill(words.list.noMatch, { query: query.trim() })}</p>}
            <ul ref={list} class="rows">
                {integrations.slice(0, count).map((integration) => (
                    <Row
                        key={integration.unique_key}
                        integration={integration}
                        isHidden={!isFound.has(integration)}
                        state={picked?.key !== integration.unique_key ? 'idle' : picked.hasFailed ? 'failed' : 'busy'}
                        words={words}
                        onPick={onPick}
                    />
                ))}
            </ul>
        </div>
    );
}

function useGrowingCount(all: number): number {
    const [count, setCount] = useState(firstRows);
    useEffect(() => {
        if (count >= all) return undefined;
        const timer = setTimeout(() => setCount(count + rowsPerStep), stepMs);
        return () => clearTimeout(timer);
    }, [all, count]);
    return count;
}
