/** axe-core for a page: its source, what it looks for (WCAG 2.2 AA and what it calls best practice), and what it answers. */
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';

export const axeSource = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
export const axeRules = ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22a', 'wcag22aa', 'best-practice'];

export interface AxeResults {
    violations: { id: string; nodes: { html: string; failureSummary: string }[] }[];
    passes: unknown[];
}
