/** The page, to the parts of it that do one thing each: what they may use, and how they tell it what happened. */
import type { Api } from './api.ts';
import type { Event, State } from './machine.ts';
import type { PageConfig } from './page-config.ts';
import type { Happening } from './telemetry.ts';
import type { Words } from './words/en.ts';

export interface Page {
    readonly api: Api;
    readonly config: PageConfig;
    readonly words: Words;
    state(): State;
    report(event: Event): void;
    expire(): void;
    track(event: Happening, integration?: string): void;
}
