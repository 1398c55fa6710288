/** What this program calls itself. */
import { readFileSync } from 'node:fs';
import { arch, platform, release } from 'node:os';
import { join } from 'node:path';

export const version = (JSON.parse(readFileSync(join(import.meta.dirname, '../package.json'), 'utf8')) as { version: string }).version;

export const userAgent = `valetkey/${version} (${platform()}/${release()}; ${arch()}; node.js/${process.versions.node})`;
