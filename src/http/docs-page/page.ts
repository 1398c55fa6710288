import type { ApiDescription } from '../openapi/description.ts';
export const assetNames = ['docs.css', 'docs.js'] as const;
export type AssetName = (typeof assetNames)[number];
export const readAsset = (_n: AssetName): string => '';
export const docsPage = (_d: ApiDescription, _u: string): string => '';
